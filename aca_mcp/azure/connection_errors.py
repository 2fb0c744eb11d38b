"""What went wrong with a connection, in words that name what to look at.

The errors of httpx are of two kinds here: the request was not sent, or its answer is lost; and of
each some would come again. Everything that httpx raises is one of these.
"""

from __future__ import annotations

import ssl
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

import httpx

from aca_mcp.errors import PoolUnavailableError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping

FOREIGN = (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL, httpx.CookieConflict)
"""Everything that httpx raises by itself. What the content of a request raises passes through it as
it is, and belongs to whoever gave the content."""
NOT_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    httpx.InvalidURL,
)
"""Those of them that are raised before anything of a request was sent."""
_LASTING = (httpx.UnsupportedProtocol, httpx.InvalidURL, httpx.DecodingError, httpx.StreamError)

_MAX_CAUSES = 20
_CERTIFICATES = (
    "SSL_CERT_FILE and SSL_CERT_DIR name the certificates that are trusted; a proxy that looks "
    "into TLS needs its own among them."
)


class Tunnel:
    """Whether a proxy is being asked for a way to the pool, so that nothing was sent there yet.

    httpx raises the same for a proxy that goes away then and for a pool that does after a request.
    """

    def __init__(self) -> None:
        """Describe one that is not asked for yet."""
        self.is_asked_for = False

    async def note(self, event: str, info: Mapping[str, object]) -> None:
        """Take what httpcore's extension ``trace`` tells of a request."""
        request = info.get("request")
        if event.endswith("send_request_headers.started"):
            self.is_asked_for = getattr(request, "method", b"") == b"CONNECT"


def has_proxy() -> bool:
    """Whether the environment names any."""
    return bool(urllib.request.getproxies())


def is_lasting(error: Exception) -> bool:
    """Whether it would be the same if it were tried again."""
    return isinstance(error, _LASTING) or any(
        isinstance(cause, ssl.SSLCertVerificationError) for cause in _causes(error)
    )


def describe_failed_connection(error: Exception, url: str) -> str:
    """Why a request was not sent: a sentence with what to do.

    Args:
        error: httpx's, with its causes.
        url: where the request was to go; of it, the host is told.
    """
    host = urlsplit(url).hostname or "the session pool"
    causes = tuple(_causes(error))
    proxy = proxy_for(url)
    way = (
        f"{host} through the proxy {proxy}, which HTTPS_PROXY or ALL_PROXY names" if proxy else host
    )
    if isinstance(error, httpx.ProxyError):
        return f"The proxy {proxy or 'on the way'} refused to connect to {host}: {_words(error)}."
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return (
                f"The TLS certificate of {host} is not trusted: {cause.verify_message}. "
                f"{_CERTIFICATES}"
            )
        if isinstance(cause, ssl.SSLError):
            return f"TLS with {way} failed: {cause.reason or _words(cause)}. {_CERTIFICATES}"
    if isinstance(error, httpx.TimeoutException):
        return f"No connection to {way} within ACA_MCP_AZURE_CONNECT_TIMEOUT_SECONDS."
    refused = next((cause for cause in reversed(causes) if isinstance(cause, OSError)), None)
    return f"No connection to {way}: {_words(refused) if refused else type(error).__name__}."


def describe_broken_answer(error: Exception) -> str:
    """Why an answer could not be read, as a clause."""
    if isinstance(error, httpx.DecodingError):
        return "it is not in the encoding that its header names"
    return f"the connection broke ({type(error).__name__})"


def proxy_for(url: str) -> str:
    """Host and port of the proxy that httpx takes for a URL, without its password; or nothing."""
    parts = urlsplit(url)
    try:
        proxies = urllib.request.getproxies()  # as httpx asks, and only after a failure
        proxy = proxies.get(parts.scheme) or proxies.get("all", "")
        if not proxy or urllib.request.proxy_bypass(parts.netloc):
            return ""
        found = urlsplit(proxy if "://" in proxy else f"//{proxy}")
        return f"{found.hostname}:{found.port}" if found.port else found.hostname or ""
    except (OSError, ValueError):
        return ""


@contextmanager
def opening() -> Generator[None]:
    """Map what making a client raises: it reads files and proxies that the environment names.

    Raises:
        PoolUnavailableError: one of those cannot be used.
    """
    try:
        yield
    except (OSError, ssl.SSLError) as error:
        raise PoolUnavailableError(
            "The certificates that SSL_CERT_FILE or SSL_CERT_DIR names cannot be read "
            f"({_words(error)}). Set it to a file of certificates in PEM form, or unset it."
        ) from error
    except (ValueError, httpx.InvalidURL, ImportError) as error:
        raise PoolUnavailableError(
            "The proxy that HTTPS_PROXY, HTTP_PROXY or ALL_PROXY names cannot be used "
            f"({type(error).__name__}). Give it as http://HOST:PORT, or unset it."
        ) from error


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what caused it, outermost first; of several causes at once, the last."""
    current: BaseException | None = error
    for _ in range(_MAX_CAUSES):
        if current is None:
            return
        yield current
        if isinstance(current, ExceptionGroup):
            # Each address of a name was tried.
            current = cast("ExceptionGroup[Exception]", current).exceptions[-1]
        else:
            current = current.__cause__ or current.__context__


def _words(error: BaseException) -> str:
    text = " ".join(str(getattr(error, "strerror", None) or error).split())[:200].rstrip(".")
    return text or type(error).__name__
