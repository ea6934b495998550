"""Files in place of the key of pseudonyms that a server must not use."""

from pathlib import Path

from verify_mcp.mirror.masking import KEY_BYTES

BROKEN_KEYS = ["short", "folder", "public"]


def break_key(folder: Path, state: str) -> Path:
    """Make the folder with a key in one of these states; the key's path."""
    key = folder / "recipients.key"
    folder.mkdir(mode=0o700)
    if state == "folder":
        key.mkdir()
    else:
        key.write_bytes(b"x" * (KEY_BYTES if state == "public" else 5))
        key.chmod(0o644 if state == "public" else 0o600)
    return key
