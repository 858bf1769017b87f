"""Whether a customer's words ask for a price or a time: such a lead is hot, somebody should answer it soon.

A rule of words, English and Spanish, that would rather call one too many hot: it changes only who is looked at first.
"""

from __future__ import annotations

import re

__all__ = ["asks_for_price_or_time"]

_PRICE = r"how much|price|pricing|prices|cost|costs|quote|estimate|rate|rates|deal|discount|cu[aá]nto|precios?|cuesta|cotizaci[oó]n"
_TIME = (
    r"when|what time|what day|how soon|how long|available|availability|appointment|appt|schedule|book|booking|come in"
    r"|drop (?:it|my \w+) off|opening|openings|slots?|today|tomorrow|tonight|this week|next week|weekend"
    r"|(?:mon|tues|wednes|thurs|fri|satur|sun)day|\d{1,2} ?(?:am|pm)|\d{1,2}:\d{2}"
    r"|cu[aá]ndo|qu[eé] hora|cita|agendar|reservar|disponib\w+|ma[nñ]ana|hoy|lunes|martes|mi[eé]rcoles|jueves|viernes|s[aá]bado|domingo"
)
_WISH = re.compile(rf"(?<!\w)(?:{_PRICE}|{_TIME})(?!\w)|\$ ?\d", re.IGNORECASE)
_LONGEST = 2_000


def asks_for_price_or_time(text: str) -> bool:
    """Whether `text` asks for a price, an appointment, or when there is time."""
    return _WISH.search(text[:_LONGEST]) is not None
