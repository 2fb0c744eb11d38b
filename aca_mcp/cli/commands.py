"""The commands of the command line: what each is for, and which flags are its own.

Describes; parses and runs nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from aca_mcp.cli.flags import RESULT_FIELDS, SERVING_FIELDS, add_setting_flags
from aca_mcp.cli.parser import Command
from aca_mcp.settings import AzureSettings, EnvironmentSettings, Settings

if TYPE_CHECKING:
    from aca_mcp.cli.parser import Parser

CLIENT_NAMES = (
    "claude-desktop",
    "claude-code",
    "codex",
    "cursor",
    "gemini",
    "vscode",
    "windsurf",
    "zed",
)
SERVER_NAME = "aca-mcp"
"""What an entry is called in a client, unless ``--name`` says otherwise."""
ENV_ACTIONS = ("create", "update", "show", "remove", "list")
_ACTIONS_HELP = (
    "create it, or create it anew; update it to the newest of what was asked for; show what it "
    "has; remove it; list them all"
)
_NAME_HELP = "minimal, data, or one of your own"
_ANALYST = ("work_dir", "local_environment", "local_memory_mib", "execution_timeout_seconds")
"""The settings that a person who analyses data reaches for."""


def _serve(parser: Parser) -> None:
    add_setting_flags(parser, first=(*_ANALYST, "transport", "host", "port"))


def _exec(parser: Parser) -> None:
    parser.add_argument(
        "words",
        metavar="CODE|FILE",
        nargs="*",
        help="Python, the path of a script or of a notebook (.ipynb), or - for what stdin has; "
        "then what the code finds in sys.argv, behind -- where it begins with -.",
    )
    parser.add_argument(
        "-c",
        dest="is_code",
        action="store_true",
        help="It is code, even if there is a file of that name.",
    )
    parser.add_argument(
        "--interactive",
        "-i",
        action="store_true",
        help="Go on with the session at a prompt, as aca-mcp repl does.",
    )
    _add_session_flags(parser)


def _repl(parser: Parser) -> None:
    parser.set_defaults(words=[], is_code=False, interactive=True)
    _add_session_flags(parser)


def _add_session_flags(parser: Parser) -> None:
    parser.add_argument(
        "--upload",
        action="append",
        default=[],
        metavar="FILE",
        help="Copy this file to the session's work directory first. May be repeated.",
    )
    parser.add_argument(
        "--download",
        action="append",
        default=[],
        metavar="PATH",
        help="Copy this file of the session to the current directory afterwards. May be repeated.",
    )
    parser.add_argument(
        "--notebook",
        type=Path,
        metavar="FILE",
        help="Write what ran, and what it showed, to this .ipynb file.",
    )
    add_setting_flags(
        parser,
        without={*SERVING_FIELDS, *RESULT_FIELDS},
        first=tuple(name for name in _ANALYST if name not in RESULT_FIELDS),
    )


def _emulator(parser: Parser) -> None:
    parser.add_argument(
        "--host", default="127.0.0.1", metavar="ADDRESS", help="Where to listen. [127.0.0.1]"
    )
    parser.add_argument("--port", default="8080", metavar="N", help="0 takes a free one. [8080]")
    parser.add_argument("--certificate", type=Path, metavar="PATH", help="PEM file, for https.")
    parser.add_argument("--key", type=Path, metavar="PATH", help="The certificate's key.")
    parser.add_argument(
        "--fault",
        action="append",
        default=[],
        metavar="KIND:N",
        help="For tests: make requests fail, such as 503:2 or latency:0.5. May be repeated.",
    )
    parser.add_argument(
        "--pool",
        dest="pool_type",
        choices=("python", "shell"),
        default="python",
        help="What the sessions of the emulated pool run. [python]",
    )
    parser.add_argument(
        "--record",
        type=Path,
        metavar="PATH",
        help="Append each exchange to a file, without secrets and contents, for a bug report.",
    )
    parser.add_argument(
        "--allowed-hosts",
        default="",
        metavar="NAMES",
        help="Further Host names to answer for without a token of its own, with commas between.",
    )
    of_azure = AzureSettings.model_fields.keys() - {"emulator_token"}
    add_setting_flags(
        parser,
        without={
            *SERVING_FIELDS,
            *RESULT_FIELDS,
            *of_azure,
            "pool",
            "execution_timeout_seconds",
        },
        first=("local_max_concurrent_sessions", "local_environment", "local_memory_mib"),
    )


def _env(parser: Parser) -> None:
    parser.add_argument("action", choices=ENV_ACTIONS, metavar="ACTION", help=_ACTIONS_HELP)
    parser.add_argument("name", nargs="?", default="", metavar="NAME", help=_NAME_HELP)
    parser.add_argument(
        "packages", nargs="*", default=[], metavar="PACKAGE", help="What it is to have."
    )
    parser.add_argument(
        "--requirements", type=Path, metavar="FILE", help="More of what it is to have, a line each."
    )
    parser.add_argument("--python", default="", metavar="VERSION", help="Such as 3.12, or a path.")
    parser.add_argument(
        "--if-missing", action="store_true", help="Leave one that is there as it is."
    )
    others = Settings.model_fields.keys() - EnvironmentSettings.model_fields.keys()
    add_setting_flags(parser, without=others, first=tuple(EnvironmentSettings.model_fields))


def _install(parser: Parser) -> None:
    _add_client_flags(parser)
    parser.add_argument("--print", action="store_true", help="Print the entry; change no file.")
    parser.add_argument(
        "--windows",
        action="store_true",
        help="Inside WSL: print the entry for a client that runs on Windows itself.",
    )
    parser.add_argument(
        "--replace",
        action="store_true",
        help="Write over an entry of that name that is another server's.",
    )
    parser.add_argument(
        "--include-secrets",
        action="store_true",
        help="Write secrets that are set now too, in clear text; the file is then its owner's.",
    )
    add_setting_flags(parser, without=SERVING_FIELDS, first=_ANALYST)


def _uninstall(parser: Parser) -> None:
    _add_client_flags(parser)
    parser.set_defaults(setting_fields=[], env_file=None)


def _add_client_flags(parser: Parser) -> None:
    parser.add_argument(
        "client", choices=CLIENT_NAMES, metavar="CLIENT", help=", ".join(CLIENT_NAMES)
    )
    parser.add_argument(
        "--name", default=SERVER_NAME, help=f"The server's name there. [{SERVER_NAME}]"
    )
    parser.add_argument(
        "--project", action="store_true", help="For the project in the current directory alone."
    )


def _warm(parser: Parser) -> None:
    add_setting_flags(
        parser, without=SERVING_FIELDS | RESULT_FIELDS | AzureSettings.model_fields.keys()
    )


def _azure(parser: Parser) -> None:
    parser.add_argument("action", choices=("verify",), help="The one thing that there is to do.")
    parser.add_argument(
        "--report", type=Path, metavar="PATH", help="Write the table there too, for a bug report."
    )
    add_setting_flags(
        parser,
        without={*SERVING_FIELDS, *RESULT_FIELDS},
        first=("pool_management_endpoint", "azure_credential", "azure_api_version"),
    )


def _doctor(parser: Parser) -> None:
    parser.add_argument("--json", action="store_true", help="The report as JSON, for programs.")
    add_setting_flags(parser, without=SERVING_FIELDS, first=_ANALYST)


COMMANDS = {
    "serve": Command(_serve, "Serve MCP over stdin and stdout, or HTTP."),
    "exec": Command(
        _exec,
        "Run Python in a fresh session and show its output.",
        takes="CODE|FILE|- [ARGUMENT ...]",
        passes_words_on=True,
    ),
    "repl": Command(_repl, "Work in one session at a prompt, with history and completion."),
    "emulator": Command(_emulator, "Serve the API of Azure's dynamic sessions on this machine."),
    "env": Command(
        _env,
        "Make, show and remove the environments of local sessions.",
        takes="create|update|show|remove|list [NAME] [PACKAGE ...]",
    ),
    "install": Command(_install, "Put this server into a client's configuration.", takes="CLIENT"),
    "uninstall": Command(
        _uninstall, "Take this server out of a client's configuration.", takes="CLIENT"
    ),
    "warm": Command(_warm, "Compile ahead what the wasm pool needs, once on a machine."),
    "azure": Command(
        _azure, "Ask the Azure pool how like the published service it answers.", takes="verify"
    ),
    "doctor": Command(_doctor, "Say what would run here, what is missing and the fix."),
}
"""By their words, in the order of the help."""
