"""Who may ask: tokens of the file and of an authorization server; everybody else reads nothing."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import jwt
import pytest
from cryptography.hazmat.primitives import serialization

from tests.support.client import SUBACCOUNT, Era, emulator_with, list_sessions, make_record
from tests.support.http_server import (
    RunningServer,
    bearer,
    create_token,
    http_client,
    post,
    run_server,
)
from tests.support.issuer import Authority, new_key
from tests.support.oauth import PUBLIC, claims, trusting
from verify_mcp.http import tokens
from verify_mcp.http.callers import Caller
from verify_mcp.http.oauth import JwtVerifier
from verify_mcp.settings import OAuth, read_settings

pytestmark = pytest.mark.anyio
METADATA = "/.well-known/oauth-protected-resource/mcp"
CLAIM = "https://verify.example.com/subaccount"


@asynccontextmanager
async def connect_trusted(
    issuer: Authority, claim: str = "", **more: Any
) -> AsyncIterator[RunningServer]:
    """A server that takes the authority's tokens, and looks for a new key at once."""
    oauth = trusting(issuer, claim)
    changes = {"oauth": oauth, "public_url": PUBLIC, **more}
    verifier = JwtVerifier(oauth, 1000, cooldown=0)
    async with run_server(emulator_with(make_record(1)), jwt_verifier=verifier, **changes) as here:
        yield here


async def test_a_good_token_opens_in_both_generations(issuer: Authority, era: Era) -> None:
    async with (
        connect_trusted(issuer) as here,
        http_client(here.url, issuer.token(**claims(issuer)), era=era) as client,
    ):
        assert len((await list_sessions(client))["rows"]) == 1


@pytest.mark.parametrize("scope", [{"scp": "verify:read"}, {"scp": ["a", "verify:read"]}])
async def test_the_other_spelling_of_scopes_is_read(
    issuer: Authority, scope: dict[str, Any]
) -> None:
    token = issuer.token(**claims(issuer, scope=None, **scope))
    async with connect_trusted(issuer) as here:
        assert (await post(here.url, **bearer(token))).status_code == 200


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": 1},
        {"exp": None},
        {"iat": None},
        {"nbf": 4_000_000_000},
        {"aud": "https://other.example.com/mcp"},
        {"aud": None},
        {"aud": []},
        {"iss": "https://evil.example.com"},
        {"iss": None},
        {"sub": None},
        {"sub": ""},
        {"sub": "a\nb"},
        {"sub": 7},
    ],
    ids=str,
)
async def test_r50_a_signed_token_that_is_not_for_us_now_opens_nothing(
    issuer: Authority, changes: dict[str, Any]
) -> None:
    token = issuer.token(**claims(issuer, **changes))
    async with connect_trusted(issuer) as here:
        await check_nothing_is_read(here, token)


def part(value: Any) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def forged(issuer: Authority) -> dict[str, str]:
    """Tokens that say all the right things and were signed by nobody who may."""
    payload, public = claims(issuer), issuer.public_key()
    good = issuer.token(**payload)
    head, body, signature = good.split(".")
    pem = public.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    kid = jwt.get_unverified_header(good)["kid"]

    def signed_with_public(alg: str) -> str:
        text = f"{part({'alg': alg, 'typ': 'at+jwt', 'kid': kid})}.{part(payload)}"
        return f"{text}.{part(hmac.digest(pem, text.encode(), hashlib.sha256))}"

    def foreign_token(**headers: Any) -> str:
        return jwt.encode(payload, new_key(), "RS256", headers=headers)

    return {
        "no signature": f"{head}.{body}.",
        "alg none": f"{part({'alg': 'none', 'kid': kid})}.{body}.",
        "alg None": f"{part({'alg': 'None', 'kid': kid})}.{body}.{signature}",
        "no alg": f"{part({'kid': kid})}.{body}.{signature}",
        "the public key as a secret": signed_with_public("HS256"),
        "the same, named RS256": signed_with_public("RS256"),
        "another key under its name": foreign_token(kid=kid),
        "an unknown key": foreign_token(kid="key-of-mine"),
        "a key without a name": foreign_token(),
        "a key brought along": foreign_token(
            kid="mine", jwk=jwt.algorithms.RSAAlgorithm.to_jwk(new_key().public_key(), as_dict=True)
        ),
        "a key's address brought along": foreign_token(kid="mine", jku="http://127.0.0.1:9/jwks"),
        "a name that is no name": foreign_token(kid="../../dev/null"),
        "another kind of token": foreign_token(kid=kid, typ="logout+jwt"),
        "a changed claim": f"{head}.{part({**payload, 'sub': 'admin'})}.{signature}",
        "a changed signature": f"{head}.{body}.{signature[:-4]}AAAA",
        "a part too many": f"{good}.{signature}",
        "text": "x" * 40,
        "dots": "..",
        "a very long text": "x.y.z" + "x" * 9_000,
        "a body that is no object": f"{head}.{part([1])}.{signature}",
        "a head of great depth": f"{part(b'[' * 5_000)}.{body}.{signature}",
        "a head that is no JSON": f"{part(b'{')}.{body}.{signature}",
        "not ASCII": "t\u00f6k\u00e9n.a.b",
    }


