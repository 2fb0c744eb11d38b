"""What the server tells a model about itself. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

from aca_mcp.execution import in_seconds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aca_mcp.pool import EnvironmentSummary
    from aca_mcp.server.types import ServerOptions

_LONGEST_PATH = 200


class ServingFacts(TypedDict):
    """What depends on how the server is served, in sentences."""

    sessions: str
    """Which session a call uses."""
    retention: str
    """How long a session lasts."""
    handle_retention: str
    """How long one lasts that was started by ``start_session``."""


def facts_of(
    idle_seconds: float,
    *,
    has_connections: bool,
    keeps: str = "variables, imports, functions and files",
) -> ServingFacts:
    """The sentences.

    Args:
        idle_seconds: a session is ended when nobody has used it for so long.
        has_connections: every client has a connection, and so a session of its own.
        keeps: what of a session stays from call to call.
    """
    idle = duration(idle_seconds)
    if has_connections:
        return ServingFacts(
            sessions=f"One session belongs to this connection: {keeps} "
            "stay from call to call, also while nobody calls for up to "
            f"{idle}. Work in steps; do not repeat what is there.",
            retention="The session lasts as long as this connection.",
            handle_retention="Its session ends with this server, or when nobody has used it for "
            f"{idle}.",
        )
    return ServingFacts(
        sessions="Where your first result names a session, pass that handle as `session` to every "
        f"further call: it is how {keeps} are found again. "
        "Otherwise one session belongs to your connection. Sessions that nobody uses for "
        f"{idle} are ended. Work in steps; do not repeat what is there.",
        retention=f"The session lasts until nobody has used it for {idle}.",
        handle_retention=f"Its session ends when nobody has used it for {idle}.",
    )


def instructions(
    facts: ServingFacts, options: ServerOptions, *, work_dir: str, has_links: bool
) -> str:
    """What a client gives its model before the first call. At most 2,048 characters.

    Args:
        facts: of how the server is served.
        options: what the user chose.
        work_dir: the path of the user's directory; empty where there is none.
        has_links: the user can be given links to files.
    """
    timeout_seconds = options.execution_timeout_seconds
    if work_dir:
        shown = work_dir if len(work_dir) <= _LONGEST_PATH else f"...{work_dir[-_LONGEST_PATH:]}"
        files = (
            f"The user's own files are in their work directory, {shown}: list_work_dir shows them, "
            "upload_from_work_dir copies them into the session, and download_to_work_dir hands "
            "results back."
        )
    elif has_links:
        files = (
            "create_transfer_link gives the user a link by which to send a file to the session, or "
            "to get one, without passing it through you."
        )
    else:
        files = (
            "The user's files are not here: what they paste, upload_file writes, and download_file "
            "reads small ones. For a folder, the user starts this server with --work-dir FOLDER."
        )
    if options.runs == "shell":
        return _SHELL_INSTRUCTIONS.format(
            sessions=facts["sessions"], files=files, seconds=f"{timeout_seconds:g}"
        )
    if options.has_processes:
        syntax, missing = "`%magics`, `!commands` and", ""
    else:
        syntax = "`%magics` and"
        missing = (
            " Python runs in WebAssembly: numpy, pandas, matplotlib, scipy and scikit-learn are "
            "there; threads, processes and `!commands` are not."
        )
    chosen = " (the Azure pool chose it)" if options.offer.pool_chooses else ""
    more = "; install_packages, or %pip install, gets more" if options.offer.is_open else ""
    return f"""\
Runs Python for you in an isolated session that keeps its state.
- {facts["sessions"]}
- When a session was lost, the result begins by saying so: run again what you need.
- The interpreter is IPython: the value of the last expression is shown, {syntax} \
top-level await work. Every matplotlib figure is returned as an image; plt.show() is not needed.
- Files are in the session's work directory, which is also the current directory: pass relative \
paths, such as data/sales.csv, to the file tools and to code alike.
- Code may not reach a network, has no GPU and cannot see the user's machine; input() fails. \
list_packages tells what can be imported{chosen}{more}.{missing}
- {files}
- An execution is interrupted after {timeout_seconds:g} s unless timeout_seconds says otherwise; \
its variables are kept.
- Long output is cut in its middle; the whole is left as a file that the result names. \
Print what you need, not everything.
- For several independent sessions, call start_session and pass its handle as `session`."""


_SHELL_INSTRUCTIONS = """\
Runs Bash commands and Python programs for you in an isolated session that keeps its files.
- {sessions}
- Each call starts anew: run_shell a shell, execute_python a Python without variables or imports \
of earlier calls. Keep what a later call needs in files.
- When a session was lost, the result begins by saying so: write again the files that you need.
- Files are in the session's work directory, which is also the current directory: pass relative \
paths, such as data/sales.csv, to the file tools, to commands and to code alike.
- Commands may not reach a network, and cannot see the user's machine; nothing can be typed into \
them.
- {files}
- A call is stopped after {seconds} s unless timeout_seconds says otherwise; files are kept.
- Long output is cut in its middle; the whole is left as a file that the result names. \
Print what you need, not everything.
- For several independent sessions, call start_session and pass its handle as `session`."""


def environments_clause(environments: Sequence[EnvironmentSummary]) -> str:
    """The choice of environments, as a clause; empty where there is none."""
    if len(environments) < 2:
        return ""
    each = "; ".join(f"{one.name}: {one.contents}" for one in environments)
    return f", or for another environment than the default, which is the first of these: {each}"


def duration(seconds: float) -> str:
    """A time as people say it."""
    if seconds >= 7200 and seconds % 3600 == 0:
        return f"{seconds / 3600:.0f} hours"
    return f"{seconds / 60:.0f} minutes" if seconds >= 120 else in_seconds(round(seconds))
