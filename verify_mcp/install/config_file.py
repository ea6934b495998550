"""A client's configuration as text: our entry set or removed, and nothing else changed.

JSON is edited by `jsonc`, TOML by tomlkit; both keep comments, order and spelling. The result of
every edit is parsed again and compared with the expected values, so that a mistake of ours becomes
a refusal and never a broken file.
"""

import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from verify_mcp.errors import ConfigUnusable
from verify_mcp.install import json_nodes, jsonc, yaml_blocks
from verify_mcp.install.client import Client

BOM = "\ufeff"
OUR_VARIABLES = (
    "PLIVO_AUTH_ID",
    "PLIVO_AUTH_TOKEN",
    "PLIVO_AUTH_TOKEN_FILE",
    "PLIVO_AUTH_TOKEN_KEYRING",
)
"""Variables of an entry that `install` sets and removes."""
_REMOTE_KEYS = {"url", "httpUrl", "serverUrl"}
_TRANSPORT_KEYS = _REMOTE_KEYS | {
    "command", "args", "env", "environment", "headers", "bearer_token_env_var", "type",
}  # fmt: skip
"""Keys of an entry that belong either to a command or to an address."""
INPUTS = "inputs"
_UNSAFE = "it is written in a way that we cannot change safely"


@dataclass(frozen=True, slots=True)
class DesiredEntry:
    """The entry that a client's configuration shall have."""

    client: Client
    name: str
    entry: Mapping[str, Any]
    inputs: Sequence[Mapping[str, Any]] = ()

    @property
    def path(self) -> list[str]:
        """The keys that lead to the entry."""
        return [self.client.key, self.name]


def entry(client: Client, name: str, text: str) -> dict[str, Any] | None:
    """The entry of this name in the text, None when there is none. Raises ConfigUnusable."""
    if client.format == "yaml":
        return yaml_blocks.find(_strip_bom(text)[0], client.key, name, is_list=_is_list(client))
    servers = _parse(client, text).get(client.key)
    existing = servers.get(name) if isinstance(servers, dict) else None
    return existing if isinstance(existing, dict) else None


def with_entry(desired: DesiredEntry, text: str) -> str:
    """The text with the entry in it. Raises ConfigUnusable, with the reason."""
    bare, bom = _strip_bom(text)
    client = desired.client
    if client.format == "yaml":
        return bom + yaml_blocks.with_entry(
            bare,
            client.key,
            desired.name,
            desired.entry,
            is_list=_is_list(client),
            head=client.new_file,
        )
    before = _parse(client, bare)
    _check_shape(desired, before)
    edit = _toml_with_entry if client.format == "toml" else _json_with_entry
    after = edit(desired, bare)
    _check(client, after, _expected_config(desired, before))
    return bom + after


def without_entry(client: Client, name: str, text: str) -> str:
    """The text without the entry, and without the prompts that only it used.

    Raises ConfigUnusable, with the reason.
    """
    bare, bom = _strip_bom(text)
    if client.format == "yaml":
        return bom + yaml_blocks.without_entry(bare, client.key, name, is_list=_is_list(client))
    before = _parse(client, bare)
    if client.format == "toml":
        after = _toml_without_entry(client, name, bare)
    else:
        after = _json_without_entry(client, name, bare)
    servers = {key: server for key, server in before[client.key].items() if key != name}
    expected = {**before, client.key: servers}
    if INPUTS in expected and client.prompts:
        expected[INPUTS] = _parse(client, after).get(INPUTS)
    _check(client, after, expected, emptied=client.key)
    return bom + after


def snippet(desired: DesiredEntry) -> str:
    """The entry alone, to be pasted by hand."""
    return with_entry(desired, "")


def _is_list(client: Client) -> bool:
    """Whether a client's servers are a list of named ones; only Continue's are."""
    return client.format == "yaml" and client.key == "mcpServers"


def _strip_bom(text: str) -> tuple[str, str]:
    return (text[1:], BOM) if text.startswith(BOM) else (text, "")


def _parse(client: Client, text: str) -> dict[str, Any]:
    bare, _ = _strip_bom(text)
    try:
        if client.format == "toml":
            return tomllib.loads(bare)
        empty = json_nodes.is_blank(bare) if client.format == "jsonc" else not bare.strip()
        value = {} if empty else json_nodes.read(bare, comments=client.format == "jsonc").value
    except ValueError as error:
        raise ConfigUnusable(f"it is not valid {client.format.upper()} ({error})") from None
    if not isinstance(value, dict):
        raise ConfigUnusable("it does not hold an object")
    return value


def _check_shape(desired: DesiredEntry, before: Mapping[str, Any]) -> None:
    servers = before.get(desired.client.key, {})
    if not isinstance(servers, dict):
        raise ConfigUnusable(f'its "{desired.client.key}" is not an object')
    existing = servers.get(desired.name, {})
    env_key = desired.client.env_key
    if not isinstance(existing, dict) or not isinstance(existing.get(env_key, {}), dict):
        raise ConfigUnusable(f'its entry "{desired.name}" is not one of a server')
    if desired.inputs and not isinstance(before.get(INPUTS, []), list):
        raise ConfigUnusable(f'its "{INPUTS}" is not an array')


def _stale(desired: DesiredEntry, existing: Mapping[str, Any]) -> list[str]:
    """Variables that an earlier entry of ours has and this one does not."""
    key = desired.client.env_key
    new = desired.entry.get(key, {})
    return [name for name in existing.get(key, {}) if name in OUR_VARIABLES and name not in new]


