"""The part of a form that asks who it is; the survey page and the booking page have it in common."""

from __future__ import annotations

import html
from collections.abc import Collection, Mapping

from lead_orchestrator.errors import BadInputError
from lead_orchestrator.rest import fields as form

__all__ = ["person_fields", "person_text"]

LONGEST_NAME = 100
_FIELDS = (
    ("firstName", "first_name", 'autocomplete="given-name" maxlength="100"', True),
    ("lastName", "last_name", 'autocomplete="family-name" maxlength="100"', False),
    ("phone", "phone", 'type="tel" autocomplete="tel" maxlength="40"', True),
    ("email", "email", 'type="email" autocomplete="email" maxlength="254"', False),
)


def person_fields(
    texts: Mapping[str, str], values: Mapping[str, str], consent: str, *, skipped: Collection[str] = (), wrong: str = ""
) -> str:
    """Name, number and address with what was written already, and the box of the consent, which nobody has ticked for them."""
    rows = [
        form.line(
            name,
            texts[label],
            values.get(name, ""),
            attributes,
            required=required,
            note=texts["optional"],
            wrong=name if name == wrong else None,
        )
        for name, label, attributes, required in _FIELDS
        if name not in skipped
    ]
    ticked = " checked" if values.get("consent") == "yes" else ""
    agreed = html.escape(texts["consent"].format(text=consent))
    box = f'<label class="choice small"><input type="checkbox" name="consent" value="yes"{ticked}><span>{agreed}</span></label>'
    return "".join([*rows, box])


def person_text(value: str, name: str) -> str | None:
    """Raises BadInputError: TOO_LONG."""
    if len(value) > LONGEST_NAME or "\x00" in value:
        message = f"{name} has {len(value)} characters: {LONGEST_NAME} at most"
        raise BadInputError(message, code="TOO_LONG", field=(name,))
    return value or None
