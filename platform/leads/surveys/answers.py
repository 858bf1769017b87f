"""The answers of a survey: which question comes next, and what may stand as an answer; nothing is read or written here."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from lead_orchestrator.errors import BadInputError
from lead_orchestrator.leads.addresses import known_email, known_phone
from lead_orchestrator.leads.surveys.definition import Ending, Question, QuestionType, Survey
from lead_orchestrator.leads.vehicles import checked_vehicle

__all__ = ["Answer", "Answered", "Progress", "answered", "progress"]

Answer = str | float | int | list[str] | Mapping[str, object]
"""A choice is its value, several are a list of them; a date is written as in 2026-03-01."""

_ROOT = "answers"
_SHOWN = 60
_VEHICLE = ("year", "make", "model")


@dataclass(frozen=True)
class Progress:
    """The way through a survey so far. `at` is the question that waits for its answer, with what is wrong with the one that was
    given; None at the end, which is `ending`."""

    answers: Mapping[str, Answer]
    passed: Sequence[Question]
    at: Question | None
    wrong: BadInputError | None
    ending: Ending | None


@dataclass(frozen=True)
class Answered:
    """A survey that was gone through to its end; questions that were not on the way have no answer here.

    `hot`: the person chose what only somebody chooses who is about to buy, or asked for a time.
    """

    answers: Mapping[str, Answer]
    ending: Ending
    hot: bool
    phone: str | None = None
    email: str | None = None
    vehicle: Mapping[str, object] | None = None


def progress(survey: Survey, given: Mapping[str, object]) -> Progress:
    """How far these answers lead; a question that is not in `given` at all is the next one, one with nothing in it was passed over."""
    answers: dict[str, Answer] = {}
    passed: list[Question] = []
    target = survey.questions[0].id if survey.questions else Ending.THANKS.value
    questions = {question.id: question for question in survey.questions}
    while target in questions:
        question = questions[target]
        if question.id not in given:
            return Progress(answers, passed, question, None, None)
        try:
            answer = _read(question, given[question.id])
        except BadInputError as error:
            return Progress(answers, passed, question, error, None)
        passed.append(question)
        if answer is not None:
            answers[question.id] = answer
        target = _next(survey, question, answer)
    return Progress(answers, passed, None, None, Ending(target))


def answered(survey: Survey, given: Mapping[str, object]) -> Answered:
    """All the answers at once; what is not on the way that they lead is left out.

    Raises:
        BadInputError: UNKNOWN_QUESTION, ANSWER_MISSING, INVALID_ANSWER; `field` leads to the question.
    """
    known = {question.id: question for question in survey.questions}
    for name in given:
        if name not in known:
            message = f"the survey has no question {name[:_SHOWN]!r}: leave it out"
            raise BadInputError(message, code="UNKNOWN_QUESTION", field=(_ROOT, name[:_SHOWN]))
    gone = progress(survey, {name: given.get(name) for name in known})
    if gone.wrong is not None:
        raise gone.wrong
    if gone.ending is None:
        raise RuntimeError("a survey without a question that waits has an end")
    return _summary(gone.answers, known, gone.ending)


def _summary(answers: Mapping[str, Answer], questions: Mapping[str, Question], ending: Ending) -> Answered:
    of_type: dict[QuestionType, Answer] = {}
    for name, answer in answers.items():
        of_type.setdefault(questions[name].type, answer)
    phone, email = of_type.get(QuestionType.PHONE), of_type.get(QuestionType.EMAIL)
    vehicle = of_type.get(QuestionType.VEHICLE)
    chosen_hot = any(_chose_hot(questions[name], answer) for name, answer in answers.items())
    return Answered(
        answers=answers,
        ending=ending,
        hot=chosen_hot or ending is Ending.BOOKING,
        phone=phone if isinstance(phone, str) else None,
        email=email if isinstance(email, str) else None,
        vehicle=vehicle if isinstance(vehicle, Mapping) else None,
    )


def _chose_hot(question: Question, answer: Answer) -> bool:
    chosen = answer if isinstance(answer, list) else [answer]
    return any(option.hot and option.value in chosen for option in question.options)


def _next(survey: Survey, question: Question, answer: Answer | None) -> str:
    for option in question.options:
        if option.next is not None and option.value == answer:
            return option.next
    return survey.after(question)


def _read(question: Question, raw: object) -> Answer | None:
    """The answer as it is stored; None where there is none and none is needed."""
    answer = None if _is_nothing(raw) else _READERS[question.type](question, raw)
    if answer is None and question.required:
        message = f"{question.id} needs an answer: {question.label[:_SHOWN]}"
        raise BadInputError(message, code="ANSWER_MISSING", field=(_ROOT, question.id))
    return answer


def _is_nothing(raw: object) -> bool:
    if isinstance(raw, Mapping):
        return all(_is_nothing(part) for part in raw.values())
    if isinstance(raw, list):
        return all(_is_nothing(part) for part in raw)
    return raw is None or (isinstance(raw, str) and not raw.strip())


def _text(question: Question, raw: object) -> str:
    if not isinstance(raw, str):
        raise _wrong(question, "is no text")
    text = raw.strip()
    if len(text) > question.max_length:
        raise _wrong(question, f"has {len(text)} characters: send {question.max_length} at most")
    return text


def _single(question: Question, raw: object) -> str:
    if not isinstance(raw, str):
        raise _wrong(question, "is no text: send the value of one option")
    return _option(question, raw.strip())


def _multi(question: Question, raw: object) -> list[str]:
    if not isinstance(raw, list):
        raise _wrong(question, "is no list: send the values of the options")
    chosen = {_option(question, part.strip() if isinstance(part, str) else "") for part in raw if not _is_nothing(part)}
    return [option.value for option in question.options if option.value in chosen]


def _option(question: Question, value: str) -> str:
    values = [option.value for option in question.options]
    if value not in values:
        raise _wrong(question, f"is {value[:_SHOWN]!r}: it is one of {', '.join(values)}")
    return value


def _number(question: Question, raw: object) -> int | float:
    try:
        if isinstance(raw, bool) or not isinstance(raw, int | float | str):
            raise TypeError
        number = float(raw)
    except (ValueError, TypeError, OverflowError):
        raise _wrong(question, "is no number") from None
    lowest, highest = question.min, question.max
    if not math.isfinite(number) or abs(number) > 1e15:  # noqa: PLR2004 - beyond it whole numbers are no longer exact
        raise _wrong(question, "is no number of a usual size")
    if lowest is not None and number < lowest:
        raise _wrong(question, f"is {number:g}: send {lowest:g} or more")
    if highest is not None and number > highest:
        raise _wrong(question, f"is {number:g}: send {highest:g} or less")
    return int(number) if number.is_integer() else number


def _email(question: Question, raw: object) -> str:
    address = known_email(raw) if isinstance(raw, str) else None
    if address is None:
        raise _wrong(question, "is not a mail address: write it as in name@example.com")
    return address


def _phone(question: Question, raw: object) -> str:
    number = known_phone(raw) if isinstance(raw, str) else None
    if number is None:
        raise _wrong(question, "is not a phone number: write it with its area code, as in +1 213 555 0101")
    return number


def _date(question: Question, raw: object) -> str:
    try:
        if not isinstance(raw, str):
            raise TypeError
        return date.fromisoformat(raw.strip()).isoformat()
    except (ValueError, TypeError):
        raise _wrong(question, "is no date: write it as in 2026-03-01") from None


def _vehicle(question: Question, raw: object) -> Mapping[str, object]:
    if not isinstance(raw, Mapping):
        raise _wrong(question, "is no vehicle: send an object with year, make and model")
    unknown = [str(name)[:_SHOWN] for name in raw if name not in _VEHICLE]
    if unknown:
        raise _wrong(question, f"has {unknown[0]!r}: send year, make and model")
    parts = dict(_parts(raw))
    try:
        return checked_vehicle(parts, _ROOT, question.id) or {}
    except BadInputError as error:
        raise BadInputError(error.message, code="INVALID_ANSWER", field=error.field) from None


def _parts(raw: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    for name, part in raw.items():
        if not _is_nothing(part):
            yield name, part.strip() if isinstance(part, str) else part


_READERS: Mapping[QuestionType, Callable[[Question, object], Answer]] = {
    QuestionType.TEXT: _text,
    QuestionType.SINGLE: _single,
    QuestionType.MULTI: _multi,
    QuestionType.NUMBER: _number,
    QuestionType.EMAIL: _email,
    QuestionType.PHONE: _phone,
    QuestionType.DATE: _date,
    QuestionType.VEHICLE: _vehicle,
}


def _wrong(question: Question, what: str) -> BadInputError:
    """What a person wrote is not in the message, unless it is a choice or a number."""
    return BadInputError(f"{question.id} {what}", code="INVALID_ANSWER", field=(_ROOT, question.id))
