"""All that administrators do, wired together."""

from __future__ import annotations

from dataclasses import dataclass

from lead_orchestrator.administration.connections import Connections
from lead_orchestrator.administration.onboarding import Saga
from lead_orchestrator.administration.support import Support
from lead_orchestrator.administration.tenants import Tenants

__all__ = ["Administration"]


@dataclass(frozen=True)
class Administration:
    """`saga` onboards franchises, `connections` changes their accounts and locations, `tenants` the franchises as a whole, `support`
    hands out tokens of theirs. `webhook_url` is where ShopMonkey is to post."""

    tenants: Tenants
    support: Support
    saga: Saga
    connections: Connections
    webhook_url: str
