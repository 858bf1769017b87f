"""What a franchise has set about its assistant, as it is in force."""

from __future__ import annotations

import strawberry

from lead_orchestrator.chat.assistant.setup import Chosen

__all__ = ["TenantAssistant"]


@strawberry.type
class TenantAssistant:
    """`model` is null where it is the installation's. `instructions` are version `promptVersion` of the franchise's own, 0 none.
    `debounceSeconds`: how long a burst of messages is waited out before it is answered. `leadTokensPerDay`: what one customer may
    use on one day in UTC; then a person gets the conversation."""

    enabled: bool
    model: str | None
    instructions: str
    prompt_version: int
    debounce_seconds: float
    lead_tokens_per_day: int

    @classmethod
    def of(cls, chosen: Chosen) -> TenantAssistant:
        return cls(
            enabled=chosen.enabled,
            model=chosen.model,
            instructions=chosen.instructions,
            prompt_version=chosen.prompt_version,
            debounce_seconds=chosen.debounce.total_seconds(),
            lead_tokens_per_day=chosen.lead_tokens_a_day,
        )
