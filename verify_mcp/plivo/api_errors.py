"""Statuses and network failures of the API translated into this package's errors."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

from verify_mcp.domain.filters import SessionFilter
from verify_mcp.errors import (
    AccessDenied,
    ApiError,
    ApiFailed,
    ApiUnreachable,
    CredentialsRejected,
    RequestRejected,
)

CA_REMEDY = (
    "Behind a company proxy, set SSL_CERT_FILE to a file with its CA certificate; "
    "`verify-mcp doctor` explains."
)


class NotFound(RequestRejected):
    """The API answered 404, whose meaning depends on the request."""


_ERRORS_BY_STATUS: dict[int, tuple[type[ApiError], str]] = {
    401: (
        CredentialsRejected,
        "The Verify API refused the credentials (401). Check PLIVO_AUTH_ID and PLIVO_AUTH_TOKEN "
        "against the Plivo console and restart this server; `verify-mcp doctor` tests them.",
    ),
    403: (
        AccessDenied,
        "The Verify API denied access (403). These credentials may lack permission for Verify, "
        "or the subaccount belongs to another account.",
    ),
    404: (
        NotFound,
        "The Verify API has nothing at this address (404): check PLIVO_AUTH_ID and "
        "VERIFY_MCP_API_URL.",
    ),
}


def error_for_status(status: int) -> ApiError:
    """The error for a status other than 200 and 429."""
    if status in _ERRORS_BY_STATUS:
        kind, message = _ERRORS_BY_STATUS[status]
        return kind(message)
    match status // 100:
        case 5 if status == 500:  # a read is idempotent, and one 500 is often the only one
            message = "The Verify API failed (500). Try again in a minute."
            return ApiFailed(message, retryable=True, once=True)
        case 5:
            message = f"The Verify API is unavailable ({status}). Try again in a minute."
            return ApiFailed(message, retryable=status in (502, 503, 504))
        case 4:
            return RequestRejected(f"The Verify API refused the request ({status}).")
        case 3:
            return ApiFailed(
                f"The Verify API answered with a redirect ({status}), which is never followed. "
                "Check VERIFY_MCP_API_URL."
            )
    return ApiFailed(f"The Verify API answered without an answer ({status}).")


@contextmanager
def name_filters_in_error(session_filter: SessionFilter) -> Iterator[None]:
    """Name the filters, never their values, in the error of a list request (400 and the like)."""
    try:
        yield
    except NotFound:
        raise
    except RequestRejected as error:
        sent = ", ".join([*session_filter.set_filters(), "limit", "offset"])
        raise RequestRejected(f"{error} It was sent: {sent}. Change or drop one.") from error


@contextmanager
def translate_network_errors(timeout: float) -> Iterator[None]:
    """Raise ApiUnreachable for a network failure, with `sent` False when no request was sent."""
    import httpx

    try:
        yield
    except (httpx.ConnectTimeout, httpx.PoolTimeout) as error:
        raise ApiUnreachable(
            "The Verify API could not be reached in time. Check the network.", sent=False
        ) from error
    except (TimeoutError, httpx.TimeoutException) as error:
        raise ApiUnreachable(
            f"The Verify API gave no complete answer within {timeout:g} s."
        ) from error
    except (httpx.ProxyError, httpx.UnsupportedProtocol) as error:
        raise ApiUnreachable(
            "The proxy named in the environment (HTTPS_PROXY) refused or failed. "
            "`verify-mcp doctor` explains.",
            sent=False,
        ) from error
    except httpx.ConnectError as error:
        raise _connect_error(error) from error
    except (httpx.TransportError, httpx.StreamError, httpx.InvalidURL) as error:
        raise ApiUnreachable("The connection to the Verify API broke during the answer.") from error


def _connect_error(error: Exception) -> ApiUnreachable:
    causes = list(_error_chain(error))
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return ApiUnreachable(
                f"The Verify API's certificate is not trusted here. {CA_REMEDY}", sent=False
            )
        if isinstance(cause, ssl.SSLError):
            return ApiUnreachable(
                f"No secure connection to the Verify API. {CA_REMEDY}", sent=False
            )
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        return ApiUnreachable(
            "The Verify API's host name could not be resolved. Check the network.", sent=False
        )
    return ApiUnreachable(
        "The connection to the Verify API was refused. Check the network, VERIFY_MCP_API_URL and, "
        "if HTTPS_PROXY is set, that proxy.",
        sent=False,
    )


def _error_chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()  # causes can form a circle
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__
