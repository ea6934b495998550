"""The sentence of a finding."""

from datetime import UTC, datetime, timedelta

import pytest

from verify_mcp.analysis.anomalies.finding import Finding
from verify_mcp.domain.windows import Window
from verify_mcp.mirror.cells import Evidence
from verify_mcp.summaries.anomaly_query import ReportedFinding
from verify_mcp.tools.anomaly_rows import COLUMNS, finding_row

START = datetime(2026, 11, 20, 22, tzinfo=UTC)


@pytest.mark.parametrize(
    ("hours", "words"),
    [(1, "between 11-20 22:00 and 23:00;"), (30, "between 11-20 22:00 and 11-22 04:00;")],
)
def test_the_end_of_the_begin_has_its_date_where_it_is_another_day(hours: int, words: str) -> None:
    begin = Window(START, START + timedelta(hours=hours))
    fault = Finding("delivery", {"country": "ID"}, begin, "delivered_share", 0.9, 0.5, 1e-6, begin)
    row = finding_row(ReportedFinding(fault, Evidence(sessions=40)), None)
    assert words in row[COLUMNS.index("summary")]
