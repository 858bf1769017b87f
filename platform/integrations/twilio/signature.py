"""Proof that a webhook comes from Twilio: X-Twilio-Signature over the public URL and every parameter received."""

from __future__ import annotations

from collections.abc import Sequence

from twilio.request_validator import RequestValidator  # type: ignore[import-untyped]  # twilio ships no py.typed

from lead_orchestrator.integrations.providers import SignatureError

__all__ = ["SIGNATURE_HEADER", "public_address", "verify"]

SIGNATURE_HEADER = "x-twilio-signature"

Parameters = Sequence[tuple[str, str]]


def public_address(public_url: str, path: str, query: str = "") -> str:
    """The URL Twilio called, from our configured address; never from the Host header, which the caller writes."""
    return public_url.rstrip("/") + path + (f"?{query}" if query else "")


def verify(auth_tokens: Sequence[str], url: str, parameters: Parameters, signature: str | None) -> None:
    """Return if any of the tokens signed `url` and the form's `parameters`, in the order received and untrimmed.

    Raises:
        SignatureError: the signature is missing or does not match; its `reason` names no value.
    """
    if not signature or not signature.isascii():
        raise SignatureError("no signature")
    tokens = [token for token in auth_tokens if token]
    if not tokens:
        raise SignatureError("no auth token is configured")
    matches = [
        RequestValidator(token).validate(url, form, signature)
        for token in tokens
        for form in (_Distinct(parameters), _every_occurrence(parameters))
    ]
    if not any(matches):
        raise SignatureError("signature does not match")


class _Distinct(dict[str, list[str]]):
    """A name's values once each, as the SDKs sign a repeated name."""

    def __init__(self, parameters: Parameters) -> None:
        super().__init__()
        for name, value in parameters:
            self.setdefault(name, []).append(value)

    def getlist(self, name: str) -> list[str]:
        return self[name]


def _every_occurrence(parameters: Parameters) -> dict[str, str]:
    """A repeated name signed as often as it was sent: name, value, name, value."""
    return {name: name.join(values) for name, values in _Distinct(parameters).items()}
