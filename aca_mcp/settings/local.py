"""Settings of the local session pool."""

import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator

from aca_mcp.settings.section import SettingsSection


class LocalSettings(SettingsSection):
    """What a local session is, and how many there may be."""

    local_environment: Annotated[
        str,
        Field(description="The environment of local sessions; unset, `data` or else `minimal`."),
    ] = ""
    local_python: Annotated[
        Path | None,
        Field(description="An interpreter for local sessions, in the place of environments."),
    ] = None
    local_preimport: Annotated[
        str,
        Field(description="Modules imported ahead for every local session, where they exist."),
    ] = "numpy,pandas,matplotlib.pyplot,scipy.stats,seaborn,openpyxl"
    local_network: Annotated[
        Literal["none", "host"],
        Field(description="`host` lets local sessions use this machine's network. Unsafe."),
    ] = "none"
    local_isolation: Annotated[
        Literal["auto", "namespaces", "landlock", "unsafe-none"],
        Field(description="What separates local sessions; `auto` takes the strongest there is."),
    ] = "auto"
    local_ready_sessions: Annotated[
        int, Field(ge=0, le=64, description="Local sessions kept started ahead of use.")
    ] = 1
    local_max_concurrent_sessions: Annotated[
        int, Field(ge=1, le=1000, description="Local sessions in use at once.")
    ] = 20
    local_cooldown_seconds: Annotated[
        float,
        Field(gt=0, description="Idle time after which a local session ends that no server keeps."),
    ] = 3600
    local_max_timeout_seconds: Annotated[
        float, Field(gt=0, le=86_400, description="The longest one local execution may take.")
    ] = 600
    local_interrupt_grace_seconds: Annotated[
        float,
        Field(
            gt=0, le=60, description="Time that interrupted code has to stop; then it is killed."
        ),
    ] = 3
    local_memory_mib: Annotated[
        int | None,
        Field(
            ge=128,
            description="Memory that one local session may really use, all its processes together; "
            "by default a quarter of the machine's, at most 8192.",
        ),
    ] = None
    local_disk_mib: Annotated[
        int, Field(ge=16, description="Size of a local session's work directory.")
    ] = 512
    local_max_processes: Annotated[
        int, Field(ge=8, le=4096, description="Processes of one local session.")
    ] = 128
    local_max_threads: Annotated[
        int, Field(ge=8, le=32_768, description="Threads of one local session, all its processes'.")
    ] = 2048
    local_checkpoints: Annotated[
        int,
        Field(
            ge=0,
            le=8,
            description="Executions of a local session that can be undone; 0 for no checkpoints.",
        ),
    ] = 1
    local_max_output_kib: Annotated[
        int, Field(ge=16, le=65_536, description="Output kept of each stream of one execution.")
    ] = 1024
    wasm_second_ring: Annotated[
        Literal["auto", "on"],
        Field(
            description="What holds the process around a session in WebAssembly: `auto` is what "
            "was tried, which is on Linux; `on` is also what was not, on macOS and Windows.",
        ),
    ] = "auto"
    wasm_cache_dir: Annotated[
        Path | None,
        Field(
            description="Where the wasm pool keeps what it compiles once (about 450 MB); by "
            "default a directory of this user's cache."
        ),
    ] = None
    local_max_file_mib: Annotated[
        int, Field(ge=1, le=65_536, description="The largest file moved to or from a session.")
    ] = 128

    @field_validator("local_python")
    @classmethod
    def _existing_interpreter(cls, value: Path | None) -> Path | None:
        # Not resolved: a virtual environment's interpreter is a link, and knows itself by its path.
        value = value and value.expanduser().absolute()
        if value and not (value.is_file() and os.access(value, os.X_OK)):
            raise ValueError("must be the path of a Python interpreter")
        return value
