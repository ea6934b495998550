"""Draws icon.png: a code of four digits, the last one ticked off.

Usage: python packaging/mcpb/icon.py packaging/mcpb/icon.png
"""

import struct
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

SIZE = 512
CLEAR, NIGHT, PAPER, GREEN = (0, 0, 0, 0), (23, 37, 58), (244, 247, 250), (46, 189, 120)
DIGITS = (108, 196, 284)
TICK = ((358, 256), (388, 288), (442, 222))
FINE = (0.25, 0.75)
"""Where in a pixel is looked: four places, so that edges are smooth."""

Colour = tuple[int, ...]


def colour(x: float, y: float) -> Colour:
    """The colour of a point."""
    if corner_distance(x, y) > 96:
        return CLEAR
    if near_tick(x, y) < 15:
        return (*GREEN, 255)
    if any((x - centre) ** 2 + (y - 256) ** 2 < 30**2 for centre in DIGITS):
        return (*PAPER, 255)
    if abs(y - 340) < 7 and any(abs(x - centre) < 34 for centre in (*DIGITS, 398)):
        return (*PAPER, 255)
    return (*NIGHT, 255)


def corner_distance(x: float, y: float) -> float:
    """How far into a corner a point lies; more than the corner's radius is outside."""
    dx, dy = max(96 - x, x - (SIZE - 96), 0), max(96 - y, y - (SIZE - 96), 0)
    return float((dx * dx + dy * dy) ** 0.5)


def near_tick(x: float, y: float) -> float:
    """How far a point is from the tick's two strokes."""
    return min(distance(x, y, *TICK[0], *TICK[1]), distance(x, y, *TICK[1], *TICK[2]))


def distance(x: float, y: float, ax: float, ay: float, bx: float, by: float) -> float:
    """From a point to a stroke."""
    dx, dy = bx - ax, by - ay
    along = max(0.0, min(1.0, ((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy)))
    return float(((x - ax - along * dx) ** 2 + (y - ay - along * dy) ** 2) ** 0.5)


def pixel(x: int, y: int) -> Colour:
    """The mean of what lies in a pixel."""
    seen = [colour(x + right, y + down) for right in FINE for down in FINE]
    alpha = sum(each[3] for each in seen)
    if not alpha:
        return CLEAR
    mixed = (sum(each[i] * each[3] for each in seen) // alpha for i in range(3))
    return (*mixed, alpha // len(seen))


def rows() -> Iterator[bytes]:
    """The picture's lines, each after its filter's number (0: none)."""
    for y in range(SIZE):
        yield b"\0" + b"".join(bytes(pixel(x, y)) for x in range(SIZE))


def chunk(kind: bytes, content: bytes) -> bytes:
    """One part of a PNG file."""
    checked = kind + content
    return struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))


def picture() -> bytes:
    """The whole PNG file."""
    head = struct.pack(">IIBBBBB", SIZE, SIZE, 8, 6, 0, 0, 0)
    body = zlib.compress(b"".join(rows()), 9)
    signature = b"\x89PNG\r\n\x1a\n"
    return signature + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


if __name__ == "__main__":
    Path(sys.argv[1]).write_bytes(picture())
