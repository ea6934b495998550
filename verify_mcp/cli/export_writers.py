"""Rows as CSV, JSON Lines or Parquet, written as they come."""

import csv
import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Context, Decimal
from importlib import import_module
from io import TextIOWrapper
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from verify_mcp.cli.export_rows import Cell, ExportColumn, Row
from verify_mcp.errors import InvalidSetting

FORMATS = ("csv", "jsonl", "parquet")
MONEY_DIGITS = 18
"""Places of an amount in Parquet, which a `decimal(38, 18)` has."""
ROW_GROUP = 10_000
"""Rows of a Parquet file that are in memory at a time."""
_PARQUET_DECIMALS = Context(prec=38)
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
_RECIPIENT = re.compile(r"\+[0-9]{1,15}(?:…[0-9]{0,4}~[a-z2-7]{4})?", re.ASCII)
"""A number or a pseudonym: a spreadsheet finds nothing to run in it."""


class RowWriter(Protocol):
    """Writes rows to a file that somebody else closes."""

    def write(self, rows: Sequence[Row]) -> None:
        """Write some rows."""

    def finish(self) -> None:
        """Write what is left."""


def format_of(path: Path | None, named: str | None) -> str:
    """The format that an option names, else that of the file's name; csv for any other name."""
    ending = path.suffix.removeprefix(".").lower() if path else ""
    ending = {"ndjson": "jsonl", "json": "jsonl", "pq": "parquet"}.get(ending, ending)
    return named or (ending if ending in FORMATS else "csv")


def check_format(format_: str) -> None:
    """Raise InvalidSetting when a package that the format needs is not installed."""
    if format_ != "parquet":
        return
    try:
        import_module("pyarrow.parquet")
    except ImportError as error:
        raise InvalidSetting(
            "Parquet needs pyarrow (the extra `parquet`): pip install pyarrow. CSV and JSON "
            "Lines (--format csv, --format jsonl) need nothing more."
        ) from error


def open_writer(format_: str, columns: Sequence[ExportColumn], file: BinaryIO) -> RowWriter:
    """A writer of rows with these columns."""
    match format_:
        case "jsonl":
            return JsonLinesWriter(columns, file)
        case "parquet":
            return ParquetWriter(columns, file)
    return CsvWriter(columns, file)


class CsvWriter:
    """RFC 4180 in UTF-8 with a header line; a text that a spreadsheet would run gets a `'`."""

    def __init__(self, columns: Sequence[ExportColumn], file: BinaryIO) -> None:
        self._text = TextIOWrapper(file, "utf-8", newline="")
        self._writer = csv.writer(self._text, lineterminator="\n")
        self._writer.writerow([column.name for column in columns])

    def write(self, rows: Sequence[Row]) -> None:
        self._writer.writerows([[_csv_cell(cell) for cell in row] for row in rows])

    def finish(self) -> None:
        self._text.flush()
        self._text.detach()


class JsonLinesWriter:
    """One JSON object a line, in UTF-8; amounts are strings, so that no digit is lost."""

    def __init__(self, columns: Sequence[ExportColumn], file: BinaryIO) -> None:
        self._names = [column.name for column in columns]
        self._file = file

    def write(self, rows: Sequence[Row]) -> None:
        for row in rows:
            values = dict(zip(self._names, map(_plain, row), strict=True))
            line = json.dumps(values, ensure_ascii=False, separators=(",", ":"))
            self._file.write(line.encode() + b"\n")

    def finish(self) -> None:
        self._file.flush()


class ParquetWriter:
    """Amounts are exact decimals, times are in UTC; a row group has ROW_GROUP rows or more."""

    def __init__(self, columns: Sequence[ExportColumn], file: BinaryIO) -> None:
        self._arrow: Any = import_module("pyarrow")
        self._columns = columns
        self._schema: Any = self._arrow.schema(
            [(column.name, _arrow_type(self._arrow, column)) for column in columns]
        )
        parquet: Any = import_module("pyarrow.parquet")
        self._writer: Any = parquet.ParquetWriter(file, self._schema)
        self._rows: list[Row] = []

    def write(self, rows: Sequence[Row]) -> None:
        self._rows += rows
        if len(self._rows) >= ROW_GROUP:
            self._write_group()

    def finish(self) -> None:
        self._write_group()
        self._writer.close()

    def _write_group(self) -> None:
        rows, self._rows = self._rows, []
        columns = [
            [_parquet_cell(column, row[place]) for row in rows]
            for place, column in enumerate(self._columns)
        ]
        if rows:
            self._writer.write_table(self._arrow.table(columns, schema=self._schema))


def _arrow_type(arrow: Any, column: ExportColumn) -> Any:
    match column.type:
        case "integer":
            return arrow.int64()
        case "seconds":
            return arrow.float64()
        case "money" | "percent":
            return arrow.decimal128(38, MONEY_DIGITS)
        case "time":
            return arrow.timestamp("us", tz="UTC")
    return arrow.string()


def _parquet_cell(column: ExportColumn, cell: Cell) -> Cell:
    if column.type in ("money", "percent") and isinstance(cell, Decimal):
        return cell.quantize(Decimal(1).scaleb(-MONEY_DIGITS), context=_PARQUET_DECIMALS)
    return cell


def _csv_cell(cell: Cell) -> str | int | float | None:
    plain = _plain(cell)
    if isinstance(cell, str) and cell.startswith(_FORMULA_STARTS) and not _is_recipient(cell):
        return f"'{cell}"
    return plain


def _is_recipient(text: str) -> bool:
    return _RECIPIENT.fullmatch(text) is not None


def _plain(cell: Cell) -> str | int | float | None:
    """A value as text or number: amounts to their last digit, times in ISO 8601 and UTC."""
    if isinstance(cell, Decimal):
        return f"{cell.normalize():f}"
    if isinstance(cell, datetime):
        return cell.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return cell
