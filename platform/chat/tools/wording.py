"""Prices, times and durations in words, in the customer's language and the shop's zone."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

from lead_orchestrator.messaging.templates.defaults import Language

__all__ = ["clock", "day", "duration", "moment", "price", "weekday"]

_DAYS: dict[Language, tuple[str, ...]] = {
    "en": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    "es": ("lunes", "martes", "miércoles", "jueves", "viernes", "sábado", "domingo"),
}
_MONTHS: dict[Language, tuple[str, ...]] = {
    "en": (
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ),
    "es": (
        "enero",
        "febrero",
        "marzo",
        "abril",
        "mayo",
        "junio",
        "julio",
        "agosto",
        "septiembre",
        "octubre",
        "noviembre",
        "diciembre",
    ),
}
OURS = "USD"
_HOUR = 60


def price(cents: int | None, currency: str) -> str | None:
    """`$1,200.00`; None without a price, or in a currency that nobody here speaks of."""
    return f"${cents / 100:,.2f}" if cents is not None and currency == OURS else None


def clock(wall: time | datetime, language: Language) -> str:
    if language == "es":
        return f"{wall.hour}:{wall:%M}"
    return f"{wall.hour % 12 or 12}:{wall:%M} {'AM' if wall.hour < 12 else 'PM'}"  # noqa: PLR2004  # noon


def weekday(number: int, language: Language) -> str:
    """Monday is 0."""
    return _DAYS[language][number]


def day(on: date, language: Language) -> str:
    name, month = _DAYS[language][on.weekday()], _MONTHS[language][on.month - 1]
    return f"{name} {on.day} de {month}" if language == "es" else f"{name}, {month} {on.day}"


def moment(local: datetime, language: Language) -> str:
    """A wall time of the shop."""
    joint = "a las" if language == "es" else "at"
    return f"{day(local.date(), language)} {joint} {clock(local, language)}"


def duration(length: timedelta, language: Language) -> str:
    """`2 hours 30 minutes`."""
    hours, minutes = divmod(int(length.total_seconds()) // 60, _HOUR)
    names = ("hora", "minuto") if language == "es" else ("hour", "minute")
    parts = [
        f"{number} {name}{'s' if number != 1 else ''}"
        for number, name in zip((hours, minutes), names, strict=True)
        if number
    ]
    return " ".join(parts)
