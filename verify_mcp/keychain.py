"""The auth token in the system's keyring, for those who installed the `keyring` extra.

macOS and Windows only: there a program that a client starts reaches the keyring by itself. On Linux
it needs the session bus, whose address most clients do not pass on, so a file is the surer place.
"""

import sys

from verify_mcp.errors import InvalidSetting

SERVICE = "verify-mcp"
_PLATFORMS = ("darwin", "win32")


def is_usable(platform: str = sys.platform) -> bool:
    """Whether a token kept here would be found by the server that a client starts."""
    if platform not in _PLATFORMS:
        return False
    try:
        import keyring
    except ImportError:
        return False
    # Below 1 are the back ends that keep nothing, or keep it in clear.
    return float(keyring.get_keyring().priority) >= 1


def get_token(service: str, auth_id: str) -> str:
    """The token of this account, empty when there is none. Raises InvalidSetting."""
    try:
        import keyring
    except ImportError:
        raise InvalidSetting(
            "PLIVO_AUTH_TOKEN_KEYRING is set, but the keyring extra is not installed: "
            "install verify-mcp[keyring]."
        ) from None
    from keyring.errors import KeyringError

    try:
        return keyring.get_password(service, auth_id) or ""
    except KeyringError as error:
        raise InvalidSetting("The system's keyring could not be read: unlock it.") from error


def store_token(service: str, auth_id: str, token: str) -> None:
    """Store the token of this account. Raises InvalidSetting."""
    import keyring
    from keyring.errors import KeyringError

    try:
        keyring.set_password(service, auth_id, token)
    except KeyringError as error:
        raise InvalidSetting("The system's keyring took no token: unlock it.") from error
