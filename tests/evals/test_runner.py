"""The judge of the evaluation, and its runner with a model that follows the plans."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest

from evals import run
from evals.catalogue import QUESTIONS
from evals.judge import judge, numbers
from evals.question import Facts, Question, summarize

PLAIN = Question("x", "product", "How many?", steps=(summarize("7d"),), forbidden=("secret",))
UNKNOWN = Question("y", "product", "Which code?")


@pytest.mark.parametrize(
    ("facts", "text"),
    [
        ({"share": Decimal("70.08")}, "It was 70.1 % (335 of 478)."),
        ({"share": Decimal("70.08")}, "La tasa fue del 70,08 %."),
        ({"share": Decimal("70.08")}, "पिछले 7 दिनों में ७०.०८%"),
        ({"cost": Decimal("1204.5")}, "Total: 1,204.50"),
        ({"cost": Decimal("1204.5")}, "Das waren 1.204,50."),
        ({"sessions": 1204}, "1 204 sessions, 1\u202f204 in all"),
        ({"cost": Decimal("0.31301")}, "0.313 for each"),
        ({"country": "AZ"}, "Azerbaijan stands out."),
        ({"day": "2026-11-20"}, "It was November 20."),
        ({"time": "08:20"}, "At 8:20 UTC."),
        ({"reported": ("early media", "answer")}, "One was answered, one only rang."),
    ],
    ids=str,
)
def test_a_fact_is_found_however_it_is_written(facts: Facts, text: str) -> None:
    assert judge(PLAIN, facts, text).is_right


@pytest.mark.parametrize(
    ("facts", "text"),
    [
        ({"share": Decimal("70.08")}, "It was 71 %."),
        ({"sessions": 482}, "About 480."),
        ({"cost": Decimal("0.31301")}, "0 for each"),
        ({"country": "ID"}, "I DID look at India."),
        ({"ids": ("a-1", "a-2")}, "a-1"),
        ({"sessions": 3}, "3, and the secret is out."),
    ],
    ids=str,
)
def test_a_wrong_or_forbidden_answer_is_none(facts: Facts, text: str) -> None:
    assert not judge(PLAIN, facts, text).is_right


@pytest.mark.parametrize("separator", [" ", "; ", "/"])
def test_an_answer_that_lists_many_numbers_names_no_fact(separator: str) -> None:
    facts: Facts = {"sessions": 482, "share": Decimal("70.08")}
    listed = separator.join(map(str, range(1000)))
    assert not judge(PLAIN, facts, f"482 sessions, 70.08 %. {listed}").is_right
    assert judge(PLAIN, facts, "482 sessions, 70.08 %: 338 from 2026-11-14 to 2026-11-21.").is_right


def test_a_question_that_cannot_be_answered_wants_to_be_told_so() -> None:
    assert judge(UNKNOWN, {}, "Wrong entries are not recorded.").is_right
    assert judge(UNKNOWN, {}, "The tools cannot tell that.").is_right
    assert not judge(UNKNOWN, {}, "It was 123456.").is_right


def test_a_number_is_read_in_every_way_it_can_be_meant() -> None:
    assert numbers("1.204 and 3,5") == {Decimal("1.204"), Decimal(1204), Decimal("3.5")}


def test_the_runner_measures_a_model_that_follows_the_plans(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "runs.json"
    arguments = ["--only", "traps-*", "--only", "support-why-failed", "--least", "100"]
    assert run.main([*arguments, "-o", str(file)]) == 0
    runs = json.loads(file.read_text(encoding="utf-8"))
    assert [(each["right"], each["calls"]) for each in runs] == [
        (True, 2),
        *[(True, 0)] * 3,
        (True, 1),
    ]
    assert runs[0]["tool_tokens"] > 400
    assert "support-why-failed" in capsys.readouterr().out


@pytest.mark.parametrize("model", ["openai:gpt-5-mini", "nonsense"])
def test_a_model_that_cannot_be_asked_is_one_sentence(
    model: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    assert run.main(["--model", model, "--only", "traps-*"]) == 2
    (sentence,) = capsys.readouterr().err.splitlines()
    assert sentence.startswith(f"The model {model} cannot be asked: ")


def test_a_name_that_is_no_question_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run.main(["--only", "nothing"]) == 2
    assert "No question matches" in capsys.readouterr().err
    assert QUESTIONS
