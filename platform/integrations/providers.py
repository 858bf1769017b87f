"""What every outside service can answer to a request, in our words.

The messages of these errors are our own sentences. A provider's text is never carried along: it quotes the customer's
number or address.
"""

from __future__ import annotations

from dataclasses import dataclass

from lead_orchestrator.errors import UnauthenticatedError

__all__ = ["Accepted", "ProviderBusy", "ProviderError", "ProviderRefused", "ProviderUnknown", "SignatureError"]


@dataclass(frozen=True, slots=True)
class Accepted:
    """The provider has taken the message. `segments` is None while the provider does not know it yet."""

    provider_message_id: str
    status: str
    segments: int | None


class ProviderError(Exception):
    """A request to an outside service came to nothing, or nobody knows whether it did."""


class ProviderRefused(ProviderError):  # noqa: N818  # named as what the provider did
    """A final no: sending the same thing again cannot help.

    `opted_out`: the recipient told the provider to stop. `credentials`: the tenant's account, key or sender is at
    fault, so its other messages will fail too.
    """

    def __init__(self, code: str, message: str, *, opted_out: bool = False, credentials: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.opted_out = opted_out
        self.credentials = credentials


class ProviderBusy(ProviderError):  # noqa: N818  # named as the state of the provider
    """Certainly not accepted, try again later; `retry_after` is the provider's wish in seconds, if it stated one."""

    def __init__(self, retry_after: float | None, code: str) -> None:
        super().__init__(f"the provider did not take the request ({code}); try again later")
        self.retry_after = retry_after
        self.code = code


class ProviderUnknown(ProviderError):  # noqa: N818  # named as what we know
    """The request may or may not have been accepted: never send again before the provider was asked."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"it is not known whether the provider took the request: {reason}")
        self.reason = reason


class SignatureError(UnauthenticatedError):
    """A webhook's signature does not prove who sent it; `reason` is for our log, the sender is not told it."""

    code = "BAD_SIGNATURE"

    def __init__(self, reason: str) -> None:
        super().__init__("the webhook's signature could not be verified")
        self.reason = reason
