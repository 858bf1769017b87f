"""The tools as a model sees them. No id of ours is among their arguments: handles are names that are good in one conversation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

__all__ = ["NAMES", "TOOLS"]

_DATE = "A date as YYYY-MM-DD, or null."


def _tool(tool: str, about: str, /, **properties: Mapping[str, object]) -> dict[str, object]:
    parameters = {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
    function = {"name": tool, "description": about, "strict": True, "parameters": parameters}
    return {"type": "function", "function": function}


def _text(description: str, *, optional: bool = False) -> dict[str, object]:
    return {"type": ["string", "null"] if optional else "string", "description": description}


TOOLS: Sequence[Mapping[str, object]] = (
    _tool(
        "search_services",
        "Find services of the shop, with their prices and how long they take.",
        query=_text("What the customer wants, in their own words."),
    ),
    _tool("opening_hours", "The shop's opening hours, address and telephone number."),
    _tool(
        "free_slots",
        "Times at which the work can begin.",
        services={
            "type": "array",
            "items": {"type": "string"},
            "description": "One or more `service` handles of search_services.",
        },
        from_date=_text(f"The first day. {_DATE}", optional=True),
        to_date=_text(f"The last day. {_DATE}", optional=True),
        near=_text("A time of day as HH:MM that the customer prefers, or null.", optional=True),
    ),
    _tool(
        "hold_slot",
        "Keep a time for ten minutes while the customer decides.",
        slot=_text("A `slot` handle of free_slots."),
    ),
    _tool(
        "book_slot",
        "Book a time that the customer has chosen.",
        slot=_text("A `slot` handle of free_slots."),
        name=_text("The customer's name as they wrote it, if the tool asked for it, else null.", optional=True),
        phone=_text(
            "The customer's phone number as they wrote it, if the tool asked for it, else null.", optional=True
        ),
    ),
    _tool("hand_over", "Give the conversation to a person of the shop.", reason=_text("Why, in a few words.")),
)
NAMES = frozenset({"search_services", "opening_hours", "free_slots", "hold_slot", "book_slot", "hand_over"})
