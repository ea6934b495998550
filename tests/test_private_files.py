"""Files that hold secrets are closed to other users, whole, and never written through a link."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from verify_mcp import private_files

pytestmark = pytest.mark.skipif(os.name != "posix", reason="modes and links of POSIX")

CREATORS = [private_files.create, private_files.create_at_once]
WRITERS = [*CREATORS, private_files.replace]
Writer = Callable[[Path, bytes], None]


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def content_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("write", WRITERS)
def test_a_new_file_is_closed_to_other_users_and_alone(write: Writer, tmp_path: Path) -> None:
    write(tmp_path / "secret", b"content")
    assert mode_of(tmp_path / "secret") == 0o600
    assert content_of(tmp_path) == {"secret": b"content"}


@pytest.mark.parametrize("create", CREATORS)
@pytest.mark.parametrize("kind", ["file", "link"])
def test_a_name_that_is_taken_stays_as_it_is(create: Writer, kind: str, tmp_path: Path) -> None:
    target, path = tmp_path / "target", tmp_path / "secret"
    path.symlink_to(target) if kind == "link" else path.write_bytes(b"older")
    with pytest.raises(FileExistsError):
        create(path, b"content")
    assert not target.exists()
    assert [each.name for each in tmp_path.iterdir()] == ["secret"]


def test_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "target").write_bytes(b"older")
    (tmp_path / "secret").symlink_to(tmp_path / "target")
    private_files.replace(tmp_path / "secret", b"content")
    assert content_of(tmp_path) == {"target": b"older", "secret": b"content"}
    assert not (tmp_path / "secret").is_symlink()


def test_a_replaced_file_gets_the_mode_that_is_asked_for(tmp_path: Path) -> None:
    private_files.replace(tmp_path / "config", b"older")
    private_files.replace(tmp_path / "config", b"newer", 0o640)
    assert mode_of(tmp_path / "config") == 0o640
    assert content_of(tmp_path) == {"config": b"newer"}


@pytest.mark.parametrize("write", WRITERS)
def test_a_full_disk_leaves_no_part_of_a_file(
    write: Writer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write(tmp_path / "secret", b"content")
    assert content_of(tmp_path) == {}


@pytest.mark.parametrize("write", [private_files.create_at_once, private_files.replace])
def test_a_directory_in_the_way_leaves_no_draft(write: Writer, tmp_path: Path) -> None:
    (tmp_path / "secret").mkdir()
    with pytest.raises(OSError, match="secret"):
        write(tmp_path / "secret", b"content")
    assert [each.name for each in tmp_path.iterdir()] == ["secret"]


def test_a_directory_is_made_with_its_parents_all_closed(tmp_path: Path) -> None:
    private_files.make_directory(tmp_path / "one" / "two")
    assert (mode_of(tmp_path / "one"), mode_of(tmp_path / "one" / "two")) == (0o700, 0o700)


def test_an_appended_file_is_closed_to_other_users_from_then_on(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("first\n", encoding="utf-8")
    path.chmod(0o644)
    with private_files.open_for_append(str(path)) as file:
        file.write("second\n")
    assert mode_of(path) == 0o600
    assert path.read_text(encoding="utf-8") == "first\nsecond\n"


@pytest.mark.parametrize("kind", ["link", "second name", "pipe"])
def test_nothing_but_a_plain_file_is_appended_to(kind: str, tmp_path: Path) -> None:
    path, other = tmp_path / "log", tmp_path / "other"
    other.write_bytes(b"")
    if kind == "link":
        path.symlink_to(other)
    elif kind == "second name":
        path.hardlink_to(other)
    else:
        os.mkfifo(path)
    with pytest.raises(OSError) as refused:  # a link and a pipe: the system's own words
        private_files.open_for_append(str(path))
    assert refused.value.errno in {errno.ELOOP, errno.ENXIO}
    assert other.read_bytes() == b""
