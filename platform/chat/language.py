"""Which of the two languages a customer writes."""

from __future__ import annotations

import re
from collections.abc import Sequence

from lead_orchestrator.messaging.plain_words import plain
from lead_orchestrator.messaging.templates.defaults import Language

__all__ = ["language_of"]

_SPANISH = frozenset(
    """
    hola buenos buenas gracias por favor que cual cuando cuanto cuanta cuantos donde como quiero quisiera necesito puedo pueden
    tienen tiene hay es esta estan soy somos mi mis su sus para con una unos unas los las el del al y pero porque precio cuesta
    cuestan vale cita horario abren cierran abierto manana hoy lunes martes miercoles jueves viernes sabado domingo ventana
    ventanas polarizado polarizar carro coche camioneta parabrisas persona hablar alguien ustedes usted espanol reservar agendar
    disponible hora horas libre numero nombre llamo tarde primera primero segunda tercera esa ese otro otra dia si dale claro
    perfecto vale adios
    """.split()  # noqa: SIM905  # a list of words reads better so
)
_ENGLISH = frozenset(
    """
    hi hello hey the a an and or but is are do does can could would you your i my me we what when where how much many price cost
    for on at to with please thanks thank want need like book appointment time times open close hours tint window windows car
    truck today tomorrow yes ok okay sure that this first second third one it of in have there any person human name
    """.split()  # noqa: SIM905  # as above
)
_SIGNS = re.compile("[¿¡ñ]", re.IGNORECASE)


def language_of(texts: Sequence[str], default: Language) -> Language:
    """The language of the newest of `texts` that has one; what has words of neither ("10:30") leaves it as it was."""
    for text in reversed(texts):
        words = plain(text).split()
        spanish = sum(word in _SPANISH for word in words) + 2 * bool(_SIGNS.search(text))
        english = sum(word in _ENGLISH for word in words)
        if spanish != english:
            return "es" if spanish > english else "en"
    return default
