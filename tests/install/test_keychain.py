from __future__ import annotations

import sys
from collections.abc import Iterator

import keyring
import pytest
from keyring.backends.fail import Keyring as NoKeyring

from tests.support.keyrings import Keyring
from verify_mcp import keychain
from verify_mcp.cli import checks
from verify_mcp.errors import InvalidSetting
from verify_mcp.settings import Credentials, read_settings

ACCOUNT = "MAXXXXXXXXXXXXXXXXXX"
TOKEN = "bmV2ZXIgYSByZWFsIHRva2Vu"
ENVIRON = {"PLIVO_AUTH_ID": ACCOUNT, "PLIVO_AUTH_TOKEN_KEYRING": "verify-mcp"}


@pytest.fixture
def stored_token() -> Iterator[Keyring]:
    before, ours = keyring.get_keyring(), Keyring()
    keyring.set_keyring(ours)
    yield ours
    keyring.set_keyring(before)


def test_the_server_reads_the_token_that_was_kept(stored_token: Keyring) -> None:
    keychain.store_token("verify-mcp", ACCOUNT, TOKEN)
    assert stored_token.held == {("verify-mcp", ACCOUNT): TOKEN}
    assert read_settings(ENVIRON).credentials == Credentials(ACCOUNT, TOKEN)


def test_a_token_in_the_environment_wins_over_the_keyring(stored_token: Keyring) -> None:
    keychain.store_token("verify-mcp", ACCOUNT, TOKEN)
    environ = {**ENVIRON, "PLIVO_AUTH_TOKEN": "another-token"}
    assert read_settings(environ).credentials == Credentials(ACCOUNT, "another-token")
    assert stored_token.held


@pytest.mark.usefixtures("stored_token")
def test_a_token_that_is_not_in_the_keyring_is_missing() -> None:
    assert read_settings(ENVIRON).credentials is None
    assert "PLIVO_AUTH_TOKEN not set" in read_settings(ENVIRON).credentials_problem


def test_a_locked_keyring_is_said_to_be_locked(stored_token: Keyring) -> None:
    stored_token.locked = True
    with pytest.raises(InvalidSetting, match="could not be read: unlock it"):
        read_settings(ENVIRON)
    with pytest.raises(InvalidSetting, match="took no token: unlock it"):
        keychain.store_token("verify-mcp", ACCOUNT, TOKEN)


def test_without_the_extra_the_setting_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    assert not keychain.is_usable("darwin")
    with pytest.raises(InvalidSetting, match=r"install verify-mcp\[keyring\]"):
        read_settings(ENVIRON)


def test_only_a_keyring_that_a_client_can_reach_and_that_hides_is_used(
    stored_token: Keyring,
) -> None:
    assert [keychain.is_usable(each) for each in ("darwin", "win32", "linux")] == [
        True,
        True,
        False,
    ]
    keyring.set_keyring(NoKeyring())  # type: ignore[no-untyped-call]  # as its library has it
    assert not keychain.is_usable("darwin")
    assert not stored_token.held


def test_the_doctor_says_where_the_token_is(stored_token: Keyring) -> None:
    stored_token.set_password("verify-mcp", ACCOUNT, TOKEN)
    told = [each.message for each in checks.account(ENVIRON)]
    assert told[-1] == "in the system's keyring (not shown)"
