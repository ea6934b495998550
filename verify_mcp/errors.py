"""The errors of this package, one class for each reader and remedy.

VerifyError
├── InvalidArgument       the caller: the mistake, what is valid, an example
├── SessionNotFound       the caller: no such session, and how to find one
├── InvalidSetting        the operator: a setting that cannot be used
├── ConfigUnusable        the operator: a client's file that cannot be read or changed
├── QuotaExhausted        the caller: no request may be sent yet; try again in `eta_s`
├── RowsIncomplete        the caller: rows of an earlier version are being completed; ask again
├── DatabaseUnavailable   the operator: no mirror and no shared rate limit for now
└── ApiError              a request to the Verify API failed
    ├── CredentialsMissing    the operator: which variables to set
    ├── CredentialsRejected   the operator: the API refused them (401)
    ├── AccessDenied          the operator: known, but not allowed (403)
    ├── RequestRejected       the caller: the API refused the request (400, 404, 405)
    ├── RateLimited           the API said "too many requests" (429)
    ├── ApiUnreachable        the network: refused, reset, timed out, TLS
    └── ApiFailed             the API answered with an error or with something unreadable

A message is a sentence for the reader who can act. It never quotes the API's reply, a recipient or
a secret. The attributes of an exception are for the code that catches it.
"""


class VerifyError(Exception):
    """Base of every error that this package raises on purpose; its text is safe to show."""


class InvalidArgument(VerifyError):
    """An argument of a tool, prompt or resource is not valid."""


class SessionNotFound(VerifyError):
    """The API knows no session with this id in the last 90 days."""


class InvalidSetting(VerifyError):
    """An environment variable or option holds a value that cannot be used."""


class ConfigUnusable(VerifyError):
    """A client's configuration cannot be read, parsed or changed; it stays as it was."""


class QuotaExhausted(VerifyError):
    """No request may be sent within the time that this call may wait."""

    def __init__(self, eta_s: float) -> None:
        super().__init__(f"The account's request quota is used up; free again in {eta_s:.0f} s.")
        self.eta_s = eta_s


class ApiError(VerifyError):
    """A request to the Verify API failed; `retryable` says whether a retry can help."""

    retryable = False
    once = False
    """Whether only one retry is worth its request."""


class CredentialsMissing(ApiError):
    """The account's id or token is not configured."""


class CredentialsRejected(ApiError):
    """The API answered 401."""


class AccessDenied(ApiError):
    """The API answered 403."""


class RequestRejected(ApiError):
    """The API answered 400, 405 or another refusal of the request itself."""


class RateLimited(ApiError):
    """The API answered 429; `retry_after` is its Retry-After in seconds, None when it had none."""

    def __init__(self, retry_after: float | None) -> None:
        super().__init__(
            "The Verify API refused the request: too many requests (429). Others may be using "
            "this account; try again in a minute."
        )
        self.retry_after = retry_after


class ApiUnreachable(ApiError):
    """No answer arrived; `sent` is False when the request cannot have reached the API."""

    retryable = True

    def __init__(self, message: str, *, sent: bool = True) -> None:
        super().__init__(message)
        self.sent = sent


class ApiFailed(ApiError):
    """The API answered with a server error or with something unreadable."""

    def __init__(self, message: str, *, retryable: bool = False, once: bool = False) -> None:
        super().__init__(message)
        self.retryable = retryable
        self.once = once


class RowsIncomplete(VerifyError):
    """Stored sessions of an earlier version are not completed in the time of one call."""


class DatabaseUnavailable(VerifyError):
    """The database cannot be used now.

    `damaged` says that the file as it is stays unusable, and `reason` why. `gone` says that the
    file was replaced or removed, so that opening it again helps at once.
    """

    def __init__(
        self, message: str, *, damaged: bool = False, reason: str = "damaged", gone: bool = False
    ) -> None:
        super().__init__(message)
        self.damaged = damaged
        self.reason = reason
        self.gone = gone
