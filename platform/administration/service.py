"""All that administrators do, wired together."""

from __future__ import annotations

from dataclasses import dataclass

from lead_orchestrator.administration.support import Support
from lead_orchestrator.administration.tenants import Tenants

__all__ = ["Administration"]


@dataclass(frozen=True)
class Administration:
    """`tenants` changes franchises as a whole, `support` hands out tokens of theirs."""

    tenants: Tenants
    support: Support
