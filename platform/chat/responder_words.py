"""What the assistant says without a model, in English and in Spanish."""

from __future__ import annotations

from collections.abc import Mapping

from lead_orchestrator.messaging.templates.defaults import Language

__all__ = ["SAYINGS"]

SAYINGS: Mapping[Language, Mapping[str, str]] = {
    "en": {
        "i_am": "I am {shop}'s automatic assistant.",
        "help": "I can tell you prices and opening hours, show you free times and book one for you. What would you like?",
        "again": "I am sorry, I did not understand that. Ask me for a price, for our opening hours or for a free time.",
        "price": "{name} is {price}.",
        "no_price": "A colleague can tell you the price of {name}.",
        "times_then": "Shall I look for a free time?",
        "no_service": "I could not find that in our list of services. What would you like to have done to your car?",
        "which_service": "Gladly. What would you like to have done to your car?",
        "hours": "These are our opening hours: {hours}.",
        "closures": "We are closed then: {closures}.",
        "address": "You find us here: {address}.",
        "free": "For {service} I can offer you these times: {times}.",
        "which": "Which one suits you?",
        "full": "I see nothing free on the days you ask about. Would other days suit you?",
        "contact": "Gladly. What is your name, and at which phone number can we reach you?",
        "bad_phone": "I am sorry, I could not read that phone number. Could you write it with its area code?",
        "booked": "You are booked: {when}.",
        "booked_for": "{services}, {total}.",
        "bye": "We look forward to seeing you!",
        "taken": "I am sorry, that time has just been taken.",
        "welcome": "You're welcome! Write again any time.",
        "opted_out": "You will get no more messages from {shop}. You can write to us here any time.",
    },
    "es": {
        "i_am": "Soy el asistente automático de {shop}.",
        "help": "Puedo decirle precios y horarios, mostrarle horas libres y reservar una cita. ¿Qué le gustaría?",
        "again": "Lo siento, no le entendí. Pregúnteme por un precio, por el horario o por una hora libre.",
        "price": "{name} cuesta {price}.",
        "no_price": "Un compañero le puede decir el precio de {name}.",
        "times_then": "¿Quiere que busque una hora libre?",
        "no_service": "No lo encuentro en nuestra lista de servicios. ¿Qué le gustaría hacer en su auto?",
        "which_service": "Con gusto. ¿Qué le gustaría hacer en su auto?",
        "hours": "Este es nuestro horario: {hours}.",
        "closures": "Estamos cerrados: {closures}.",
        "address": "Estamos aquí: {address}.",
        "free": "Para {service} le puedo ofrecer estas horas: {times}.",
        "which": "¿Cuál le conviene?",
        "full": "No veo nada libre en los días que pregunta. ¿Le conviene otro día?",
        "contact": "Con gusto. ¿Cómo se llama, y en qué número de teléfono le encontramos?",
        "bad_phone": "Lo siento, no pude leer ese número de teléfono. ¿Puede escribirlo con su código de área?",
        "booked": "Su cita está reservada: {when}.",
        "booked_for": "{services}, {total}.",
        "bye": "¡Le esperamos!",
        "taken": "Lo siento, esa hora acaba de ocuparse.",
        "welcome": "¡De nada! Escríbanos cuando quiera.",
        "opted_out": "Ya no recibirá mensajes de {shop}. Puede escribirnos aquí cuando quiera.",
    },
}
