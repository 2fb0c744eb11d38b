"""What the emulator does as the service does it, and how that is known.

``seen``: measured on the service by somebody, or recorded from it. ``spec``: published by Microsoft
as specification or documentation. ``inferred``: neither; what clients bear best. The table in
``docs/emulator.md`` is made from this one, and ``aca-mcp azure verify`` asks a real pool about it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Evidence = Literal["seen", "spec", "inferred"]


@dataclass(frozen=True, slots=True)
class Behaviour:
    """One thing that the service does."""

    name: str
    evidence: Evidence
    what: str


CATALOGUE = (
    Behaviour("routes", "spec", "Routes, parameters, bodies and status words of both families."),
    Behaviour(
        "case",
        "inferred",
        "The case of paths and of parameters' names does not matter; that of file names does.",
    ),
    Behaviour(
        "unknown-route", "seen", "An unknown method or route: 400 SessionRequestNotSupported."
    ),
    Behaviour("unknown-version", "inferred", "An unknown api-version: 400 InvalidApiVersion."),
    Behaviour("nulls", "inferred", "A field that is null is one that is not there."),
    Behaviour(
        "wrapped-body",
        "seen",
        "Since 2024-10-02 a body wrapped in `properties`, or without code: "
        "400 SessionPropertiesMissing.",
    ),
    Behaviour("invalid-body", "seen", "Fields that do not fit: 400 with a problem report."),
    Behaviour(
        "python-execute",
        "seen",
        "`POST python/execute` with `pythonCode`, the identifier in the query or the body, and a "
        "flat answer: clients that are still published send it.",
    ),
    Behaviour("values", "spec", "Values keep their JSON type; NaN is null; None is empty text."),
    Behaviour("figures", "spec", "A figure is the value, as `type`, `format` and `base64_data`."),
    Behaviour("several-figures", "inferred", "Of several figures the last is the value."),
    Behaviour("displayed-text", "inferred", "Text that `display()` shows is in stdout."),
    Behaviour(
        "exception",
        "seen",
        "An exception of the code: 200, `Failed` or `Failure`, the traceback in stderr.",
    ),
    Behaviour(
        "exception-error", "inferred", "And `error.error.code` of ExecutionFailed, in the newer."
    ),
    Behaviour(
        "timeout",
        "seen",
        "Code over its time: 200, `Failed`, stderr 'Request timed out waiting for code execution "
        "to complete'.",
    ),
    Behaviour("default-timeout", "seen", "Without `timeoutInSeconds`, 220 seconds."),
    Behaviour("longest-timeout", "spec", "At most 220 seconds, asynchronous executions too."),
    Behaviour("interpreter-died", "seen", "The interpreter dies: `Failed`, 'Kernel restarted'."),
    Behaviour(
        "aborted",
        "seen",
        "Code that waited while other code ran out of time: `Failed`, 'Execution aborted'.",
    ),
    Behaviour(
        "output-length",
        "spec",
        "Each stream is cut, without a word, at `outputStreamsMaxLength`, or at 4,096 characters.",
    ),
    Behaviour(
        "asynchronous",
        "spec",
        "`Running` at once, `operation-id` and `Operation-Location`; the result when asked for.",
    ),
    Behaviour(
        "file-types",
        "seen",
        "`type` is `file` or `directory`; `directory` is `.` at the top of what is listed.",
    ),
    Behaviour("last-page", "seen", "The last page of a list has no `nextLink`."),
    Behaviour(
        "file-names", "spec", "File names have the documented characters, judged as they were sent."
    ),
    Behaviour("base-name", "seen", "An upload is kept under the base name of what a client names."),
    Behaviour("paths", "spec", "`path` has no dot in it: 400 FilePathInvalid."),
    Behaviour("made-directories", "inferred", "An upload makes the directories of its `path`."),
    Behaviour("missing-directory", "inferred", "Listing a directory that is not there: 404."),
    Behaviour("missing-file", "seen", "A file that is not there: 404 FileNotFound."),
    Behaviour("file-size", "spec", "Uploads have at most 128 MiB; more is answered 413."),
    Behaviour("full-disk", "inferred", "A full disk is answered 507."),
    Behaviour(
        "identifiers", "spec", "Identifiers have 4 to 128 characters, of those that are specified."
    ),
    Behaviour("session", "seen", "`GET` and `DELETE session` of a missing one: 404."),
    Behaviour(
        "managed-session",
        "seen",
        "`.management/getSession` and `stopSession` of a missing one: "
        "400 SessionWithIdentifierNotFound.",
    ),
    Behaviour(
        "managed-shapes",
        "spec",
        "The `.management` operations say `expiresAt`, `value` and `count`, 300 sessions a page.",
    ),
    Behaviour("stop-session", "spec", "`.management/stopSession` since 2025-02-02: 200 with text."),
    Behaviour("new-allocation", "seen", "`x-ms-new-allocation` and `x-ms-session-etag`."),
    Behaviour("refused-allocation", "inferred", "Refusals have `x-ms-new-allocation` too."),
    Behaviour("full-pool", "seen", "A full pool: a flat 429 of SessionsCountExceedsLimit."),
    Behaviour("directory", "seen", "Code begins in a directory that is not `/mnt/data`."),
    Behaviour("token", "seen", "No token or a wrong one: 401; one without the role: 403."),
    Behaviour("error-shape", "seen", "`error.code`, `error.traceId` and `x-ms-error-code`."),
    Behaviour(
        "shell",
        "seen",
        "Shell pools: the exit code is the status, -1 for a timeout; code and its options are "
        "refused.",
    ),
)
