"""Asks a model the questions: `python -m evals.run --model openai:gpt-5-mini --runs 3`.

It needs the extra `evals`, the package of the model's provider, such as
`pip install 'pydantic-ai-slim[openai]'`, and the provider's key in its usual variable.
docs/evals.md describes the questions and how to add one.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path
from statistics import mean
from typing import Any

import anyio
from rich.console import Console
from rich.table import Column, Table

from evals.catalogue import AREAS, QUESTIONS
from evals.question import Question
from evals.runner import Run, run_questions
from evals.world import make_world


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the evaluation; 1 when fewer answers are right than `--least` asks for.

    2 when no question is chosen, or the model cannot be asked.
    """
    options = _parser().parse_args(arguments)
    chosen = [each for each in QUESTIONS if _is_chosen(each, options.only)]
    if not chosen:
        sys.stderr.write(f"No question matches {options.only}.\n")
        return 2
    try:
        model = _model(options.model, chosen)
    except Exception as error:  # noqa: BLE001 - each provider has errors of its own
        problem = " ".join(str(error).split())
        sys.stderr.write(
            f"The model {options.model} cannot be asked: {problem.rstrip('.')}. docs/evals.md "
            "names what each needs; without --model the questions' own plans answer.\n"
        )
        return 2
    with tempfile.TemporaryDirectory() as folder:
        runs: list[Run] = anyio.run(_run, chosen, model, options.runs, Path(folder) / "v.sqlite3")
    _show(runs, Console())
    if options.output:
        text = json.dumps([_plain(run) for run in runs], ensure_ascii=False, indent=1)
        options.output.write_text(f"{text}\n", encoding="utf-8")
    return int(pass_rate(runs) < options.least)


async def _run(questions: Sequence[Question], model: Any, runs: int, file: Path) -> list[Run]:
    return await run_questions(make_world(), questions, model, runs=runs, file=file)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m evals.run", description=(__doc__ or "")[:70])
    parser.add_argument("--model", default="script", help="PROVIDER:NAME; script follows the plans")
    parser.add_argument("--runs", type=int, default=1, help="answers for each question")
    parser.add_argument(
        "--only", action="append", default=[], metavar="AREA|ID", help="an area, or ids (with *)"
    )
    parser.add_argument("--least", type=float, default=0.0, help="per cent that have to be right")
    parser.add_argument("-o", "--output", type=Path, help="a JSON file with every answer")
    return parser


def _is_chosen(question: Question, names: Sequence[str]) -> bool:
    return not names or any(question.area == name or fnmatch(question.id, name) for name in names)


def _model(name: str, questions: Sequence[Question]) -> Any:
    """The model; raises where its package or key is missing."""
    if name != "script":
        from pydantic_ai.models import infer_model

        return infer_model(name)
    from evals.script import scripted_model

    return scripted_model(questions)


def pass_rate(runs: Sequence[Run]) -> float:
    """The right answers in per cent."""
    return 100 * mean(run.verdict.is_right for run in runs) if runs else 0.0


def _show(runs: Sequence[Run], out: Console) -> None:
    names = Column("question", no_wrap=True)
    table = Table(names, "right", "calls", "tool tokens", "API requests", "missing")
    for name in dict.fromkeys(run.question.id for run in runs):
        table.add_row(*_cells(name, [run for run in runs if run.question.id == name]))
    table.add_section()
    for area in AREAS:
        found = [run for run in runs if run.question.area == area]
        if found:
            table.add_row(*_cells(area, found)[:-1], "")
    table.add_row(*_cells("all", runs)[:-1], "")
    out.print(table)


def _cells(name: str, runs: Sequence[Run]) -> tuple[str, ...]:
    missing = {each for run in runs for each in (*run.verdict.missing, *run.verdict.forbidden)}
    return (
        name,
        f"{pass_rate(runs):.0f} %",
        f"{mean(run.calls for run in runs):.1f}",
        f"{mean(run.tool_tokens for run in runs):.0f}",
        f"{mean(run.api_requests for run in runs):.1f}",
        "; ".join(sorted(missing)),
    )


def _plain(run: Run) -> dict[str, Any]:
    return {
        "question": run.question.id,
        "right": run.verdict.is_right,
        "missing": run.verdict.missing,
        "forbidden": run.verdict.forbidden,
        "calls": run.calls,
        "api_requests": run.api_requests,
        "tool_tokens": run.tool_tokens,
        "input_tokens": run.input_tokens,
        "output_tokens": run.output_tokens,
        "text": run.text,
    }


if __name__ == "__main__":
    sys.exit(main())
