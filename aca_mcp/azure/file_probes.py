"""Questions about files."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from aca_mcp.azure.probe_client import fields_of
from aca_mcp.azure.probes import Probe, words

if TYPE_CHECKING:
    from aca_mcp.azure.probe_client import ProbeAnswer, ProbeClient

_PARENT = "probe-directory"


async def _base_name(ask: ProbeClient) -> str:
    seen = await ask("POST", "files", file=("/mnt/data/probe.txt", b"abc"))
    return f"{seen.code}: {words(seen.fields.get('name'))}"


async def _file_types(ask: ProbeClient) -> str:
    await ask("POST", "files", file=("probe.txt", b"abc"))
    seen = await ask("GET", "files")
    return f"{seen.code}: {_entry(seen, 'probe.txt')}"


async def _made_directories(ask: ProbeClient) -> str:
    below = {"path": f"{_PARENT}/inner"}
    made = await ask("POST", "files", file=("probe.txt", b"abc"), query=below)
    seen = await ask("GET", "files", query={"path": _PARENT})
    return f"{made.code}, {seen.code}: {_entry(seen, 'inner')}"


def _entry(seen: ProbeAnswer, name: str) -> str:
    value = seen.fields.get("value", seen.body)
    for each in cast("list[object]", value) if isinstance(value, list) else ():
        if (fields := fields_of(each)).get("name") == name:
            return f"{fields.get('type')} in {fields.get('directory')!r}"
    return "not listed"


async def _last_page(ask: ProbeClient) -> str:
    seen = await ask("GET", "files")
    listed = isinstance(seen.fields.get("value"), list)
    has = "with" if "nextLink" in seen.fields else "without"
    return f"{seen.code}, {'a list' if listed else 'no list'} {has} nextLink"


async def _paths(ask: ProbeClient) -> str:
    return (await ask("GET", "files", query={"path": "v1.2"})).code


async def _missing_file(ask: ProbeClient) -> str:
    return (await ask("GET", "files/not-there.txt/content")).code


async def _missing_directory(ask: ProbeClient) -> str:
    return (await ask("GET", "files", query={"path": "not-there"})).code


async def _file_names(ask: ProbeClient) -> str:
    seen = [await ask("POST", "files", file=(name, b"abc")) for name in ("a*b.txt", "..\\c.txt")]
    return ", ".join(each.code for each in seen)


async def _error_shape(ask: ProbeClient) -> str:
    seen = await ask("GET", "files/not-there.txt/content")
    error = fields_of(seen.fields.get("error"))
    found = [name for name in ("code", "traceId") if isinstance(error.get(name), str)]
    if seen.headers.get("x-ms-error-code") == error.get("code"):
        found.append("x-ms-error-code")
    return f"{seen.status}: {', '.join(found)}"


async def _refused_allocation(ask: ProbeClient) -> str:
    seen = await ask("GET", "files", query={"path": "v1.2"})
    return f"{seen.status}: {seen.headers.get('x-ms-new-allocation')}"


FILE_PROBES = {
    "base-name": Probe(_base_name, "200: probe.txt"),
    "file-types": Probe(_file_types, "200: file in '.'"),
    "made-directories": Probe(_made_directories, "200, 200: directory in '.'"),
    "last-page": Probe(_last_page, "200, a list without nextLink"),
    "paths": Probe(_paths, "400 FilePathInvalid"),
    "missing-file": Probe(_missing_file, "404 FileNotFound"),
    "missing-directory": Probe(_missing_directory, "404 FileNotFound"),
    "file-names": Probe(_file_names, "400 FileNameInvalid, 400 FileNameInvalid"),
    "error-shape": Probe(_error_shape, "404: code, traceId, x-ms-error-code"),
    "refused-allocation": Probe(_refused_allocation, "400: false"),
}
