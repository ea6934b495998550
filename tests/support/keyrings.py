"""A system keyring that tests can look into."""

from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked


class Keyring(KeyringBackend):
    """Keeps passwords in memory, and can be locked."""

    priority = 5

    def __init__(self) -> None:
        KeyringBackend.__init__(self)  # type: ignore[no-untyped-call]  # as its library has it
        self.held: dict[tuple[str, str], str] = {}
        self.locked = False

    def get_password(self, service: str, username: str) -> str | None:
        if self.locked:
            raise KeyringLocked
        return self.held.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        if self.locked:
            raise KeyringLocked
        self.held[service, username] = password
