"""What franchises are made and changed with."""

from __future__ import annotations

from dataclasses import dataclass

from lead_orchestrator.administration.credentials import Credentials
from lead_orchestrator.catalog.sync import CatalogSync
from lead_orchestrator.tenancy.onboarding import Onboarding
from lead_orchestrator.tenancy.secrets import SecretBox
from lead_orchestrator.tenancy.sessions import Tenancy

__all__ = ["Means"]


@dataclass(frozen=True)
class Means:
    """`onboarding` writes a franchise's rows, `credentials` asks its services, `catalog` reads what it sells."""

    tenancy: Tenancy
    secrets: SecretBox
    onboarding: Onboarding
    credentials: Credentials
    catalog: CatalogSync
