"""docs/install.md agrees with the table of clients."""

from pathlib import Path

from verify_mcp.install.client import UserDirs
from verify_mcp.install.clients import CLIENTS

PAGE = (Path(__file__).parents[2] / "docs" / "install.md").read_text(encoding="utf-8")


def test_the_page_has_each_clients_file_and_what_remains_to_do() -> None:
    home = UserDirs({"HOME": "~"}, "linux")
    rows = [
        f"| `{client.name}` | `{client.config_paths(home)[-1]}` | {client.next_step} |\n"
        for client in CLIENTS
    ]
    assert "".join(rows) in PAGE
