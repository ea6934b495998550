"""`verify-mcp doctor`: plain words on what is right, what is not, and what to do."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import keyring
import pytest

from verify_mcp.cli import checks, doctor, main, network_checks
from verify_mcp.cli.checks import OK, PROBLEM, WARNING, CheckResult
from verify_mcp.cli.network_checks import ApiProbe
from verify_mcp.emulator import SANDBOX_AUTH_ID, SANDBOX_AUTH_TOKEN, Emulator
from verify_mcp.errors import ApiUnreachable

NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
GOOD = {
    "PLIVO_AUTH_ID": SANDBOX_AUTH_ID,
    "PLIVO_AUTH_TOKEN": SANDBOX_AUTH_TOKEN,
    "VERIFY_MCP_API_URL": "http://localhost",
}


def levels(findings: Iterable[CheckResult]) -> dict[str, str]:
    return {each.subject: each.level for each in findings}


class Doctor:
    """The command over a given environment, its output folded into one line."""

    def __init__(self, capsys: pytest.CaptureFixture[str], home: Path) -> None:
        self.capsys = capsys
        self.home = home
        self.api = Emulator()

    def __call__(self, environ: Mapping[str, str], *, offline: bool = False) -> tuple[int, str]:
        kept = {"VERIFY_MCP_DATABASE_URL": f"sqlite:///{self.home}/data/kept.sqlite3"}
        code = doctor.run(kept | dict(environ), offline=offline, app=self.api)
        printed = self.capsys.readouterr()
        assert printed.err == ""
        assert SANDBOX_AUTH_TOKEN not in printed.out
        return code, " ".join(printed.out.split())


@pytest.fixture
def examine(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Doctor:
    return Doctor(capsys, tmp_path)


def test_a_ready_machine_is_told_so_for_one_request(examine: Doctor) -> None:
    code, told = examine(GOOD)
    assert code == 0
    assert "API answered, and the credentials are good (1 request)" in told
    assert "MASA…0000 (an account)" in told
    assert [(each.method, each.query) for each in examine.api.received] == [
        ("GET", [("limit", "1"), ("offset", "0")])
    ]


def test_offline_asks_nothing(examine: Doctor) -> None:
    code, told = examine(GOOD, offline=True)
    assert (code, examine.api.received) == (0, [])
    assert "API not asked (--offline)" in told
    assert "the warnings are worth a look. Not checked: API, Clock." in told
    assert "All is well" not in told


def test_a_program_reads_the_results_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    here = GOOD | {"VERIFY_MCP_DATABASE_URL": "sqlite://"}
    assert doctor.run(here, as_json=True, app=Emulator()) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["verdict"] == "No problem found; the warnings are worth a look."
    (api,) = [each for each in printed["checks"] if each["subject"] == "API"]
    assert api["level"] == "ok"
    assert Path(printed["client"]["command"]).is_absolute()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (
            {"PLIVO_AUTH_ID": ""},
            "PLIVO_AUTH_ID not set. Set PLIVO_AUTH_ID and PLIVO_AUTH_TOKEN in this shell",
        ),
        ({"PLIVO_AUTH_TOKEN": "${TOKEN}"}, "PLIVO_AUTH_TOKEN still holds a placeholder."),
        (
            {"PLIVO_AUTH_ID": "token-token", "PLIVO_AUTH_TOKEN": SANDBOX_AUTH_ID},
            "PLIVO_AUTH_ID and PLIVO_AUTH_TOKEN look swapped",
        ),
        ({"PLIVO_AUTH_ID": "MA123"}, "PLIVO_AUTH_ID is not an auth id"),
        (
            {"PLIVO_AUTH_TOKEN": "", "PLIVO_AUTH_TOKEN_FILE": "/nowhere"},
            "PLIVO_AUTH_TOKEN_FILE names /nowhere, which cannot be read or is empty.",
        ),
    ],
)
def test_unusable_credentials_are_named_and_no_request_is_spent(
    examine: Doctor, changed: dict[str, str], said: str
) -> None:
    code, told = examine(GOOD | changed)
    assert (code, examine.api.received) == (1, [])
    assert said in told
    assert "One thing to put right." in told


def test_refused_credentials_are_told_with_what_to_do(examine: Doctor) -> None:
    code, told = examine(GOOD | {"PLIVO_AUTH_TOKEN": "another-token"})
    assert code == 1
    assert "The Verify API refused the credentials (401)." in told
    assert "A token can be renewed in the Plivo console" in told
    assert len(examine.api.received) == 1


def test_every_unusable_setting_is_named_and_misspelt_ones_are_pointed_out(
    examine: Doctor,
) -> None:
    wrong = {"VERIFY_MCP_RATE_LIMIT": "fast", "VERIFY_MCP_MAX_WAIT": "90", "VERIFY_MCP_WAIT": "1"}
    code, told = examine(GOOD | wrong)
    assert (code, examine.api.received) == (1, [])
    assert "VERIFY_MCP_RATE_LIMIT is not a rate." in told
    assert "VERIFY_MCP_MAX_WAIT is not a number of seconds" in told
    assert "VERIFY_MCP_WAIT not a setting of verify-mcp" in told
    assert "2 to put right." in told
    assert "API not asked (put the problems above right first)" in told


OAUTH = {
    "VERIFY_MCP_PUBLIC_URL": "https://verify.example.com/mcp",
    "VERIFY_MCP_OAUTH_ISSUER": "https://id.example.com",
    "VERIFY_MCP_OAUTH_JWKS_URL": "https://id.example.com/jwks",
    "VERIFY_MCP_OAUTH_SUBACCOUNT_CLAIM": "subaccount",
}


def test_a_correct_oauth_configuration_is_well(examine: Doctor) -> None:
    code, told = examine(GOOD | OAUTH)
    assert code == 0
    assert "ok VERIFY_MCP_OAUTH_ISSUER https://id.example.com" in told
    assert "to put right" not in told


@pytest.mark.parametrize(
    ("changed", "name", "said"),
    [
        (
            {"VERIFY_MCP_PUBLIC_URL": ""},
            "VERIFY_MCP_OAUTH_ISSUER",
            "VERIFY_MCP_PUBLIC_URL belong together: set all three.",
        ),
        (
            {"VERIFY_MCP_PUBLIC_URL": "verify.example.com"},
            "VERIFY_MCP_PUBLIC_URL",
            "VERIFY_MCP_PUBLIC_URL is not a web address.",
        ),
        (
            {"VERIFY_MCP_OAUTH_ISSUER": "http://id.example.com"},
            "VERIFY_MCP_OAUTH_ISSUER",
            "VERIFY_MCP_OAUTH_ISSUER is not a web address.",
        ),
        (
            {"VERIFY_MCP_OAUTH_ISSUER": "", "VERIFY_MCP_OAUTH_JWKS_URL": ""},
            "VERIFY_MCP_OAUTH_SUBACCOUNT_CLAIM",
            "confines nobody without an authorization server",
        ),
        (
            {"VERIFY_MCP_OAUTH_ALGORITHMS": "none"},
            "VERIFY_MCP_OAUTH_ALGORITHMS",
            "is not a list of RS256",
        ),
        (
            {"VERIFY_MCP_LOG_LEVEL": "loud", "VERIFY_MCP_LOG_FORMAT": "json"},
            "VERIFY_MCP_LOG_LEVEL",
            "VERIFY_MCP_LOG_LEVEL is none of",
        ),
    ],
)
def test_what_is_wrong_with_settings_that_belong_together_is_one_problem(
    examine: Doctor, changed: dict[str, str], name: str, said: str
) -> None:
    code, told = examine(GOOD | OAUTH | changed)
    assert code == 1
    assert "One thing to put right." in told
    assert f"problem {name} " in told
    assert said in told


def test_an_address_that_is_no_address_is_a_problem() -> None:
    found = list(checks.settings_variables({"VERIFY_MCP_API_URL": "http://api.plivo.com"}))
    assert [(each.level, each.subject) for each in found] == [(PROBLEM, "VERIFY_MCP_API_URL")]


def test_the_usual_address_is_well_and_settings_in_force_are_shown() -> None:
    assert list(checks.settings_variables({"VERIFY_MCP_MAX_WAIT": "30", "PATH": "/bin"})) == [
        CheckResult(OK, "VERIFY_MCP_MAX_WAIT", "30"),
        CheckResult(OK, "API address", "https://api.plivo.com"),
    ]


def test_a_token_in_a_file_should_be_readable_by_its_owner_only(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(SANDBOX_AUTH_TOKEN)
    environ = {"PLIVO_AUTH_ID": SANDBOX_AUTH_ID, "PLIVO_AUTH_TOKEN_FILE": str(file)}
    file.chmod(0o600)
    assert list(checks.account(environ))[1:] == [
        CheckResult(OK, "PLIVO_AUTH_TOKEN", f"in {file} (not shown)")
    ]
    file.chmod(0o644)
    told = "in a file that other users of this machine can read"
    assert list(checks.account(environ))[1:] == [
        CheckResult(WARNING, "PLIVO_AUTH_TOKEN", told, f"chmod 600 {file}")
    ]
    both = environ | {"PLIVO_AUTH_TOKEN": SANDBOX_AUTH_TOKEN}
    assert levels(checks.account(both))["PLIVO_AUTH_TOKEN"] == WARNING


def test_a_token_in_the_keyring_is_told_without_being_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    held = {("verify-mcp", SANDBOX_AUTH_ID): SANDBOX_AUTH_TOKEN}
    monkeypatch.setattr(keyring, "get_password", lambda *place: held.get(place))
    environ = {"PLIVO_AUTH_ID": SANDBOX_AUTH_ID, "PLIVO_AUTH_TOKEN_KEYRING": "verify-mcp"}
    assert list(checks.account(environ))[1:] == [
        CheckResult(OK, "PLIVO_AUTH_TOKEN", "in the system's keyring (not shown)")
    ]


def test_a_subaccounts_id_is_recognised() -> None:
    environ = GOOD | {"PLIVO_AUTH_ID": "SASANDBOXRETAIL00001"}
    assert next(iter(checks.account(environ))).message == "SASA…0001 (a subaccount)"


@pytest.mark.parametrize(
    ("environ", "level", "told"),
    [
        ({}, OK, "none in the environment"),
        (
            {"HTTPS_PROXY": "http://user:secret@proxy.example:3128"},
            OK,
            "HTTPS_PROXY: requests to api.plivo.com go through proxy.example, port 3128",
        ),
        (
            {"all_proxy": "proxy.example"},
            OK,
            "ALL_PROXY: requests to api.plivo.com go through proxy.example",
        ),
        (
            {"HTTPS_PROXY": "http://proxy.example:none"},
            OK,
            "HTTPS_PROXY: requests to api.plivo.com go through proxy.example",
        ),
        (
            {"HTTPS_PROXY": "http://proxy.example", "NO_PROXY": "localhost, .plivo.com"},
            OK,
            "HTTPS_PROXY is set, but NO_PROXY leaves out api.plivo.com",
        ),
        (
            {"HTTPS_PROXY": "http://proxy.example", "NO_PROXY": "*, localhost"},
            OK,
            "HTTPS_PROXY is set, but NO_PROXY leaves out api.plivo.com",
        ),
        (
            {"HTTPS_PROXY": "http://proxy.example", "NO_PROXY": "ivo.com"},
            OK,
            "HTTPS_PROXY: requests to api.plivo.com go through proxy.example",
        ),
        (
            {"ALL_PROXY": "socks5://proxy.example:1080"},
            PROBLEM,
            "ALL_PROXY names a socks5 proxy, which is not supported",
        ),
    ],
)
def test_the_proxy_in_force_is_named_without_its_password(
    environ: dict[str, str], level: str, told: str
) -> None:
    found = network_checks.proxy(environ, "api.plivo.com")
    assert (found.level, found.message) == (level, told)


def test_no_proxy_lies_before_an_address_on_this_machine() -> None:
    environ = GOOD | {"HTTPS_PROXY": "http://proxy.example"}
    assert levels(network_checks.network(environ)) == {"Proxy": OK}
    assert levels(network_checks.network({})) == {"Proxy": OK, "Certificates": OK}


def test_a_certificate_file_must_hold_certificates(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    environ = {"SSL_CERT_FILE": str(file)}
    assert network_checks.certificates(environ).level == PROBLEM
    file.write_text("nothing")
    assert network_checks.certificates(environ).level == PROBLEM
    file.write_text("-----BEGIN CERTIFICATE-----")
    assert network_checks.certificates(environ) == CheckResult(
        OK, "Certificates", f"SSL_CERT_FILE: {file}"
    )


@pytest.mark.parametrize(
    ("seconds", "level", "told"),
    [
        (0, OK, "2026-11-21 09:30 UTC, as the API's"),
        (60, WARNING, "60 s ahead of the API's"),
        (-3600, PROBLEM, "3600 s behind the API's"),
    ],
)
def test_the_clock_is_compared_with_the_apis(seconds: int, level: str, told: str) -> None:
    reply = ApiProbe(None, NOW - timedelta(seconds=seconds))
    found = network_checks.clock(reply, NOW)
    assert (found.level, found.message) == (level, told)


def test_an_api_out_of_reach_is_a_problem_and_its_clock_unknown() -> None:
    reply = ApiProbe(ApiUnreachable("No network."), None)
    assert network_checks.connection(reply, offline=False) == CheckResult(
        PROBLEM, "API", "No network."
    )
    assert network_checks.clock(reply, NOW).message == "2026-11-21 09:30 UTC (not compared)"


def test_the_data_directory_is_checked_and_never_made(tmp_path: Path) -> None:
    data = tmp_path / "share" / "verify-mcp"
    told = f"{data} (not there yet; made when needed)"
    assert checks.data_directory(data) == CheckResult(OK, "Data directory", told)
    assert list(tmp_path.iterdir()) == []
    data.mkdir(parents=True, mode=0o700)
    assert checks.data_directory(data) == CheckResult(OK, "Data directory", str(data))
    data.chmod(0o755)
    assert checks.data_directory(data).remedy == f"chmod 700 {data}"


def test_a_file_in_place_of_the_data_directory_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "verify-mcp").touch()
    assert checks.data_directory(tmp_path / "verify-mcp").level == PROBLEM


def test_a_data_directory_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "share").touch()
    data = tmp_path / "share" / "verify-mcp"
    found = checks.data_directory(data)
    assert (found.level, found.message) == (WARNING, f"{data} cannot be created")


@pytest.mark.parametrize(
    ("url", "subject", "told"),
    [
        ("postgresql://me:secret@db.example/kept", "Database", "postgresql://db.example/kept (not"),
        ("sqlite://", "Database", "in memory: forgotten at the end"),
        ("sqlite:///nowhere/kept.sqlite3", "Data directory", "/nowhere (not there yet"),
    ],
)
def test_where_data_is_kept_is_told_without_the_password(url: str, subject: str, told: str) -> None:
    environ = {"VERIFY_MCP_DATABASE_URL": url}
    (found,) = checks.database(environ)
    assert found.subject == subject
    assert told in found.message
    assert "secret" not in repr([found, *checks.settings_variables(environ)])


def test_a_database_url_that_is_none_is_named() -> None:
    environ = {"VERIFY_MCP_DATABASE_URL": "mysql://db.example"}
    assert list(checks.database(environ)) == []
    assert levels(checks.settings_variables(environ))["VERIFY_MCP_DATABASE_URL"] == PROBLEM


def test_a_client_is_given_an_absolute_command_as_json() -> None:
    assert doctor.client_configuration(["C:\\venv\\verify-mcp.exe"]).splitlines()[1] == (
        '  "command": "C:\\\\venv\\\\verify-mcp.exe"'
    )
    assert doctor.client_configuration(["/bin/python", "-m", "verify_mcp"]).splitlines()[1] == (
        '  "command": "/bin/python", "args": ["-m", "verify_mcp"]'
    )


def test_the_command_line_has_the_doctor(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("PLIVO_AUTH_ID", raising=False)
    monkeypatch.delenv("PLIVO_AUTH_TOKEN", raising=False)
    monkeypatch.setenv("COLUMNS", "200")  # one line for each thing said
    with pytest.raises(SystemExit) as ended:
        main.main(["doctor", "--offline"])
    assert ended.value.code == 1
    assert "PLIVO_AUTH_ID and PLIVO_AUTH_TOKEN not set." in capsys.readouterr().out


def test_on_windows_modes_say_nothing_of_who_may_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token, folder = tmp_path / "token", tmp_path / "data"
    token.write_text("a-token-of-an-account")
    folder.mkdir()
    token.chmod(0o644)
    folder.chmod(0o755)
    environ = {"PLIVO_AUTH_ID": SANDBOX_AUTH_ID, "PLIVO_AUTH_TOKEN_FILE": str(token)}

    def found() -> list[str]:
        return [*levels(checks.account(environ)).values(), checks.data_directory(folder).level]

    assert found() == [OK, WARNING, WARNING]
    monkeypatch.setattr(sys, "platform", "win32")
    assert found() == [OK, OK, OK]
