# Sourced by the other scripts: `prepare demo` or `prepare dev` makes .venv ready and sets PYTHON.
#
# Works on a fresh Debian or Ubuntu with Python 3.11+ and pip, as root or not, and asks nothing.
# What is installed is said; when pyproject.toml has not changed since, nothing is.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

PYTHON="$PWD/.venv/bin/python"
# In CI a test that failed is tried once more, and named: the machine may have been busy with others.
AGAIN=()
[ -z "${CI:-}" ] || AGAIN=(--reruns=1 -rR)
export PIP_NO_INPUT=1 PIP_DISABLE_PIP_VERSION_CHECK=1
unset PYTHONDONTWRITEBYTECODE # hundreds of processes are started: what they import is compiled once

say() { printf '== %s\n' "$*" >&2; }

die() { printf 'error: %s\n' "$*" >&2; exit 1; }

# Runs something that takes long: says how long, and on a terminal counts the seconds meanwhile.
step() { # what, how long, command...
    local what=$1 usual=$2 started=$SECONDS status=0 running
    shift 2
    say "$what (usually $usual)"
    if [ -t 2 ]; then
        "$@" &
        running=$!
        while kill -0 "$running" 2>/dev/null; do
            printf '\r   %d s ' $((SECONDS - started)) >&2
            sleep 1
        done
        printf '\r            \r' >&2
        wait "$running" || status=$?
    else
        "$@" || status=$?
    fi
    [ "$status" = 0 ] || die "$what failed after $((SECONDS - started)) s"
    say "$what: done in $((SECONDS - started)) s"
}

is_new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

find_python() {
    local name
    for name in python3 python3.14 python3.13 python3.12 python3.11; do
        if command -v "$name" >/dev/null && is_new_enough "$name"; then
            command -v "$name"
            return
        fi
    done
    die "Python 3.11 or newer is needed, and none is on the PATH (python3, python3.11 to 3.14)."
}

make_venv() { # interpreter
    "$1" -m venv --clear .venv >/dev/null 2>&1 && return
    # Debian keeps ensurepip in a package of its own. Where there is pip, that is not needed.
    say "python3-venv is not installed; making .venv with the pip that is"
    "$1" -m venv --clear --without-pip .venv &&
        "$1" -m pip --python "$PYTHON" install --quiet pip && return
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        say "installing python3-venv"
        apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3-venv
        "$1" -m venv --clear .venv && return
    fi
    die "no virtual environment could be made: install python3-venv or pip for $1."
}

fingerprint() { # profile
    printf '%s\n%s\n' "$1" "$PWD" | cat - pyproject.toml | sha256sum | cut -d' ' -f1
}

is_prepared() { # profile
    [ "$(cat ".venv/.prepared-$1" 2>/dev/null)" = "$(fingerprint "$1")" ]
}

prepare() { # demo | dev
    local profile=$1
    is_new_enough "$PYTHON" && is_prepared "$profile" && return
    # What developers have is more than what the demo needs.
    [ "$profile" = demo ] && is_new_enough "$PYTHON" && is_prepared dev && return

    if ! is_new_enough "$PYTHON" || ! "$PYTHON" -m pip --version >/dev/null 2>&1; then
        local interpreter
        interpreter=$(find_python)
        say "making a virtual environment in .venv with $("$interpreter" --version)"
        make_venv "$interpreter"
    fi
    # Dependency groups need pip 25.1.
    "$PYTHON" -m pip install --quiet --upgrade 'pip>=25.1'
    case $profile in
        demo)
            step "installing aca-mcp into .venv" "half a minute" \
                "$PYTHON" -m pip install --quiet --editable '.[cli,local]'
            ;;
        dev)
            step "installing aca-mcp and the development tools into .venv" "one minute" \
                "$PYTHON" -m pip install --quiet --editable '.[cli,local,otel]' --group dev
            ;;
        *) die "no such profile: $profile" ;;
    esac
    # What sessions import is apart from what the server does, and made once for all clones.
    .venv/bin/aca-mcp env create minimal --if-missing
    fingerprint "$profile" >".venv/.prepared-$profile"
}
