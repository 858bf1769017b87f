"""What a survey is made of, and everything that can be wrong with one; nothing is read here and nothing is written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from lead_orchestrator.errors import AppError, BadInputError

__all__ = ["Ending", "Option", "Question", "QuestionType", "Survey", "SurveyError", "checked_survey"]

MOST_QUESTIONS = 50
MOST_OPTIONS = 30
_ROOT = "definition"
_SHOWN = 60
_CHOICES = ("single", "multi")

Path = tuple[str, ...]


class QuestionType(StrEnum):
    """`vehicle` asks for year, make and model."""

    TEXT = "text"
    SINGLE = "single"
    MULTI = "multi"
    NUMBER = "number"
    EMAIL = "email"
    PHONE = "phone"
    DATE = "date"
    VEHICLE = "vehicle"


class Ending(StrEnum):
    """Where a survey leads to: the free times, or a word of thanks."""

    BOOKING = "BOOKING"
    THANKS = "THANKS"


class _Part(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True, strict=True)


class Option(_Part):
    """An answer to choose. `next` of a single choice is where it leads to; `hot`: whoever chooses it is a hot lead."""

    value: Annotated[str, Field(pattern=r"^[A-Za-z0-9][\w .,+/-]{0,59}$")]
    label: Annotated[str, Field(min_length=1, max_length=200)]
    next: str | None = None
    hot: bool = False


class Question(_Part):
    """`next` is the id of a question, or BOOKING or THANKS; without one the next question of the list follows, at its end THANKS.

    `min` and `max` bound a number, `maxLength` a text.
    """

    id: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
    type: Annotated[QuestionType, Field(strict=False)]
    label: Annotated[str, Field(min_length=1, max_length=300)]
    help: Annotated[str, Field(max_length=500)] | None = None
    required: bool = False
    options: Annotated[tuple[Option, ...], Field(max_length=MOST_OPTIONS, strict=False)] = ()
    min: Annotated[float, Field(allow_inf_nan=False)] | None = None
    max: Annotated[float, Field(allow_inf_nan=False)] | None = None
    max_length: Annotated[int, Field(ge=1, le=2000)] = 500
    next: str | None = None


class Survey(_Part):
    """A shop's questions. Name, phone number and mail address are asked for after them in any case, unless a question of these
    types was answered. `consent` is what the customer agrees to, word by word; without one the built-in text is shown.

    `version` is read and not written: each change of a survey makes the next one.
    """

    title: Annotated[str, Field(min_length=1, max_length=120)] | None = None
    intro: Annotated[str, Field(max_length=1000)] | None = None
    thanks: Annotated[str, Field(max_length=1000)] | None = None
    consent: Annotated[str, Field(min_length=20, max_length=1000)] | None = None
    questions: Annotated[tuple[Question, ...], Field(max_length=MOST_QUESTIONS, strict=False)] = ()
    version: int | None = None

    def after(self, question: Question) -> str:
        """Where `question` leads to unless an option says otherwise."""
        if question.next is not None:
            return question.next
        place = self.questions.index(question) + 1
        return self.questions[place].id if place < len(self.questions) else Ending.THANKS

    def dumped(self) -> dict[str, object]:
        """As it is stored and shown, without its version."""
        return self.model_dump(by_alias=True, exclude_defaults=True, exclude={"version"}, mode="json")


class SurveyError(BadInputError):
    """The survey cannot be used; `problems` are all there are, the first one is its message."""

    def __init__(self, problems: Sequence[AppError]) -> None:
        super().__init__(problems[0].message, code=problems[0].code, field=problems[0].field)
        self.problems = problems


def checked_survey(definition: object) -> Survey:
    """`definition` as a survey.

    Raises:
        SurveyError: with everything that is wrong: its form first and, where that is right, what its questions lead to.
    """
    try:
        survey = Survey.model_validate(definition)
    except ValidationError as error:
        raise SurveyError([_misshapen(item) for item in error.errors()]) from None
    found = [*_own_problems(survey), *_unknown_targets(survey)]
    found = found or [*_cycles(survey), *_unreached(survey)]
    if found:
        raise SurveyError(found)
    return survey


def _misshapen(item: Mapping[str, object]) -> AppError:
    loc = item["loc"]
    path = tuple(map(str, loc)) if isinstance(loc, tuple) else ()
    given, name = item.get("input"), ".".join((_ROOT, *path))
    if item["type"] == "extra_forbidden":
        return _problem(f"there is no {name}: leave it out", path)
    if item["type"] == "missing":
        return _problem(f"{name} is missing", path)
    shown = f" is {given[:_SHOWN]!r}" if isinstance(given, str) else ""
    return _problem(f"{name}{shown}: {str(item['msg'])[:1].lower()}{str(item['msg'])[1:]}", path)


def _own_problems(survey: Survey) -> Iterator[AppError]:
    seen: set[str] = set()
    for place, question in enumerate(survey.questions):
        path = ("questions", str(place))
        if question.id in seen:
            yield _problem(f"another question has the id {question.id!r}: each has one of its own", (*path, "id"))
        seen.add(question.id)
        yield from _options(question, path)
        if question.min is not None and question.max is not None and question.min > question.max:
            yield _problem(f"min is {question.min:g}, which is more than max, {question.max:g}", (*path, "min"))


def _options(question: Question, path: Path) -> Iterator[AppError]:
    if question.type not in _CHOICES:
        if question.options:
            yield _problem(f"a {question.type} question has no options: leave them out", (*path, "options"))
        return
    if not question.options:
        yield _problem("there is nothing to choose: give options", (*path, "options"))
    seen: set[str] = set()
    for number, option in enumerate(question.options):
        here = (*path, "options", str(number))
        if option.value in seen:
            yield _problem(f"another option has the value {option.value!r}", (*here, "value"))
        seen.add(option.value)
        if option.next is not None and question.type == QuestionType.MULTI:
            yield _problem(
                "several options can be chosen, so that none leads anywhere: set next of the question", (*here, "next")
            )


def _unknown_targets(survey: Survey) -> Iterator[AppError]:
    known = {question.id for question in survey.questions} | set(Ending)
    for path, _, target in _set_edges(survey):
        if target not in known:
            message = (
                f"next is {target[:_SHOWN]!r}, which is no question of this survey: name one, or BOOKING or THANKS"
            )
            yield _problem(message, path, "UNKNOWN_TARGET")


def _cycles(survey: Survey) -> Iterator[AppError]:
    """A way back is an edge to a question that leads here; only what somebody has set can be one."""
    edges = _edges(survey)
    for path, source, target in _set_edges(survey):
        if target not in set(Ending) and source in _reached(edges, target):
            message = f"{source!r} leads to {target!r}, which leads back to it: nobody would come to an end"
            yield _problem(message, path, "CYCLE")


def _unreached(survey: Survey) -> Iterator[AppError]:
    if not survey.questions:
        return
    reached = _reached(_edges(survey), survey.questions[0].id)
    for place, question in enumerate(survey.questions):
        if question.id not in reached:
            message = f"nothing leads to {question.id!r}: set the next of another question to it, or take it out"
            yield _problem(message, ("questions", str(place)), "UNREACHABLE")


def _set_edges(survey: Survey) -> Iterator[tuple[Path, str, str]]:
    """Where each `next` stands, the question it leads away from, and where to."""
    for place, question in enumerate(survey.questions):
        path = ("questions", str(place))
        if question.next is not None:
            yield (*path, "next"), question.id, question.next
        for number, option in enumerate(question.options):
            if option.next is not None:
                yield (*path, "options", str(number), "next"), question.id, option.next


def _edges(survey: Survey) -> Mapping[str, set[str]]:
    """Where each question can lead to."""
    edges: dict[str, set[str]] = {}
    for question in survey.questions:
        own = {option.next for option in question.options if option.next is not None}
        decided = question.required and question.type == QuestionType.SINGLE and all(o.next for o in question.options)
        edges[question.id] = own if decided else {*own, survey.after(question)}
    return edges


def _reached(edges: Mapping[str, set[str]], start: str) -> set[str]:
    """What can be come to from `start`, itself included."""
    found, waiting = {start}, [start]
    while waiting:
        for target in edges.get(waiting.pop(), ()):
            if target not in found:
                found.add(target)
                waiting.append(target)
    return found


def _problem(message: str, path: Path, code: str = "INVALID_SURVEY") -> AppError:
    return BadInputError(message, code=code, field=(_ROOT, *path))