async def test_r50_a_token_that_nobody_signed_opens_nothing(issuer: Authority) -> None:
    async with connect_trusted(issuer) as here:
        for name, token in forged(issuer).items():
            assert await refusal(here, token.encode("latin-1")) == (401, "invalid_token"), name
        assert await refusal(here, None) == (401, "invalid_token")
        assert await refusal(here, issuer.token(**claims(issuer)).encode()) == (200, "")


async def refusal(here: RunningServer, token: bytes | None) -> tuple[int, str]:
    headers = {} if token is None else {b"authorization": b"Bearer " + token}
    async with httpx2.AsyncClient(trust_env=False) as http:
        body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
        accept = {b"accept": b"application/json, text/event-stream"}
        reply = await http.post(here.url + "/mcp", json=body, headers={**accept, **headers})
    if reply.status_code == 200:
        return 200, ""
    assert f"verify.example.com{METADATA}" in reply.headers["www-authenticate"]
    return reply.status_code, str(reply.json()["error"])


async def check_nothing_is_read(here: RunningServer, token: str) -> None:
    reply = await post(here.url, **bearer(token))
    assert reply.status_code == 401
    assert reply.json() == {
        "error": "invalid_token", "error_description": "Authentication required",
    }  # fmt: skip
    assert f"verify.example.com{METADATA}" in reply.headers["www-authenticate"]


@pytest.mark.parametrize("scope", [None, "", "verify:write", "verify:readall", "VERIFY:READ"])
async def test_r50_a_token_without_the_scope_is_forbidden(
    issuer: Authority, scope: str | None
) -> None:
    token = issuer.token(**claims(issuer, scope=scope))
    async with connect_trusted(issuer) as here:
        reply = await post(here.url, **bearer(token))
    assert (reply.status_code, reply.json()["error"]) == (403, "insufficient_scope")


async def test_where_tokens_come_from_is_published_for_everybody(issuer: Authority) -> None:
    async with connect_trusted(issuer) as here, httpx2.AsyncClient(trust_env=False) as http:
        metadata = (await http.get(here.url + METADATA)).json()
    assert metadata == {
        "resource": PUBLIC,
        "authorization_servers": [issuer.url],
        "scopes_supported": ["verify:read"],
        "bearer_methods_supported": ["header"],
    }


async def test_keys_are_kept_and_a_new_one_is_found(issuer: Authority) -> None:
    async with connect_trusted(issuer) as here:
        before = issuer.token(**claims(issuer))
        for _ in range(3):
            assert (await post(here.url, **bearer(before))).status_code == 200
        fetched = issuer.fetched()
        assert (await post(here.url, **bearer(before))).status_code == 200
        assert issuer.fetched() == fetched
        issuer.rotate()
        after = issuer.token(**claims(issuer))
        assert (await post(here.url, **bearer(after))).status_code == 200
        assert issuer.fetched() == fetched + 1
        assert (await post(here.url, **bearer(before))).status_code == 401


async def test_strangers_cannot_make_us_fetch_keys_again_and_again(issuer: Authority) -> None:
    verifier = JwtVerifier(trusting(issuer), 1000)
    assert await verifier.verify(issuer.token(**claims(issuer))) is not None
    fetched = issuer.fetched()
    for number in range(20):
        token = jwt.encode(claims(issuer), new_key_once(), "RS256", headers={"kid": f"k{number}"})
        assert await verifier.verify(token) is None
    assert issuer.fetched() == fetched


_KEY = new_key()


def new_key_once() -> Any:
    return _KEY


