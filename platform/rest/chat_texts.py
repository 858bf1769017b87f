"""What the chat page says, in English and in Spanish. The roles are those of a message, the states those of a conversation."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["CHAT_TEXTS"]

CHAT_TEXTS: Mapping[str, Mapping[str, str]] = {
    "en": {
        "conversation": "Conversation with {shop}",
        "welcome": (
            "Ask about prices, times or your vehicle. An automatic assistant answers at once; people of {shop} step in when"
            " needed."
        ),
        "typing": "{shop} is writing",
        "write": "Write a message",
        "send": "Send",
        "choose": "Choose one",
        "USER": "You",
        "ASSISTANT": "Automatic assistant",
        "STAFF": "{shop}",
        "SYSTEM": "",
        "state_ASSISTANT": "",
        "state_HUMAN": "A person at {shop} has this conversation.",
        "state_CLOSED": "This conversation is closed. Open the link again for a new one.",
        "reconnecting": "Connecting…",
        "ended": "This conversation has ended. Open the newest link you received.",
        "failed": "That could not be sent. Please try again.",
    },
    "es": {
        "conversation": "Conversación con {shop}",
        "welcome": (
            "Pregunte por precios, horarios o su vehículo. Un asistente automático responde al momento; el equipo de {shop}"
            " ayuda si hace falta."
        ),
        "typing": "{shop} está escribiendo",
        "write": "Escriba un mensaje",
        "send": "Enviar",
        "choose": "Elija una opción",
        "USER": "Usted",
        "ASSISTANT": "Asistente automático",
        "STAFF": "{shop}",
        "SYSTEM": "",
        "state_ASSISTANT": "",
        "state_HUMAN": "Una persona de {shop} atiende esta conversación.",
        "state_CLOSED": "Esta conversación está cerrada. Abra el enlace de nuevo para empezar otra.",
        "reconnecting": "Conectando…",
        "ended": "Esta conversación ha terminado. Abra el enlace más reciente que recibió.",
        "failed": "No se pudo enviar. Inténtelo de nuevo.",
    },
}
