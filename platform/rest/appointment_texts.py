"""What the page of an appointment says, in English and in Spanish."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["TEXTS"]

TEXTS: Mapping[str, Mapping[str, str]] = {
    "en": {
        "title": "Your appointment",
        "title_HELD": "This appointment is not booked yet",
        "title_CONFIRMED": "Your appointment has begun",
        "title_CANCELLED": "This appointment is cancelled",
        "title_COMPLETED": "Thank you for coming",
        "title_NO_SHOW": "We missed you",
        "moment": "{day}, {month} {number}, {clock}",
        "days": "Monday Tuesday Wednesday Thursday Friday Saturday Sunday",
        "months": "January February March April May June July August September October November December",
        "calendar": "Add it to my calendar",
        "another": "Need another time?",
        "when": "When can you come?",
        "move": "Move my appointment",
        "none_free": "There is no other free time in the next weeks. Please call us.",
        "not_coming": "Can't make it?",
        "cancel": "Cancel my appointment",
        "moved": "Done. This is your new time.",
        "cancelled": "Done. Your appointment is cancelled.",
        "by_customer": "Cancelled by the customer",
        "not_possible": "This could not be done. Please choose again, or call us.",
        "SLOT_TAKEN": "Somebody else has just taken this time. Please choose another one.",
        "TOO_SOON": "This time is too soon. Please choose a later one.",
        "ended": "This link has ended",
        "newest": "Please use the newest message you received from us.",
    },
    "es": {
        "title": "Su cita",
        "title_HELD": "Esta cita aún no está reservada",
        "title_CONFIRMED": "Su cita ya ha comenzado",
        "title_CANCELLED": "Esta cita está cancelada",
        "title_COMPLETED": "Gracias por venir",
        "title_NO_SHOW": "Le echamos de menos",
        "moment": "{day} {number} de {month}, {clock}",
        "days": "lunes martes miércoles jueves viernes sábado domingo",
        "months": "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
        "calendar": "Añadirla a mi calendario",
        "another": "¿Necesita otra hora?",
        "when": "¿Cuándo puede venir?",
        "move": "Cambiar mi cita",
        "none_free": "No hay otra hora libre en las próximas semanas. Por favor, llámenos.",
        "not_coming": "¿No puede venir?",
        "cancel": "Cancelar mi cita",
        "moved": "Listo. Esta es su nueva hora.",
        "cancelled": "Listo. Su cita está cancelada.",
        "by_customer": "Cancelled by the customer",
        "not_possible": "No se ha podido hacer. Por favor, elija de nuevo o llámenos.",
        "SLOT_TAKEN": "Otra persona acaba de tomar esa hora. Por favor, elija otra.",
        "TOO_SOON": "Esa hora es demasiado pronto. Por favor, elija una más tarde.",
        "ended": "Este enlace ha caducado",
        "newest": "Por favor, use el mensaje más reciente que recibió de nosotros.",
    },
}
