"""docs/architecture.md against the folders of the package and the import contracts."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "verify_mcp"
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")


def folders_on_the_page() -> list[str]:
    return re.findall(r"^\| `(\w+)/` \|", PAGE, re.MULTILINE)


def test_the_page_has_every_folder_of_the_package_and_no_other() -> None:
    folders = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert sorted(folders_on_the_page()) == sorted(folders)


def test_the_page_names_every_module_at_the_top() -> None:
    modules = {path.stem for path in PACKAGE.glob("*.py") if not path.stem.startswith("__")}
    (sentence,) = re.findall(r"^Modules at the top of the package: .*$", PAGE, re.MULTILINE)
    assert set(re.findall(r"`(\w+)`", sentence)) == modules


def test_every_file_that_the_page_names_exists() -> None:
    named = set(re.findall(r"`(?:verify_mcp/)?([a-z_]+/[a-z_]+\.py|[a-z_]+\.py)`", PAGE))
    assert len(named) > 15
    assert [name for name in sorted(named) if not (PACKAGE / name).is_file()] == []


def test_each_folder_says_in_one_docstring_what_it_holds() -> None:
    for name in folders_on_the_page():
        if name == "emulator":  # which has a surface of its own
            continue
        text = (PACKAGE / name / "__init__.py").read_text(encoding="utf-8")
        assert re.fullmatch(r'"""[A-Z][^"]+\."""\n', text), name


def test_contributors_find_the_page() -> None:
    assert "docs/architecture.md" in (ROOT / ".github" / "CONTRIBUTING.md").read_text("utf-8")
