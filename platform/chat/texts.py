"""What a conversation itself says to the customer, in English and in Spanish."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["TEXTS"]

TEXTS: Mapping[str, Mapping[str, str]] = {
    "en": {
        "handed_over": "I am handing you over to a person at {shop}. They will answer you right here.",
        "taken": "You are now talking with {who}.",
        "colleague": "a person at {shop}",
        "released": "{shop}'s automatic assistant answers you again from here.",
        "code": "{code} is your code for the chat with {shop}. It is good for 10 minutes. Did not ask for it? Ignore this message.",
    },
    "es": {
        "handed_over": "Le paso con una persona de {shop}. Le responderá aquí mismo.",
        "taken": "Ahora habla con {who}.",
        "colleague": "una persona de {shop}",
        "released": "A partir de aquí le responde otra vez el asistente automático de {shop}.",
        "code": "{code} es su código para el chat con {shop}. Vale 10 minutos. ¿No lo pidió? Ignore este mensaje.",
    },
}
