"""A client's configuration as text: our entry put in or taken out, and nothing else touched.

JSON is edited by `jsonc`, TOML by tomlkit; both keep comments, order and spelling. Every edit is
read again with another parser and compared with what it should have come to, so a mistake of ours
becomes a refusal and never a broken file.
"""

import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from verify_mcp import jsonc
from verify_mcp.clients import Client
from verify_mcp.errors import ConfigUnusable

BOM = "\ufeff"
OURS = ("PLIVO_AUTH_ID", "PLIVO_AUTH_TOKEN", "PLIVO_AUTH_TOKEN_FILE", "PLIVO_AUTH_TOKEN_KEYRING")
"""Variables of an entry that are ours to set and to take back."""
INPUTS = "inputs"
_UNSAFE = "it is written in a way that we cannot change safely"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to stand in a client's configuration."""

    client: Client
    name: str
    entry: Mapping[str, Any]
    inputs: Sequence[Mapping[str, Any]] = ()

    @property
    def path(self) -> list[str]:
        """Where the entry stands."""
        return [self.client.key, self.name]


def entry(client: Client, name: str, text: str) -> dict[str, Any] | None:
    """What stands there under this name now. Raises ConfigUnusable."""
    servers = _parsed(client, text).get(client.key)
    held = servers.get(name) if isinstance(servers, dict) else None
    return held if isinstance(held, dict) else None


def installed(wanted: Wanted, text: str) -> str:
    """The text with the entry in it. Raises ConfigUnusable, with the reason."""
    bare, bom = _bare(text)
    before = _parsed(wanted.client, bare)
    _refuse_odd(wanted, before)
    edit = _toml_installed if wanted.client.form == "toml" else _json_installed
    after = edit(wanted, bare)
    _check(wanted.client, after, _expected(wanted, before))
    return bom + after


def uninstalled(client: Client, name: str, text: str) -> str:
    """The text without the entry, and without the prompts that only it used."""
    bare, bom = _bare(text)
    before = _parsed(client, bare)
    if client.form == "toml":
        after = _toml_uninstalled(client, name, bare)
    else:
        after = _json_uninstalled(client, name, bare)
    servers = {key: each for key, each in before[client.key].items() if key != name}
    expected = {**before, client.key: servers}
    if INPUTS in expected and client.prompts:
        expected[INPUTS] = _parsed(client, after).get(INPUTS)
    _check(client, after, expected, emptied=client.key)
    return bom + after


def snippet(wanted: Wanted) -> str:
    """The entry alone, to be pasted by hand."""
    return installed(wanted, "")


def _bare(text: str) -> tuple[str, str]:
    return (text[1:], BOM) if text.startswith(BOM) else (text, "")


def _parsed(client: Client, text: str) -> dict[str, Any]:
    bare, _ = _bare(text)
    try:
        if client.form == "toml":
            return tomllib.loads(bare)
        empty = jsonc.blank(bare) if client.form == "jsonc" else not bare.strip()
        value = {} if empty else jsonc.read(bare, comments=client.form == "jsonc").value
    except ValueError as error:
        raise ConfigUnusable(f"it is not valid {client.form.upper()} ({error})") from None
    if not isinstance(value, dict):
        raise ConfigUnusable("it does not hold an object")
    return value


def _refuse_odd(wanted: Wanted, before: Mapping[str, Any]) -> None:
    servers = before.get(wanted.client.key, {})
    if not isinstance(servers, dict):
        raise ConfigUnusable(f'its "{wanted.client.key}" is not an object')
    held = servers.get(wanted.name, {})
    if not isinstance(held, dict) or not isinstance(held.get("env", {}), dict):
        raise ConfigUnusable(f'its entry "{wanted.name}" is not one of a server')
    if wanted.inputs and not isinstance(before.get(INPUTS, []), list):
        raise ConfigUnusable(f'its "{INPUTS}" is not an array')


def _stale(wanted: Wanted, held: Mapping[str, Any]) -> list[str]:
    """Variables that an earlier entry of ours set and this one does not."""
    new = wanted.entry.get("env", {})
    return [name for name in held.get("env", {}) if name in OURS and name not in new]


