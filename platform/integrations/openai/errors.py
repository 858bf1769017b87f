"""What can come of a call to a model, in our own sentences: the service's may quote what the customer wrote."""

from __future__ import annotations

from lead_orchestrator.integrations.providers import ProviderError

__all__ = ["ModelBusy", "ModelError", "ModelFiltered", "ModelLost", "ModelRefused", "ModelTimeout"]


class ModelError(ProviderError):
    """No answer came of it; `code` for logs and counts. Nothing is undone by asking again."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class ModelTimeout(ModelError):  # noqa: N818  # named as what happened
    """It took too long."""

    def __init__(self) -> None:
        super().__init__("timeout", "the model took too long")


class ModelBusy(ModelError):  # noqa: N818  # named as the state of the service
    """429 or 5xx; `retry_after` is the service's wish in seconds, if it stated one."""

    def __init__(self, code: str, retry_after: float | None) -> None:
        super().__init__(code, f"the model's service did not take the request ({code})")
        self.retry_after = retry_after


class ModelLost(ModelError):  # noqa: N818  # named as what happened
    """The connection was not made, or ended within the answer."""

    def __init__(self) -> None:
        super().__init__("lost", "the connection to the model was lost")


class ModelFiltered(ModelError):  # noqa: N818  # named as what the service did
    """The service's own filter kept the answer, or the question, back."""

    def __init__(self) -> None:
        super().__init__("content_filter", "the model's service filtered this conversation")


class ModelRefused(ModelError):  # noqa: N818  # named as what the service did
    """A final no. `credentials`: the key, its quota or its rights are at fault, so every call with it will fail."""

    def __init__(self, code: str, *, credentials: bool = False) -> None:
        super().__init__(code, f"the model's service refused the request ({code})")
        self.credentials = credentials
