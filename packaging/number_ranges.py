"""Makes verify_mcp/domain/number_ranges.txt from the carrier data of the package `phonenumbers`.

    pip install phonenumbers && python packaging/number_ranges.py

The server needs phonenumberslite only, which lacks this data: the full package takes 42 MB more.
"""

from collections import defaultdict
from importlib.metadata import version
from pathlib import Path

from phonenumbers.carrierdata import CARRIER_DATA

FILE = Path(__file__).parents[1] / "verify_mcp" / "domain" / "number_ranges.txt"
HEADER = """\
# Holders of ranges of mobile numbers, each with the beginnings of its numbers in E.164.
# From Google's libphonenumber (Apache License 2.0) by way of phonenumbers {version}.
# Made by packaging/number_ranges.py.
"""


def main() -> None:
    """Write the file: a line for each holder, its name before a tab."""
    ranges = defaultdict[str, list[str]](list)
    for prefix, names in CARRIER_DATA.items():
        if name := names.get("en"):
            ranges[" ".join(name.split())].append(prefix)
    lines = [f"{name}\t{' '.join(sorted(ranges[name]))}\n" for name in sorted(ranges)]
    header = HEADER.format(version=version("phonenumbers"))
    FILE.write_text(header + "".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
