"""The built-in texts, for as long as a franchise has none of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from lead_orchestrator.leads.models import Channel, MessageKind
from lead_orchestrator.messaging.templates.models import TemplateVariant
from lead_orchestrator.touches.schedule import VARIABLES

__all__ = ["VARIANTS", "Language", "Wording", "allowed_variables", "built_in"]

Language = Literal["en", "es"]

_V = TemplateVariant

VARIANTS: dict[MessageKind, tuple[TemplateVariant, ...]] = {
    MessageKind.WELCOME: (_V.STANDARD,),
    MessageKind.CONFIRMATION: (_V.STANDARD, _V.RESCHEDULED, _V.CANCELLED),
    MessageKind.REMINDER: (_V.STANDARD,),
    MessageKind.REPLY: (_V.STANDARD, _V.OPTED_OUT, _V.OPTED_IN, _V.HELP),
}
"""The kinds that are made from a template, and what each has one for."""

GENERAL = VARIABLES | {"shop_phone"}
OF_APPOINTMENTS = frozenset({"appointment_day", "appointment_time", "services", "total", "manage_link"})


@dataclass(frozen=True, slots=True)
class Wording:
    """A template in force; `version` 0 is the built-in one."""

    subject: str | None
    body: str
    version: int = 0
    template_id: UUID | None = None


def allowed_variables(kind: MessageKind) -> frozenset[str]:
    """The variables that a template of this kind may name."""
    return GENERAL | OF_APPOINTMENTS if kind in (MessageKind.CONFIRMATION, MessageKind.REMINDER) else GENERAL


def built_in(kind: MessageKind, variant: TemplateVariant, channel: Channel, language: Language = "en") -> Wording:
    """The built-in template; WhatsApp says what a text says. What answers an opt-out or HELP is there in Spanish too."""
    own = _SPANISH.get((kind, variant)) if language == "es" else None
    text, subject, mail = own or _TEXTS[kind, variant]
    return Wording(subject, mail) if channel is Channel.EMAIL else Wording(None, text)


_TEXTS: dict[tuple[MessageKind, TemplateVariant], tuple[str, str, str]] = {
    (MessageKind.WELCOME, _V.STANDARD): (
        (
            "Hi {first_name|there}, this is {shop_name}. We have your answers, thank you! "
            "Questions or a time that suits you? Just text back: {chat_link} Reply STOP to opt out"
        ),
        "Welcome to {shop_name}",
        """Hi {first_name|there},

thank you for your answers. We are looking at them now and will come back to you soon.

If you already know when you would like to come by, pick a time here: {chat_link}""",
    ),
    (MessageKind.CONFIRMATION, _V.STANDARD): (
        (
            "{first_name|Hello}, you are booked at {shop_name}: {appointment_day}, {appointment_time}. "
            "Need another time? {manage_link} Reply STOP to opt out"
        ),
        "Your appointment on {appointment_day}",
        """Hi {first_name|there},

you are booked.

When: {appointment_day}, {appointment_time}
What: {services|your appointment}
Where: {shop_name}, {shop_address}

Need another time, or can't make it? Change it here: {manage_link}""",
    ),
    (MessageKind.CONFIRMATION, _V.RESCHEDULED): (
        (
            "{first_name|Hello}, your appointment at {shop_name} is now {appointment_day}, {appointment_time}. "
            "Change it here: {manage_link}"
        ),
        "Your new time: {appointment_day}",
        """Hi {first_name|there},

your appointment has moved.

When: {appointment_day}, {appointment_time}
What: {services|your appointment}
Where: {shop_name}, {shop_address}

If this doesn't suit you, change it here: {manage_link}""",
    ),
    (MessageKind.CONFIRMATION, _V.CANCELLED): (
        (
            "{first_name|Hello}, your appointment at {shop_name} on {appointment_day}, {appointment_time} is cancelled. "
            "Pick another time whenever you like: {chat_link}"
        ),
        "Your appointment on {appointment_day} is cancelled",
        """Hi {first_name|there},

your appointment on {appointment_day}, {appointment_time}, is cancelled.

We would still like to see you. Pick another time whenever it suits you: {chat_link}""",
    ),
    (MessageKind.REMINDER, _V.STANDARD): (
        (
            "Hi {first_name|there}, see you at {shop_name} on {appointment_day}, {appointment_time}. "
            "Can't make it? {manage_link}"
        ),
        "See you on {appointment_day}",
        """Hi {first_name|there},

a short reminder of your appointment.

When: {appointment_day}, {appointment_time}
What: {services|your appointment}
Where: {shop_name}, {shop_address}

Can't make it? Change it here: {manage_link}""",
    ),
    (MessageKind.REPLY, _V.STANDARD): (
        "Thanks for your message, {first_name|we have it}! {shop_name} will get back to you as soon as somebody is free.",
        "We have your message",
        """Hi {first_name|there},

thank you for your message. Somebody will get back to you as soon as they are free.""",
    ),
    (MessageKind.REPLY, _V.OPTED_OUT): (
        "You are unsubscribed and will get no more messages from {shop_name}. Reply START to get them again.",
        "You are unsubscribed",
        """You are unsubscribed and will get no more e-mails about your quote.""",
    ),
    (MessageKind.REPLY, _V.OPTED_IN): (
        "You will get messages from {shop_name} again. Reply STOP to end them, HELP for help.",
        "You are subscribed again",
        """You will get e-mails about your quote again. Welcome back!""",
    ),
    (MessageKind.REPLY, _V.HELP): (
        (
            "{shop_name}: messages about your quote. For help call {shop_phone|us} or just reply. "
            "STOP ends them. Msg&data rates may apply."
        ),
        "How we can help",
        """You get messages about your quote and your appointment from us.

For help call {shop_phone|the shop} or simply answer this e-mail.""",
    ),
}

# Without the accents that GSM-7 lacks: each text fits one segment with a shop's name of up to 40 letters.
_SPANISH: dict[tuple[MessageKind, TemplateVariant], tuple[str, str, str]] = {
    (MessageKind.REPLY, _V.OPTED_OUT): (
        "Hemos cancelado los mensajes de {shop_name}. Responda START para recibirlos de nuevo.",
        "Ya no recibirá más mensajes",
        """Ya no recibirá más correos sobre su solicitud de precio.""",
    ),
    (MessageKind.REPLY, _V.OPTED_IN): (
        "Recibe de nuevo los mensajes de {shop_name}. Responda STOP para cancelar o AYUDA para ayuda.",
        "Recibe de nuevo nuestros mensajes",
        """Vuelve a recibir correos sobre su solicitud de precio. ¡Bienvenido de nuevo!""",
    ),
    (MessageKind.REPLY, _V.HELP): (
        (
            "{shop_name}: mensajes sobre su solicitud. Ayuda: llame al {shop_phone|taller} o responda. "
            "STOP para cancelar. Pueden aplicar tarifas."
        ),
        "Cómo podemos ayudarle",
        """Recibe nuestros mensajes sobre su solicitud de precio y su cita.

Para ayuda llame al {shop_phone|taller} o responda a este correo.""",
    ),
}
