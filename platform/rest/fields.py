"""Parts of the public forms: labelled fields that work with a keyboard, without a script, and say what is wrong with them."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping, Sequence

from lead_orchestrator.leads.surveys.definition import Question, QuestionType
from lead_orchestrator.rest.api.forms import HONEYPOT

__all__ = [
    "alert",
    "answer_name",
    "asked",
    "choices",
    "cleaned",
    "given_answers",
    "hidden",
    "kept_answers",
    "line",
    "trap",
]

_PREFIX = "a."
_VEHICLE = ("year", "make", "model")
_TYPES: Mapping[QuestionType, str] = {
    QuestionType.TEXT: 'type="text"',
    QuestionType.NUMBER: 'type="number" inputmode="decimal" step="any"',
    QuestionType.EMAIL: 'type="email" autocomplete="email"',
    QuestionType.PHONE: 'type="tel" autocomplete="tel"',
    QuestionType.DATE: 'type="date"',
}
_LONG_TEXT = 200

Fields = Mapping[str, Sequence[str]]


def alert(message: str) -> str:
    """What is wrong, read out by screen readers as soon as the page is there."""
    return f'<p role="alert" id="problem">{html.escape(message)}</p>'


def hidden(name: str, value: str) -> str:
    return f'<input type="hidden" name="{html.escape(name)}" value="{html.escape(value)}">'


def trap(label: str) -> str:
    """The field that people neither see nor come to by keyboard, and that browsers do not fill in."""
    field = f'<input name="{HONEYPOT}" value="" tabindex="-1" autocomplete="off">'
    return f'<div class="trap" aria-hidden="true"><label>{html.escape(label)} {field}</label></div>'


def line(
    name: str,
    label: str,
    value: str,
    attributes: str,
    *,
    required: bool = False,
    note: str = "",
    wrong: str | None = None,
) -> str:
    """A field of one line under its label."""
    state = ' aria-invalid="true" aria-describedby="problem" autofocus' if wrong else ""
    needed = " required" if required else ""
    said = f" <small>({html.escape(note)})</small>" if note and not required else ""
    return (
        f'<p class="field"><label for="{html.escape(name)}">{html.escape(label)}{said}</label>'
        f'<input id="{html.escape(name)}" name="{html.escape(name)}" value="{html.escape(value)}" {attributes}{needed}{state}></p>'
    )


def choices(name: str, options: Sequence[tuple[str, str]], chosen: Sequence[str], *, many: bool, required: bool) -> str:
    """Options with their labels (HTML), one below the other."""
    kind, needed = ("checkbox", "") if many else ("radio", " required" if required else "")
    rows = [
        f'<label class="choice"><input type="{kind}" name="{html.escape(name)}" value="{html.escape(value)}"'
        f"{' checked' if value in chosen else ''}{needed}><span>{label}</span></label>"
        for value, label in options
    ]
    return "".join(rows)


def cleaned(fields: Fields) -> Fields:
    """Without the characters that no text has."""
    return {name: [value.replace("\x00", "") for value in values] for name, values in fields.items()}


def answer_name(question_id: str) -> str:
    """The name of the field that answers a question."""
    return f"{_PREFIX}{question_id}"


def asked(question: Question, value: object, texts: Mapping[str, str], *, wrong: bool) -> str:
    """The question's own field or fields; `value` is what was answered before."""
    name = answer_name(question.id)
    described = ' aria-invalid="true" aria-describedby="problem"' if wrong else ""
    if question.type in (QuestionType.SINGLE, QuestionType.MULTI):
        many = question.type == QuestionType.MULTI
        chosen = [str(one) for one in value] if isinstance(value, list) else [str(value or "")]
        options = [(option.value, html.escape(option.label)) for option in question.options]
        body = choices(name, options, chosen, many=many, required=question.required)
        hint = f"<small>{html.escape(texts['choose_any'])}</small>" if many else ""
        legend = f'<legend class="hidden">{html.escape(question.label)}</legend>'
        # What is hidden comes along when nothing is chosen, so that the question counts as asked.
        return f"<fieldset{described}>{legend}{hint}{hidden(name, '')}{body}</fieldset>"
    if question.type == QuestionType.VEHICLE:
        parts = value if isinstance(value, Mapping) else {}
        return "".join(
            line(f"{name}.{part}", texts[part], str(parts.get(part) or ""), _VEHICLE_ATTRIBUTES[part])
            for part in _VEHICLE
        )
    return _one_field(question, name, str(value if value is not None else ""), described)


_VEHICLE_ATTRIBUTES = {
    "year": 'inputmode="numeric" pattern="[0-9]{4}" maxlength="4"',
    "make": 'maxlength="100"',
    "model": 'maxlength="100"',
}


def _one_field(question: Question, name: str, value: str, described: str) -> str:
    needed = " required" if question.required else ""
    label = f'aria-label="{html.escape(question.label)}"'
    if question.type == QuestionType.TEXT and question.max_length > _LONG_TEXT:
        return (
            f'<textarea name="{name}" rows="5" maxlength="{question.max_length}" {label}{needed}{described}>'
            f"{html.escape(value)}</textarea>"
        )
    bounds = "".join(_bounds(question))
    return (
        f'<input name="{name}" value="{html.escape(value)}" {_TYPES[question.type]}{bounds} {label}{needed}{described}>'
    )


def _bounds(question: Question) -> Iterator[str]:
    if question.type == QuestionType.TEXT:
        yield f' maxlength="{question.max_length}"'
    if question.type == QuestionType.NUMBER:
        if question.min is not None:
            yield f' min="{question.min:g}"'
        if question.max is not None:
            yield f' max="{question.max:g}"'


def given_answers(questions: Sequence[Question], fields: Fields) -> dict[str, object]:
    """The answers that a form brought: a question whose fields it did not have is not among them."""
    given: dict[str, object] = {}
    for question in questions:
        name = answer_name(question.id)
        if question.type == QuestionType.VEHICLE:
            parts = {part: fields[f"{name}.{part}"][0] for part in _VEHICLE if f"{name}.{part}" in fields}
            if parts:
                given[question.id] = parts
        elif name in fields:
            given[question.id] = list(fields[name]) if question.type == QuestionType.MULTI else fields[name][-1]
    return given


def kept_answers(questions: Sequence[Question], given: Mapping[str, object]) -> str:
    """What was answered on the way here, to come back with the next step; nothing is kept on our side."""
    return "".join(hidden(name, value) for question in questions for name, value in _written(question, given))


def _written(question: Question, given: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    value, name = given.get(question.id), answer_name(question.id)
    if isinstance(value, Mapping):
        yield from ((f"{name}.{part}", str(value.get(part) or "")) for part in _VEHICLE)
    elif isinstance(value, list):
        yield from ((name, str(one)) for one in (value or [""]))
    else:
        yield name, str(value if value is not None else "")
