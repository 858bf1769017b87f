"""How long work takes by default: ShopMonkey does not say, so a service takes its category's time until somebody sets its own."""

from __future__ import annotations

__all__ = ["DEFAULT_MINUTES", "category_of", "default_minutes"]

OTHER_MINUTES = 60

DEFAULT_MINUTES = {
    "Removal": 120,
    "Windshield": 60,
    "Roof": 90,
    "Lights": 60,
    "Full vehicle": 180,
    "Side and rear windows": 90,
}

# The first category with one of its words in a service's name is the service's.
_WORDS = {
    "Removal": ("removal", "remove"),
    "Windshield": ("windshield", "visor"),
    "Roof": ("roof",),
    "Lights": ("headlight", "taillight"),
    "Full vehicle": ("full vehicle", "full car", "truck", "suv", "sedan", "coupe"),
    "Side and rear windows": ("window", "rear", "quarter", "side"),
}


def category_of(name: str) -> str | None:
    """The category that a service's name speaks of, if any."""
    lowered = name.casefold()
    return next((category for category, words in _WORDS.items() if any(word in lowered for word in words)), None)


def default_minutes(category: str | None) -> int:
    """What a service of this category takes; categories of the franchise's own take an hour."""
    known = {name.casefold(): minutes for name, minutes in DEFAULT_MINUTES.items()}
    return known.get((category or "").strip().casefold(), OTHER_MINUTES)
