"""What customers agree to, word by word: the consent ledger keeps the text that was shown."""

from __future__ import annotations

from lead_orchestrator.leads.surveys.definition import Survey

__all__ = ["CONSENT", "consent_text"]

CONSENT = {
    "en": (
        "{shop} may text me about my request at the number above, also automatically. Message frequency varies, message and data "
        "rates may apply. Reply STOP to end it, HELP for help. Agreeing is no condition of a purchase."
    ),
    "es": (
        "{shop} puede enviarme mensajes de texto sobre mi solicitud al número de arriba, también de forma automática. La frecuencia "
        "varía y pueden aplicar tarifas. Responda STOP para cancelar o AYUDA para ayuda. Aceptar no es condición de compra."
    ),
}
"""Shown where a shop has no text of its own."""


def consent_text(survey: Survey, shop: str, language: str = "en") -> str:
    """The shop's own text, which is in the language it was written in, else the built-in one."""
    return survey.consent or CONSENT[language].format(shop=shop)
