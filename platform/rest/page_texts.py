"""What the pages for customers say, in English and in Spanish."""

from __future__ import annotations

from collections.abc import Mapping

from lead_orchestrator.leads.models import Channel

__all__ = ["CHANNELS", "TEXTS"]

TEXTS: Mapping[str, Mapping[str, str]] = {
    "en": {
        "glad": "{shop} is glad to help",
        "answer": "Just answer the message you received: {shop} reads it.",
        "call": "Or call {phone}.",
        "ended": "This link has ended",
        "newest": "Please use the newest message you received from us.",
        "unsubscribe": "Unsubscribe from these e-mails?",
        "unsubscribed": "You are unsubscribed",
        "no_mails": "You will get no more e-mails from {shop} about your quote.",
        "unsubscribe_button": "Unsubscribe",
        "choose": "What may {shop} send you?",
        "choose_more": "Or choose what you receive",
        "legend": "About my quote, I want to receive:",
        "save": "Save",
        "stop_all": "Stop everything",
        "saved": "Saved. This is what you receive now:",
        "stopped_all": "Saved. You will receive nothing more.",
        "by_start": "Stopped. To turn it on again, send START from this phone{to}.",
        "to": " to {number}",
        "mail_wording": "I want to receive e-mails from {shop} about my quote.",
    },
    "es": {
        "glad": "{shop} le ayuda con gusto",
        "answer": "Solo responda al mensaje que recibió: {shop} lo lee.",
        "call": "O llame al {phone}.",
        "ended": "Este enlace ya no es válido",
        "newest": "Use el mensaje más reciente que recibió de nosotros.",
        "unsubscribe": "¿Cancelar estos correos?",
        "unsubscribed": "Ha cancelado los correos",
        "no_mails": "No recibirá más correos de {shop} sobre su cotización.",
        "unsubscribe_button": "Cancelar correos",
        "choose": "¿Qué puede enviarle {shop}?",
        "choose_more": "O elija lo que recibe",
        "legend": "Sobre mi cotización quiero recibir:",
        "save": "Guardar",
        "stop_all": "Cancelar todo",
        "saved": "Guardado. Esto es lo que recibe ahora:",
        "stopped_all": "Guardado. No recibirá nada más.",
        "by_start": "Cancelado. Para activarlo de nuevo, envíe START desde este teléfono{to}.",
        "to": " al {number}",
        "mail_wording": "Quiero recibir correos de {shop} sobre mi cotización.",
    },
}

CHANNELS: Mapping[str, Mapping[Channel, str]] = {
    "en": {Channel.EMAIL: "E-mails", Channel.SMS: "Text messages", Channel.WHATSAPP: "WhatsApp messages"},
    "es": {
        Channel.EMAIL: "Correos electrónicos",
        Channel.SMS: "Mensajes de texto",
        Channel.WHATSAPP: "Mensajes de WhatsApp",
    },
}
