"""Every error this package raises on purpose, in one tree.

    AcaMcpError
    ├── SettingsError                 a setting has a wrong value; start-up stops
    ├── HostPathRefusedError          a file of this machine may not be read or written
    ├── EnvironmentFailedError        an environment is not there, or cannot be made
    └── SessionPoolError              whatever a session pool can say no with
        ├── PoolUnavailableError      the pool cannot be reached or cannot start
        ├── PoolFullError             no more sessions at the moment
        │   └── HandlesUsedUpError    a client has as many sessions by handle as one may have
        ├── AuthenticationFailedError the pool does not accept our credentials
        ├── NotSupportedError         this kind of pool has no such operation
        ├── PackagesNotInstalledError packages were not permitted, or could not be had
        ├── InvalidRequestError       an argument is outside what the pool allows
        ├── SessionLostError          the session ended; its variables and files are gone
        ├── ExecutionOutcomeUnknownError  code was sent, and its answer was lost
        └── SessionFileError          one file of a session
            ├── InvalidPathError
            ├── FileMissingError
            ├── FileExistsInSessionError
            ├── FileTooLargeError
            └── StorageFullError

The message of each is a sentence for whoever reads it, a person or a model: what happened, what
was lost, what to do next. Messages never carry code, file contents, tokens or identifiers.

Errors of the layers below (the operating system, HTTP, the MCP SDK) are translated into this tree
once, where they enter, and into the protocol's own form once, where they leave.
"""

from __future__ import annotations


class AcaMcpError(Exception):
    """Base of every error that this package raises on purpose."""

    @property
    def message(self) -> str:
        """The sentence to show."""
        return str(self)


class SettingsError(AcaMcpError):
    """A setting has a value that cannot be used. The message names the setting and the fix."""


class HostPathRefusedError(AcaMcpError):
    """A file of the machine that the server runs on may not be read or written."""


class EnvironmentFailedError(AcaMcpError):
    """A named environment is not there or could not be made. One that was there is unchanged."""


class SessionPoolError(AcaMcpError):
    """Base of everything that a session pool can answer instead of a result."""


class PoolUnavailableError(SessionPoolError):
    """The pool cannot be reached or cannot start. Nothing was executed."""


class PoolFullError(SessionPoolError):
    """The pool has as many sessions as it may have. Nothing was executed."""


class HandlesUsedUpError(PoolFullError):
    """A client has as many sessions by handle as one may have, empty ones included."""


class AuthenticationFailedError(SessionPoolError):
    """The pool does not accept our credentials, or none could be had. Nothing was executed."""


class NotSupportedError(SessionPoolError):
    """This kind of pool does not have the operation."""


class PackagesNotInstalledError(SessionPoolError):
    """Packages were not permitted or could not be had. The session is as it was."""


class InvalidRequestError(SessionPoolError):
    """An argument is outside what the pool allows. Nothing was executed."""


class SessionLostError(SessionPoolError):
    """The session ended while it was being used: its variables and files are gone."""


class ExecutionOutcomeUnknownError(SessionPoolError):
    """Code was sent and its answer was lost: it may have run, wholly, partly or not at all."""


class SessionFileError(SessionPoolError):
    """Base of the errors that concern one file of a session."""


class InvalidPathError(SessionFileError):
    """The path leaves the work directory, or names something that is not a regular file."""


class FileMissingError(SessionFileError):
    """No such file or directory in the session."""


class FileExistsInSessionError(SessionFileError):
    """The file is there already and was not to be overwritten."""


class FileTooLargeError(SessionFileError):
    """The file is larger than the pool takes. What was there before is unchanged."""


class StorageFullError(SessionFileError):
    """The session's work directory has no room for the file. What was there is unchanged."""
