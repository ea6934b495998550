"""A model that follows the plans, so that the runner is tested without a key."""

from collections.abc import Sequence

from pydantic_ai.messages import (
    ModelMessage,
    ModelResponse,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_core import from_json

from evals.question import Answer, Call, Facts, Question

NOT_KNOWN = "That is not in the data that the tools have."


def scripted_model(questions: Sequence[Question]) -> FunctionModel:
    """A model that answers these questions by their plans."""
    by_text = {question.text: question for question in questions}

    def respond(messages: list[ModelMessage], _info: AgentInfo) -> ModelResponse:
        parts = [part for message in messages for part in message.parts]
        text = next(part.content for part in parts if isinstance(part, UserPromptPart))
        returned = [part for part in parts if isinstance(part, ToolReturnPart)]
        try:
            answers = [from_json(str(part.content)) for part in returned]
        except ValueError:  # the server refused a call of the plan
            return ModelResponse(parts=[TextPart(NOT_KNOWN)])
        step = next_step(by_text[str(text)], answers)
        if isinstance(step, str):
            return ModelResponse(parts=[TextPart(step)])
        return ModelResponse(parts=[ToolCallPart(step.tool, step.arguments)])

    return FunctionModel(respond)


def next_step(question: Question, answers: Sequence[Answer]) -> Call | str:
    """The next call of a plan, or the final words."""
    if len(answers) < len(question.steps):
        step = question.steps[len(answers)]
        return step if isinstance(step, Call) else step(answers)
    return in_words(question.read(answers)) if question.is_answerable else NOT_KNOWN


def in_words(facts: Facts) -> str:
    """Facts as a sentence."""
    parts = [
        f"{name} {', '.join(value) if isinstance(value, tuple) else value}"
        for name, value in facts.items()
    ]
    return f"{'; '.join(parts)}."
