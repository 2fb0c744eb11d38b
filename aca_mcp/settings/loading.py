"""Reads settings, and says in a sentence what is wrong with one."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from dotenv import dotenv_values
from pydantic import SecretStr, ValidationError

from aca_mcp.errors import SettingsError
from aca_mcp.settings.model import ENV_PREFIX, Settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from pydantic_core import ErrorDetails


SECRET_FIELDS = tuple(
    name for name, info in Settings.model_fields.items() if info.annotation is SecretStr
)
"""The settings that are never shown, and have no flag."""

_VARIABLE = re.compile(rf"\b{ENV_PREFIX}[A-Z0-9_]+")
_SHORTER_FLAGS = {"execution_timeout_seconds": "--timeout"}


def flag_name(field: str) -> str:
    """The command line's name of a setting, such as ``--work-dir``."""
    return flag_names(field)[0]


def flag_names(field: str) -> tuple[str, ...]:
    """All of them: the one that people are told first."""
    shorter = _SHORTER_FLAGS.get(field)
    whole = "--" + field.replace("_", "-")
    return (whole,) if shorter is None else (shorter, whole)


def variable_name(field: str) -> str:
    """The environment's name of a setting, such as ``ACA_MCP_WORK_DIR``."""
    return ENV_PREFIX + field.upper()


def load_settings(
    overrides: Mapping[str, str] | None = None, *, env_file: Path | None = None
) -> Settings:
    """Read settings: flags win over the environment, and the environment over the file.

    Args:
        overrides: field name to text, from flags.
        env_file: a file of ``NAME=value`` lines. None reads none.

    Raises:
        SettingsError: a value cannot be used. One sentence for each wrong setting, on its own line.
    """
    overrides = overrides or {}
    if env_file is not None and not env_file.is_file():
        raise SettingsError("--env-file must name a file that exists.")
    try:
        named_in_file = dotenv_values(env_file, encoding="utf-8") if env_file is not None else {}
        if unknown := _unknown_variables({*os.environ, *named_in_file}):
            raise SettingsError("\n".join(unknown))
        # The synthesised signature knows the fields alone, and their types after parsing.
        return Settings(_env_file=env_file, **overrides)  # pyright: ignore[reportArgumentType, reportCallIssue] -- as said above
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=False, include_input=False)
        raise SettingsError("\n".join(_sentence(item, overrides) for item in details)) from None
    except (OSError, UnicodeDecodeError):
        raise SettingsError("--env-file must name a file that can be read, in UTF-8.") from None


def _unknown_variables(names: Iterable[str]) -> list[str]:
    known = [variable_name(field) for field in Settings.model_fields]
    found: list[str] = []
    for name in sorted(names):
        if not name.startswith(ENV_PREFIX) or name in known:
            continue
        import difflib  # only here: the import is slow, and few names are mistyped

        near = difflib.get_close_matches(name, known, n=1)
        fix = f"did you mean {near[0]}?" if near else "unset it."
        found.append(f"{name} is not a setting; {fix}")
    return found


def _sentence(item: ErrorDetails, overrides: Mapping[str, str]) -> str:
    # Values are not repeated: one that was put under the wrong name may be a secret.
    fault = item["msg"].removeprefix("Value error, ").replace("Input should be", "must be", 1)
    if not item["loc"]:  # what settings say of each other, by the names of variables
        given = [field for field in overrides if field not in SECRET_FIELDS]
        names = {variable_name(field): flag_name(field) for field in given}
        return _VARIABLE.sub(lambda found: names.get(found[0], found[0]), fault) + "."
    field = str(item["loc"][0])
    name = flag_name(field) if field in overrides else variable_name(field)
    return f"{name} {fault}; without it the value is {describe_default(field)}."


def describe_default(field: str) -> str:
    """The default of a setting, for a person."""
    default: object = Settings.model_fields[field].default
    if default is None or default == "" or isinstance(default, SecretStr):
        return "unset"
    return str(default).lower() if isinstance(default, bool) else str(default)