async def test_while_the_keys_cannot_be_read_nobody_is_let_in(
    issuer: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    away = OAuth(issuer.url, "http://127.0.0.1:9/jwks", PUBLIC)
    token = issuer.token(**claims(issuer))
    assert await JwtVerifier(away, 1000).verify(token) is None
    assert [record.getMessage() for record in caplog.records] == [
        "The authorization server's keys cannot be read (no connection, or no trusted "
        "certificate); tokens are refused."
    ]


@pytest.mark.parametrize(
    ("payload", "caller"),
    [
        ({CLAIM: SUBACCOUNT}, Caller("agent-7", 5, SUBACCOUNT)),
        ({CLAIM: "*"}, Caller("agent-7", 5)),
        ({CLAIM: ""}, None),
        ({CLAIM: [SUBACCOUNT]}, None),
        ({CLAIM: "SA1"}, None),
        ({}, None),
    ],
    ids=str,
)
def test_a_claim_confines_and_one_that_is_missing_opens_nothing(
    issuer: Authority, payload: dict[str, Any], caller: Caller | None
) -> None:
    verifier = JwtVerifier(trusting(issuer, CLAIM), 5)
    named = caller and replace(caller, issuer=issuer.url)
    assert verifier.caller({"sub": "agent-7", **payload}) == named


async def test_both_kinds_of_tokens_open_the_same_server(issuer: Authority, tmp_path: Path) -> None:
    file = tmp_path / "tokens.json"
    token = create_token(file, "ops")
    async with connect_trusted(issuer, file=file) as here:
        for each in (token, issuer.token(**claims(issuer))):
            assert (await post(here.url, **bearer(each))).status_code == 200


async def test_r50_without_a_known_token_nothing_is_read(tmp_path: Path) -> None:
    file = tmp_path / "tokens.json"
    token = create_token(file, "ops")
    api = emulator_with(make_record(1))
    async with run_server(api, file=file) as here:
        for headers in (
            {},
            bearer("vmcp_"),
            bearer(token[:-1]),
            bearer(token + "A"),
            bearer(token.upper()),
            bearer(tokens.PREFIX + "A" * 43),
            {"authorization": f"Basic {token}"},
            {"authorization": token},
            {"x-api-key": token},
        ):
            reply = await post(here.url, **headers)
            assert reply.status_code == 401
            assert reply.headers["www-authenticate"].startswith("Bearer ")
        assert (await post(f"{here.url}/mcp?access_token={token}")).status_code in (401, 404)
        assert (await post(here.url, **bearer(token))).status_code == 200
    assert api.received == []


async def test_r50_a_revoked_token_is_worthless_at_once_and_a_new_one_good(tmp_path: Path) -> None:
    file = tmp_path / "tokens.json"
    first = create_token(file, "first")
    async with run_server(emulator_with(), file=file) as here:
        assert (await post(here.url, **bearer(first))).status_code == 200
        second = create_token(file, "second")
        tokens.revoke(file, "first")
        assert (await post(here.url, **bearer(first))).status_code == 401
        assert (await post(here.url, **bearer(second))).status_code == 200
        file.unlink()
        assert (await post(here.url, **bearer(second))).status_code == 401


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"VERIFY_MCP_OAUTH_ALGORITHMS": "HS256"}, "VERIFY_MCP_OAUTH_ALGORITHMS is not a list"),
        ({"VERIFY_MCP_OAUTH_ALGORITHMS": "none"}, "VERIFY_MCP_OAUTH_ALGORITHMS is not a list"),
        ({"VERIFY_MCP_OAUTH_ISSUER": "https://id.example.com"}, "set all three"),
        ({"VERIFY_MCP_OAUTH_JWKS_URL": "https://id.example.com/jwks"}, "set all three"),
        ({"VERIFY_MCP_OAUTH_ISSUER": "http://id.example.com"}, "VERIFY_MCP_OAUTH_ISSUER is not"),
        ({"VERIFY_MCP_OAUTH_JWKS_URL": "file:///etc/passwd"}, "VERIFY_MCP_OAUTH_JWKS_URL is not"),
        ({"VERIFY_MCP_PUBLIC_URL": "https://a:b@c.example"}, "VERIFY_MCP_PUBLIC_URL is not"),
        ({"VERIFY_MCP_PUBLIC_URL": "https://["}, "VERIFY_MCP_PUBLIC_URL is not"),
        ({"VERIFY_MCP_ALLOWED_HOSTS": "*.example.com"}, "VERIFY_MCP_ALLOWED_HOSTS is not"),
        ({"VERIFY_MCP_ALLOWED_HOSTS": "localhost:*"}, "VERIFY_MCP_ALLOWED_HOSTS is not"),
        ({"VERIFY_MCP_CALLER_BUDGET": "0"}, "VERIFY_MCP_CALLER_BUDGET is not"),
    ],
    ids=str,
)
def test_settings_that_would_weaken_the_door_are_refused_by_name(
    environ: dict[str, str], message: str
) -> None:
    from verify_mcp.errors import InvalidSetting

    with pytest.raises(InvalidSetting, match=message):
        read_settings({"VERIFY_MCP_DATABASE_URL": "sqlite://", **environ})


def test_settings_of_the_door_are_read(issuer: Authority) -> None:
    settings = read_settings(
        {
            "VERIFY_MCP_PUBLIC_URL": PUBLIC,
            "VERIFY_MCP_OAUTH_ISSUER": issuer.url,
            "VERIFY_MCP_OAUTH_JWKS_URL": issuer.url + "/jwks",
            "VERIFY_MCP_OAUTH_ALGORITHMS": "ES256, EdDSA",
            "VERIFY_MCP_OAUTH_SUBACCOUNT_CLAIM": CLAIM,
            "VERIFY_MCP_ALLOWED_HOSTS": "a.example, b.example:8443 [::1]:80",
            "VERIFY_MCP_TOKENS_FILE": "/run/secrets/tokens.json",
            "VERIFY_MCP_CALLER_BUDGET": "30",
        }
    )
    assert settings.oauth == OAuth(
        issuer.url, issuer.url + "/jwks", PUBLIC, ("ES256", "EdDSA"), CLAIM
    )
    assert settings.allowed_hosts == ("a.example", "b.example:8443", "[::1]:80")
    assert settings.tokens_file == Path("/run/secrets/tokens.json")
    assert settings.caller_budget == 30
