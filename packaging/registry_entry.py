"""Writes the digest of a built bundle into server.json, as the registry requires.

Usage: python packaging/registry_entry.py server.json dist/verify-mcp-X.Y.Z.mcpb
"""

import hashlib
import json
import sys
from pathlib import Path


def with_digest(entry: str, bundle: Path) -> str:
    """The text of server.json with this bundle's digest; its address must end in the same name."""
    described = json.loads(entry)
    packages = [each for each in described["packages"] if each["registryType"] == "mcpb"]
    named = [package["identifier"] for package in packages]
    if len(packages) != 1 or not named[0].endswith(f"/{bundle.name}"):
        raise SystemExit(
            f"server.json names the bundles {named}, and the one built is {bundle.name}."
        )
    packages[0]["fileSha256"] = hashlib.sha256(bundle.read_bytes()).hexdigest()
    return json.dumps(described, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(
        with_digest(path.read_text(encoding="utf-8"), Path(sys.argv[2])), encoding="utf-8"
    )