def _expected(wanted: Wanted, before: Mapping[str, Any]) -> dict[str, Any]:
    held = before.get(wanted.client.key, {}).get(wanted.name, {})
    kept = dict(held)
    if _stale(wanted, held):
        stale = _stale(wanted, held)
        kept["env"] = {name: text for name, text in held["env"].items() if name not in stale}
    servers = {**before.get(wanted.client.key, {}), wanted.name: kept}
    after = jsonc.merged({**before, wanted.client.key: servers}, wanted.path, dict(wanted.entry))
    if missing := _missing_inputs(wanted, before):
        after[INPUTS] = [*before.get(INPUTS, []), *missing]
    return after


def _missing_inputs(wanted: Wanted, before: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    there = [each.get("id") for each in before.get(INPUTS, []) if isinstance(each, dict)]
    return [each for each in wanted.inputs if each["id"] not in there]


def _check(
    client: Client, text: str, expected: Mapping[str, Any], *, emptied: str | None = None
) -> None:
    try:
        got = _parsed(client, text)
    except ConfigUnusable:
        raise ConfigUnusable(_UNSAFE) from None
    if emptied and not expected.get(emptied):
        got, expected = ({**each, emptied: {}} for each in (got, expected))
    if json.dumps(got, default=str, sort_keys=True) != json.dumps(
        expected, default=str, sort_keys=True
    ):
        raise ConfigUnusable(_UNSAFE)


def _json_installed(wanted: Wanted, text: str) -> str:
    try:
        missing = _missing_inputs(wanted, _parsed(wanted.client, text))
        held = jsonc.found(text, wanted.path) if not jsonc.blank(text) else None
        for name in _stale(wanted, held.value) if held else ():
            text = jsonc.without(text, [*wanted.path, "env", name])
        text = jsonc.put(text, wanted.path, dict(wanted.entry))
        for each in missing:
            text = jsonc.append(text, [INPUTS], dict(each))
    except jsonc.NotJson as error:
        raise ConfigUnusable(f"its {error}") from None
    return text


def _json_uninstalled(client: Client, name: str, text: str) -> str:
    try:
        text = jsonc.without(text, [client.key, name])
    except jsonc.NotJson as error:
        raise ConfigUnusable(f"its {error}") from None
    if not client.prompts:
        return text
    inputs = _parsed(client, text).get(INPUTS, [])
    for number in reversed(range(len(inputs))):
        wanted = str(inputs[number].get("id")) if isinstance(inputs[number], dict) else ""
        if wanted.startswith("plivo-") and f"${{input:{wanted}}}" not in text:
            text = jsonc.without(text, [INPUTS, number])
    return text


def _toml_installed(wanted: Wanted, text: str) -> str:
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    try:
        document = tomlkit.parse(text)
        servers: Any = document.get(wanted.client.key, {})
        held = servers.get(wanted.name)
        if held is None:
            return _appended(wanted, text)
        for name in _stale(wanted, held):
            del held["env"][name]
        _update(held, wanted.entry)
    except (TOMLKitError, TypeError, ValueError) as error:
        raise ConfigUnusable(f"it cannot be changed ({error})") from None
    return _with_newlines_of(text, tomlkit.dumps(document))


def _update(table: Any, values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        if isinstance(value, dict) and isinstance(table.get(name), dict):
            _update(table[name], value)
        elif table.get(name) != value:
            table[name] = value


def _appended(wanted: Wanted, text: str) -> str:
    """The text with our table at its end, where a table can always stand."""
    import tomlkit

    table = tomlkit.table()
    for name, value in wanted.entry.items():
        table[name] = value
    servers = tomlkit.table(is_super_table=True)
    servers[wanted.name] = table
    block = _with_newlines_of(text, tomlkit.dumps({wanted.client.key: servers}))
    newline = "\r\n" if "\r\n" in text else "\n"
    ended = text if not text or text.endswith("\n") else text + newline
    apart = newline if ended and not ended.endswith(newline * 2) else ""
    return ended + apart + block


def _toml_uninstalled(client: Client, name: str, text: str) -> str:
    import tomlkit

    document = tomlkit.parse(text)
    servers: Any = document[client.key]
    del servers[name]
    return _with_newlines_of(text, tomlkit.dumps(document))


def _with_newlines_of(text: str, new: str) -> str:
    """The new text with the old one's line ends, when those are all CRLF."""
    if "\r\n" not in text or re.search(r"(?<!\r)\n", text):
        return new
    return re.sub(r"(?<!\r)\n", "\r\n", new)
