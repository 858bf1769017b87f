"""Amounts of money."""

from __future__ import annotations

import strawberry

from lead_orchestrator.graphql.scalars import Cents

__all__ = ["Money"]


@strawberry.type
class Money:
    """`currency` is an ISO 4217 code."""

    amount_cents: Cents
    currency: str
