"""Settings: what an operator writes, what it means, and what is refused by name."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from psycopg.conninfo import conninfo_to_dict

from verify_mcp.errors import CredentialsMissing, InvalidSetting
from verify_mcp.logs import secret_values
from verify_mcp.settings import Credentials, Rate, Settings, read_settings
from verify_mcp.settings_table import SETTINGS, Setting

AUTH_ID, TOKEN = "MAXYZABCDEFGHIJKLMNO", "c2VjcmV0LXRva2VuLW9mLXRoZS1hY2NvdW50"
MEMORY = {"VERIFY_MCP_DATABASE_URL": "sqlite://"}
SET = {"PLIVO_AUTH_ID": AUTH_ID, "PLIVO_AUTH_TOKEN": TOKEN, **MEMORY}
DEFAULTS = Settings(credentials=Credentials(AUTH_ID, TOKEN))


def test_credentials_alone_are_enough() -> None:
    assert read_settings(SET) == DEFAULTS
    assert read_settings(SET).account() == Credentials(AUTH_ID, TOKEN)


@pytest.mark.parametrize(
    ("name", "text", "field", "value"),
    [
        (
            "VERIFY_MCP_API_URL",
            "https://verify.example:8443/",
            "api_url",
            "https://verify.example:8443",
        ),
        ("VERIFY_MCP_API_URL", "http://127.0.0.1:8080", "api_url", "http://127.0.0.1:8080"),
        ("VERIFY_MCP_API_URL", "http://[::1]:8080", "api_url", "http://[::1]:8080"),
        ("VERIFY_MCP_API_URL", "HTTP://localhost", "api_url", "http://localhost"),
        ("VERIFY_MCP_RATE_LIMIT", "5/1.5", "rate_limit", Rate(5, 1.5)),
        ("VERIFY_MCP_RATE_LIMIT", " 10 / 30 ", "rate_limit", Rate(10, 30)),
        ("VERIFY_MCP_RETRIEVE_RATE_LIMIT", "300/5", "retrieve_rate_limit", Rate(300, 5)),
        ("VERIFY_MCP_MAX_WAIT", "0", "max_wait", 0.0),
        ("VERIFY_MCP_MAX_WAIT", "50", "max_wait", 50.0),
        ("VERIFY_MCP_LOG_LEVEL", "debug", "log_level", "DEBUG"),
        ("VERIFY_MCP_MIRROR", "OFF", "mirror", False),
        ("VERIFY_MCP_RECIPIENTS", "masked", "masked", True),
        ("VERIFY_MCP_DATABASE_URL", "sqlite:///x.db", "database_url", "sqlite:///x.db"),
    ],
)
def test_every_variable_sets_its_field_and_nothing_else(
    name: str, text: str, field: str, value: Any
) -> None:
    assert read_settings({**SET, name: text}) == replace(DEFAULTS, **{field: value})


@pytest.mark.parametrize(
    "name",
    ["VERIFY_MCP_API_URL", "VERIFY_MCP_MAX_WAIT", "VERIFY_MCP_TIME_ZONE", "VERIFY_MCP_LOG_LEVEL"],
)  # fmt: skip
@pytest.mark.parametrize("text", ["", "  ", "${user_config.value}", "<value>"])
def test_an_empty_value_or_a_placeholder_counts_as_not_set(name: str, text: str) -> None:
    assert read_settings({**SET, name: text}) == DEFAULTS


RESTRICTIONS = (
    "VERIFY_MCP_RECIPIENTS", "VERIFY_MCP_MIRROR", "VERIFY_MCP_RETENTION", "VERIFY_MCP_RATE_LIMIT",
    "VERIFY_MCP_AHEAD", "VERIFY_MCP_RETRIEVE_RATE_LIMIT", "VERIFY_MCP_CALLER_BUDGET",
    "VERIFY_MCP_AUDIT_FILE",
    "VERIFY_MCP_TOKENS_FILE", "VERIFY_MCP_PUBLIC_URL", "VERIFY_MCP_OAUTH_ISSUER",
    "VERIFY_MCP_OAUTH_JWKS_URL", "VERIFY_MCP_OAUTH_AUDIENCE", "VERIFY_MCP_OAUTH_ALGORITHMS",
    "VERIFY_MCP_OAUTH_SUBACCOUNT_CLAIM",
)  # fmt: skip


def test_the_table_names_the_settings_that_restrict() -> None:
    assert {setting.name for setting in SETTINGS if setting.restricts} == set(RESTRICTIONS)


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_a_row_of_the_table_has_a_field_of_the_settings_and_an_example_that_can_be_read(
    setting: Setting,
) -> None:
    assert setting.field in {"", *(field.name for field in fields(Settings))}
    assert setting.read({}) == setting.read({setting.name: setting.default})
    assert setting.read({setting.name: setting.example}) is not None or not setting.example
    assert setting.example or not setting.restricts


@pytest.mark.parametrize("name", RESTRICTIONS)
@pytest.mark.parametrize("text", ["${user_config.value}", "<value>", "your_value", "xxxx"])
def test_r73_a_placeholder_in_a_setting_that_restricts_stops_the_start_with_its_name(
    name: str, text: str
) -> None:
    with pytest.raises(InvalidSetting, match=f"^{name} still holds a placeholder") as caught:
        read_settings({**SET, name: text})
    assert text not in str(caught.value)
    assert read_settings({**SET, name: "  "}) == DEFAULTS


def test_r73_a_claim_that_confines_nobody_is_refused() -> None:
    with pytest.raises(InvalidSetting, match=r"^VERIFY_MCP_OAUTH_SUBACCOUNT_CLAIM confines"):
        read_settings({**SET, "VERIFY_MCP_OAUTH_SUBACCOUNT_CLAIM": "subaccount"})


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("http://api.plivo.com", "is plain http to another machine"),
        ("http://10.0.0.7", "is plain http to another machine"),
        ("http://localhost.evil.example", "is plain http to another machine"),
        ("http://127.0.0.1.evil.example", "is plain http to another machine"),
        ("https://user:secret@api.plivo.com", "holds a user or password"),
        ("https://@api.plivo.com", "holds a user or password"),
        ("https://api.plivo.com/v1", "has a path or query"),
        ("https://api.plivo.com?x=1", "has a path or query"),
        ("https://api.plivo.com/#x", "has a path or query"),
        ("api.plivo.com", "is not a URL"),
        ("ftp://api.plivo.com", "is not a URL"),
        ("https://", "is not a URL"),
        ("https://[broken", "is not a URL"),
        ("https://api.plivo.com:99999", "is not a URL"),
        ("https://api.plivo.com:port", "is not a URL"),
    ],
)
def test_r48_an_address_that_would_leak_is_refused_by_name(url: str, problem: str) -> None:
    with pytest.raises(InvalidSetting) as caught:
        read_settings({**SET, "VERIFY_MCP_API_URL": url})
    assert str(caught.value) == (
        f"VERIFY_MCP_API_URL {problem}. Give https://host, e.g. https://api.plivo.com, or leave "
        "it out."
    )


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("VERIFY_MCP_RATE_LIMIT", "20"),
        ("VERIFY_MCP_RATE_LIMIT", "0/60"),
        ("VERIFY_MCP_RATE_LIMIT", "20/0"),
        ("VERIFY_MCP_RATE_LIMIT", "-20/60"),
        ("VERIFY_MCP_RATE_LIMIT", "fast"),
        ("VERIFY_MCP_RETRIEVE_RATE_LIMIT", "1e3/60"),
        ("VERIFY_MCP_MAX_WAIT", "51"),
        ("VERIFY_MCP_MAX_WAIT", "-1"),
        ("VERIFY_MCP_MAX_WAIT", "nan"),
        ("VERIFY_MCP_MAX_WAIT", "long"),
        ("VERIFY_MCP_LOG_LEVEL", "LOUD"),
        ("VERIFY_MCP_MIRROR", "maybe"),
        ("VERIFY_MCP_RECIPIENTS", "half"),
        ("VERIFY_MCP_DATABASE_URL", "mysql://x"),
        ("VERIFY_MCP_DATABASE_URL", "sqlite"),
    ],
)
def test_a_value_that_cannot_be_used_is_refused_by_name_and_unquoted(name: str, text: str) -> None:
    with pytest.raises(InvalidSetting, match=f"^{name} is ") as caught:
        read_settings({**SET, name: text})
    assert f" {text} " not in str(caught.value)


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({}, "PLIVO_AUTH_ID and PLIVO_AUTH_TOKEN not set. Set "),
        ({"PLIVO_AUTH_ID": AUTH_ID}, "PLIVO_AUTH_TOKEN not set. Set "),
        ({"PLIVO_AUTH_TOKEN": TOKEN, "PLIVO_AUTH_ID": " "}, "PLIVO_AUTH_ID not set. Set "),
        (
            {"PLIVO_AUTH_ID": "${PLIVO_AUTH_ID}", "PLIVO_AUTH_TOKEN": "${user_config.token}"},
            "PLIVO_AUTH_ID and PLIVO_AUTH_TOKEN still hold a placeholder. Set ",
        ),
        ({**SET, "PLIVO_AUTH_TOKEN": "<token>"}, "PLIVO_AUTH_TOKEN still holds a placeholder. "),
        ({**SET, "PLIVO_AUTH_TOKEN": "your-auth-token"}, "PLIVO_AUTH_TOKEN still holds "),
        ({**SET, "PLIVO_AUTH_ID": "xxxxxxxxxxxxxxxxxxxx"}, "PLIVO_AUTH_ID still holds "),
        (
            {"PLIVO_AUTH_ID": TOKEN, "PLIVO_AUTH_TOKEN": AUTH_ID},
            "PLIVO_AUTH_ID and PLIVO_AUTH_TOKEN look swapped: the id starts with MA or SA.",
        ),
        ({**SET, "PLIVO_AUTH_ID": AUTH_ID.lower()}, "PLIVO_AUTH_ID is not an auth id: "),
        ({**SET, "PLIVO_AUTH_ID": AUTH_ID + "\nX: y"}, "PLIVO_AUTH_ID is not an auth id: "),
        ({**SET, "PLIVO_AUTH_ID": "MA1234"}, "PLIVO_AUTH_ID is not an auth id: "),
        ({**SET, "PLIVO_AUTH_TOKEN": "a b c d e f g"}, "PLIVO_AUTH_TOKEN is not a token: "),
        ({**SET, "PLIVO_AUTH_TOKEN": "short"}, "PLIVO_AUTH_TOKEN is not a token: "),
        ({**SET, "PLIVO_AUTH_TOKEN": "tök€n-tök€n"}, "PLIVO_AUTH_TOKEN is not a token: "),
    ],
    ids=str,
)
def test_r47_missing_credentials_are_told_at_the_first_call_not_at_the_start(
    environ: dict[str, str], message: str
) -> None:
    settings = read_settings(environ)
    assert settings.credentials is None
    with pytest.raises(CredentialsMissing) as caught:
        settings.account()
    assert str(caught.value).startswith(message)
    assert TOKEN not in str(caught.value)


def test_the_token_may_live_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    environ = {"PLIVO_AUTH_ID": AUTH_ID, "PLIVO_AUTH_TOKEN_FILE": str(file), **MEMORY}
    assert read_settings(environ) == DEFAULTS
    assert read_settings({**environ, "PLIVO_AUTH_TOKEN": "another-token"}).account() == Credentials(
        AUTH_ID, "another-token"
    )


@pytest.mark.parametrize(
    "content", [None, b"\xff\xfe\xff", b" \n"], ids=["none", "binary", "empty"]
)
def test_a_token_file_that_cannot_be_read_is_named_and_the_server_can_start(
    tmp_path: Path, content: bytes | None
) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)
    settings = read_settings({"PLIVO_AUTH_ID": AUTH_ID, "PLIVO_AUTH_TOKEN_FILE": str(file)})
    assert settings.credentials is None
    assert settings.credentials_problem == (
        f"PLIVO_AUTH_TOKEN_FILE names {file}, which cannot be read or is empty. Put the auth "
        "token into that file (only you should be able to read it), then restart this server."
    )


def test_the_token_shows_in_no_repr_and_the_id_only_in_part() -> None:
    settings = read_settings(SET)
    assert TOKEN not in repr(settings)
    assert settings.account().masked_id == "MAXY…LMNO"


@pytest.mark.parametrize(("auth_id", "confined"), [(AUTH_ID, False), ("SA" + AUTH_ID[2:], True)])
def test_a_subaccount_is_known_by_its_id(auth_id: str, *, confined: bool) -> None:
    assert read_settings({**SET, "PLIVO_AUTH_ID": auth_id}).account().is_subaccount is confined


def test_a_rate_is_written_as_it_is_set() -> None:
    assert (str(Rate(20, 60.0)), str(Rate(5, 1.5))) == ("20/60", "5/1.5")


@pytest.mark.parametrize(
    ("url", "composed"),
    [
        ("postgresql://verify@db/verify", "postgresql://verify:p%40ss%2F%20w@db/verify"),
        ("postgres://verify@db:5433?sslmode=require",
         "postgres://verify:p%40ss%2F%20w@db:5433?sslmode=require"),
        ("postgresql://verify@a:1,b:2/verify", "postgresql://verify:p%40ss%2F%20w@a:1,b:2/verify"),
        ("postgresql:///verify?host=/run", "postgresql://:p%40ss%2F%20w@/verify?host=/run"),
    ],
)  # fmt: skip
def test_r80_the_databases_password_may_live_in_a_file(
    tmp_path: Path, url: str, composed: str
) -> None:
    file = tmp_path / "password"
    file.write_text("p@ss/ w\n")
    environ = {**SET, "VERIFY_MCP_DATABASE_URL": url}
    settings = read_settings({**environ, "VERIFY_MCP_DATABASE_PASSWORD_FILE": str(file)})
    assert settings == replace(DEFAULTS, database_url=composed)
    assert "p%40ss" not in repr(settings)
    assert "p@ss" not in repr(settings)
    assert conninfo_to_dict(composed)["password"] == "p@ss/ w"
    assert {"p@ss/ w", "p%40ss%2F%20w"} <= set(secret_values(settings))


@pytest.mark.parametrize("url", ["sqlite://", "postgresql://verify:secret@db/verify"])
def test_r80_a_password_file_that_the_address_does_not_need_is_refused(
    tmp_path: Path, url: str
) -> None:
    file = tmp_path / "password"
    file.write_text("other")
    environ = {**SET, "VERIFY_MCP_DATABASE_URL": url}
    with pytest.raises(InvalidSetting, match=r"^VERIFY_MCP_DATABASE_PASSWORD_FILE belongs") as hit:
        read_settings({**environ, "VERIFY_MCP_DATABASE_PASSWORD_FILE": str(file)})
    assert "secret" not in str(hit.value)
    assert "other" not in str(hit.value)


@pytest.mark.parametrize("content", [None, b"\xff\xfe", b" \n"], ids=["none", "binary", "empty"])
def test_r80_a_password_file_that_cannot_be_read_is_named(
    tmp_path: Path, content: bytes | None
) -> None:
    file = tmp_path / "password"
    if content is not None:
        file.write_bytes(content)
    environ = {**SET, "VERIFY_MCP_DATABASE_URL": "postgresql://verify@db/verify"}
    with pytest.raises(InvalidSetting, match=r"^VERIFY_MCP_DATABASE_PASSWORD_FILE names"):
        read_settings({**environ, "VERIFY_MCP_DATABASE_PASSWORD_FILE": str(file)})