def _stale_keys(desired: DesiredEntry, existing: Mapping[str, Any]) -> list[str]:
    """Keys of an entry with a command that one with an address must not have, and vice versa."""
    was_remote, is_remote = (bool(_REMOTE_KEYS & keys.keys()) for keys in (existing, desired.entry))
    if not existing or was_remote == is_remote:
        return []
    return [key for key in existing if key in _TRANSPORT_KEYS and key not in desired.entry]


def _expected_config(desired: DesiredEntry, before: Mapping[str, Any]) -> dict[str, Any]:
    existing = before.get(desired.client.key, {}).get(desired.name, {})
    stale_keys = _stale_keys(desired, existing)
    remaining = {key: value for key, value in existing.items() if key not in stale_keys}
    if stale := _stale(desired, remaining):
        key = desired.client.env_key
        remaining[key] = {name: text for name, text in existing[key].items() if name not in stale}
    servers = {**before.get(desired.client.key, {}), desired.name: remaining}
    after = jsonc.expected_value(
        {**before, desired.client.key: servers}, desired.path, dict(desired.entry)
    )
    if missing := _missing_inputs(desired, before):
        after[INPUTS] = [*before.get(INPUTS, []), *missing]
    return after


def _missing_inputs(desired: DesiredEntry, before: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    present = [item.get("id") for item in before.get(INPUTS, []) if isinstance(item, dict)]
    return [item for item in desired.inputs if item["id"] not in present]


def _check(
    client: Client, text: str, expected: Mapping[str, Any], *, emptied: str | None = None
) -> None:
    try:
        got = _parse(client, text)
    except ConfigUnusable:
        raise ConfigUnusable(_UNSAFE) from None
    if emptied and not expected.get(emptied):
        got, expected = ({**config, emptied: {}} for config in (got, expected))
    if json.dumps(got, default=str, sort_keys=True) != json.dumps(
        expected, default=str, sort_keys=True
    ):
        raise ConfigUnusable(_UNSAFE)


def _json_with_entry(desired: DesiredEntry, text: str) -> str:
    try:
        missing = _missing_inputs(desired, _parse(desired.client, text))
        existing = json_nodes.find(text, desired.path) if not json_nodes.is_blank(text) else None
        stale_keys = _stale_keys(desired, existing.value) if existing else []
        for key in stale_keys:
            text = jsonc.remove(text, [*desired.path, key])
        for name in _stale(desired, existing.value) if existing and not stale_keys else ():
            text = jsonc.remove(text, [*desired.path, desired.client.env_key, name])
        text = jsonc.set_value(text, desired.path, dict(desired.entry))
        for prompt in missing:
            text = jsonc.append(text, [INPUTS], dict(prompt))
    except json_nodes.NotJson as error:
        raise ConfigUnusable(f"its {error}") from None
    return text


def _json_without_entry(client: Client, name: str, text: str) -> str:
    try:
        text = jsonc.remove(text, [client.key, name])
    except json_nodes.NotJson as error:
        raise ConfigUnusable(f"its {error}") from None
    if not client.prompts:
        return text
    inputs = _parse(client, text).get(INPUTS, [])
    for number in reversed(range(len(inputs))):
        prompt_id = str(inputs[number].get("id")) if isinstance(inputs[number], dict) else ""
        if prompt_id.startswith("plivo-") and f"${{input:{prompt_id}}}" not in text:
            text = jsonc.remove(text, [INPUTS, number])
    return text


def _toml_with_entry(desired: DesiredEntry, text: str) -> str:
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    try:
        document = tomlkit.parse(text)
        servers: Any = document.get(desired.client.key, {})
        existing = servers.get(desired.name)
        if existing is None:
            return _append_table(desired, text)
        for key in _stale_keys(desired, existing):
            del existing[key]
        for name in _stale(desired, existing):
            del existing["env"][name]
        _update(existing, desired.entry)
    except (TOMLKitError, TypeError, ValueError) as error:
        raise ConfigUnusable(f"it cannot be changed ({error})") from None
    return _with_newlines_of(text, tomlkit.dumps(document))


def _update(table: Any, values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        if isinstance(value, dict) and isinstance(table.get(name), dict):
            _update(table[name], value)
        elif table.get(name) != value:
            table[name] = value


def _append_table(desired: DesiredEntry, text: str) -> str:
    """The text with our table at its end, where TOML allows a table in every file."""
    import tomlkit

    table = tomlkit.table()
    for name, value in desired.entry.items():
        table[name] = value
    servers = tomlkit.table(is_super_table=True)
    servers[desired.name] = table
    block = _with_newlines_of(text, tomlkit.dumps({desired.client.key: servers}))
    newline = "\r\n" if "\r\n" in text else "\n"
    ended = text if not text or text.endswith("\n") else text + newline
    apart = newline if ended and not ended.endswith(newline * 2) else ""
    return ended + apart + block


def _toml_without_entry(client: Client, name: str, text: str) -> str:
    import tomlkit

    document = tomlkit.parse(text)
    servers: Any = document[client.key]
    del servers[name]
    return _with_newlines_of(text, tomlkit.dumps(document))


def _with_newlines_of(text: str, new: str) -> str:
    """The new text with CRLF line ends when the old one has only those."""
    if "\r\n" not in text or re.search(r"(?<!\r)\n", text):
        return new
    return re.sub(r"(?<!\r)\n", "\r\n", new)
