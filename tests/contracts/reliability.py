"""The faults this product survives, by number, with what it promises and the tests that prove it.

A test proves row 7 when its name begins with `test_r07_`. `python -m tests.contracts.reliability`
brings docs/reliability.md up to date.
"""

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
PAGE = TESTS.parent / "docs" / "reliability.md"
HEAD = """# What can go wrong, and what then

Each row is a promise with a test. A *clear error* is one or two sentences for whoever can act, with
the remedy: no traceback, no secret, no whole phone number, nothing quoted from the API. The server
lives, and the next call works. This page is written from the tests:
`python -m tests.contracts.reliability`.
"""

PROMISES: dict[str, dict[int, tuple[str, str]]] = {
    "The API answers badly": {
        1: ("400", "clear error that names the filters sent, never their values"),
        2: ("401 in any shape", "clear error naming both variables and `doctor`; not retried"),
        3: ("403", "clear error: permission or subaccount"),
        4: (
            "404 for one session",
            "no such session, how to find one; never mistaken for an outage",
        ),
        5: ("404 for the list", "clear error: address or auth id"),
        6: (
            "429 once, with or without Retry-After",
            "waited out within the bound, everybody held back; then the answer",
        ),
        7: ("429 always", "what is held with `complete: false`, else a clear error"),
        8: ("500", "retried once, then a clear error"),
        9: ("502, 503, 504, HTML", "tried again, each try paying its slot; then a clear error"),
        10: ("204, nothing, HTML, `null`, a list, a text", "clear error, never an empty result"),
        11: ("an error inside a 200", "clear error"),
        12: ("JSON or body cut short", "clear error, never half a page"),
        13: ("`sessions` null, missing, no list", "null is an empty page, else a clear error"),
        14: ("missing, null, unknown fields and words", "shown; unknown words as they are"),
        15: ("a row without id, status, time or number", "left out, counted, `complete: false`"),
        16: ("totals that do not add up", "shown as told, with a note; sums use the API's total"),
        17: ("timestamps of every kind", "read, or row 15"),
        18: ("the same row twice", "once"),
        19: ("`next` to another host, in a loop, odd", "other hosts never asked; a loop ends"),
        20: ("redirects", "never followed; clear error"),
        21: ("bombs: gzip, 200 MB, depth, rows, headers", "clear error, memory bounded"),
        22: ("odd encodings", "read where there is no doubt, else a clear error; valid JSON out"),
        23: ("hostile text", "made harmless and short; never in `why`, `note` or a log"),
    },
    "The network": {
        24: ("DNS, refused, reset, TLS", "clear error naming the kind; TLS never weakened"),
        25: ("no answer, or a byte a second", "bounded in all; the slot is accounted for"),
        26: ("proxy, company CA", "honoured; never for plain http"),
        27: ("a connection gone stale", "tried again; free only if nothing was sent"),
    },
    "Quota": {
        28: ("many processes, many callers, jitter", "never more than the limit; order kept"),
        29: ("a holder killed", "slots and tickets come back; no violation"),
        30: ("clocks jump, reboot", "no violation, no stall beyond a window"),
        31: ("the ledger fails", "said once; this process alone at a quarter of the rate"),
        32: ("one greedy caller", "order of arrival; `sync` never before people"),
        33: ("cancelled while waiting or asking", "stops; slot back if nothing was sent"),
    },
    "Disk and mirror": {
        34: ("killed between any two statements", "nothing held is lost, nothing false is claimed"),
        35: ("disk full, read-only, no home", "answers without the mirror, and says so"),
        36: ("database damaged, newer, half made", "set aside under a telling name, begun anew"),
        37: ("two processes at once", "one result, no error to a caller"),
        38: ("links, owners, modes", "private to this user; links refused"),
        39: ("other account or subaccount", "never mixed"),
        40: ("sessions arrive and change on the way", "none lost, none twice"),
    },
    "The client and the process": {
        41: ("odd arguments", "read or refused; what is refused costs no request"),
        42: ("hostile session ids", "refused, no request"),
        43: ("garbage on stdin", "protocol error or silence; the server lives"),
        44: ("end of input, signals, parent's death", "gone within two seconds"),
        45: ("nobody reads stdout", "no busy loop; it ends"),
        46: ("1,000 calls at once", "each answered or told when; memory bounded"),
        47: ("credentials missing or odd", "starts, lists tools, says what to set"),
        48: ("an address that must not be", "refused at start, by name"),
        49: ("secrets and numbers", "in no log, error, progress, trace or file but the store"),
    },
    "HTTP": {
        50: ("a token missing, wrong, expired, forged", "401 or 403 with metadata; nothing read"),
        51: ("a foreign Host or Origin, also on 0.0.0.0", "refused"),
        52: ("slow, huge, many, abandoned requests", "bounded and cut; others are served"),
        53: ("SIGTERM under load", "calls under way answered or told; gone within 10 s"),
        54: ("PostgreSQL restarted or gone", "as rows 31, 35 and 37"),
        55: ("a confined caller asks for another's data", "refused; nothing leaks"),
    },
    "Answers": {
        56: ("a page read long before the call ended", "final and fresh by its own time only"),
        57: (
            "a count that goes on while the reach moves",
            "ends or begins anew; `applied` says so",
        ),
        58: ("`90d`, asked or paged", "reaches to the second; what slid out is in `applied`"),
        59: (
            "a clock here that is wrong",
            "the API's clock decides; `status` tells the difference",
        ),
        60: (
            "a window that ends now, asked again",
            "the newest part is fetched, or said to be missing",
        ),
        61: (
            "ties, arrivals, unreadable rows, ends of sessions between pages",
            "each row once, none lost",
        ),
        62: ("a window beyond the reach", "no figure at all, and why"),
        63: ("groups of a counted answer", "cover the whole window, with intervals"),
        64: ("a counted question repeated", "every page read narrows its intervals"),
        65: ("events that no page drawn shows", "bounded, never exact"),
        66: (
            "rows that move, repeat, come late or cannot be read while counting",
            "told, bounded, ended; never exact by chance",
        ),
        67: ("work that is not remembered", "`why` never promises that the same call goes on"),
        68: (
            "gaps in what is held, a brand filter on it",
            "at most five spans that hold all gaps; no brand is guessed",
        ),
        69: ("a number in no range, or too long", "the main country of its calling code"),
        70: (
            "a field or status that is odd, a compressed reply",
            "read as far as it can be, noted and counted, never taken for a change",
        ),
        71: ("what no reader could guess", "said in the definitions and in the answer"),
    },
    "Who gets in": {
        72: ("silent TLS connections, few open files", "bounded from accept on; others are served"),
        73: ("a placeholder in a setting that restricts", "the start stops with its name"),
        74: ("asking about numbers in masked mode", "no pseudonym of a number not shown before"),
        76: (
            "an authorization server that hangs, resets, drips or sends too much",
            "callers with a known key are answered, others refused; one bounded request at a time",
        ),
        77: (
            "callers named by digits, a readable or linked log",
            "told apart; values masked",
        ),
        78: ("the account's credentials in a reply", "removed, in every encoding"),
        79: (
            "secrets, numbers and callers' texts on their way into logs, traces or files",
            "hidden or refused; requests that cost work are counted",
        ),
        80: (
            "the network around a replica, its database's password",
            "no more than it needs; a file",
        ),
        81: (
            "lines on stdin that are no message, or too long",
            "each is answered with a JSON-RPC error, in bounded memory",
        ),
    },
    "Records of single messages and calls": {
        84: (
            "no record, 401, 403, 429, 5xx, no answer, HTML, garbage, another record",
            "the session is told; *no such record* or *not available*, and why",
        ),
        85: ("a record of somebody else's attempt", "never requested, never shown"),
    },
}


def tests_of(number: int) -> list[str]:
    """The names of the tests that prove a row."""
    pattern = re.compile(rf"def (test_r{number:02d}_\w+)")
    found = (pattern.findall(path.read_text("utf-8")) for path in sorted(TESTS.rglob("test_*.py")))
    return [name for names in found for name in names]


def page() -> str:
    """The whole document."""
    return HEAD + "".join(_section(title, rows) for title, rows in PROMISES.items())


def _section(title: str, rows: dict[int, tuple[str, str]]) -> str:
    lines = (
        f"| {number} | {fault} | {promise} | {_named(tests_of(number))} |\n"
        for number, (fault, promise) in rows.items()
    )
    return f"\n## {title}\n\n| | fault | promise | tests |\n|---|---|---|---|\n{''.join(lines)}"


def _named(tests: list[str]) -> str:
    return "<br>".join(f"`{each}`" for each in tests)


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
