"""Proves from pg_catalog that tenants cannot see each other: `audit isolation`, and a check before the api starts.

It needs no more than any login may read, so it runs as lead_app.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from lead_orchestrator.tenancy.audit.catalog import Catalog, read_catalog
from lead_orchestrator.tenancy.audit.rules import RULES
from lead_orchestrator.tenancy.audit.versions import open_holes

__all__ = ["SERVER_VERSION", "Finding", "audit_isolation"]

SERVER_VERSION = "server-version"


@dataclass(frozen=True)
class Finding:
    """Something in the database that is not as it must be; an error opens tenants to each other, or may."""

    rule: str
    object: str
    detail: str
    severity: Literal["error", "warning"] = "error"

    def __str__(self) -> str:
        return f"{self.severity}: {self.rule}: {self.object}: {self.detail}"


async def audit_isolation(database: AsyncConnection | AsyncEngine, *, production: bool) -> list[Finding]:
    """What breaks the isolation of tenants in this database; an empty list if nothing does.

    A server with a known hole is an error in production and a warning in development. A connection keeps its transaction
    open, and its settings.
    """
    if isinstance(database, AsyncEngine):
        async with database.connect() as connection:
            return _findings(await read_catalog(connection), production=production)
    return _findings(await read_catalog(database), production=production)


def _findings(catalog: Catalog, *, production: bool) -> list[Finding]:
    server = f"PostgreSQL {catalog.version // 10_000}.{catalog.version % 10_000}"
    severity: Literal["error", "warning"] = "error" if production else "warning"
    return [
        *(Finding(rule, *hit) for rule, check in RULES.items() for hit in check(catalog)),
        *(Finding(SERVER_VERSION, server, hole, severity) for hole in open_holes(catalog.version)),
    ]
