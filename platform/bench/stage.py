"""What every benchmark runs on: a throw-away database, the sandbox and one franchise in it."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles
from uuid import UUID

from pydantic import SecretStr
from sqlalchemy import make_url

from lead_orchestrator.demo.clock import WindingClock
from lead_orchestrator.demo.franchises import SHOP_TIME, SHOP_ZONE, describe
from lead_orchestrator.local import NOTHING_GIVEN, local_services
from lead_orchestrator.sandbox.openai_world import MODEL
from lead_orchestrator.sandbox.seed import SUN_SHADE, demo_world
from lead_orchestrator.sandbox.server import SandboxServer
from lead_orchestrator.services import Services, open_services
from lead_orchestrator.settings import Settings
from lead_orchestrator.tenancy.onboarding import parse_franchise

__all__ = ["Stage", "milliseconds", "open_stage"]


@dataclass(frozen=True)
class Stage:
    settings: Settings
    services: Services
    sandbox: SandboxServer
    tenant_id: UUID
    location_id: UUID

    @property
    def superuser_url(self) -> str:
        """The throw-away database as its superuser, who may fill it past every policy."""
        database = make_url(self.settings.database_owner_url or "").database
        admin = make_url(self.settings.database_admin_url or "")
        return admin.set(database=database).render_as_string(hide_password=False)


@asynccontextmanager
async def open_stage(
    settings: Settings, *, product_url: str | None = None, durable: bool = False, real_model: bool = False
) -> AsyncIterator[Stage]:
    """Everything of its own: what DATABASE_URL names is never filled with a benchmark's rows.

    `durable`: a Postgres that keeps its promises when it crashes, as production's does. `real_model`: the model of the settings
    answers, not the sandbox's.
    """
    bare = settings.model_copy(update=NOTHING_GIVEN)
    with tempfile.TemporaryDirectory(prefix="lead-bench-") as folder:
        async with (
            local_services(bare, folder=Path(folder), ephemeral=True, durable=durable) as made,
            SandboxServer(demo_world(product_url=product_url, seed=1)) as sandbox,
        ):
            local = made.model_copy(
                update={
                    "shopmonkey_base_url": sandbox.shopmonkey_url,
                    "twilio_base_url": sandbox.twilio_url,
                    "sendgrid_base_url": sandbox.sendgrid_url,
                    "whatsapp_base_url": sandbox.whatsapp_url,
                    "google_base_url": sandbox.google_url,
                    "google_client_id": sandbox.world.google.client_id,
                    "google_client_secret": SecretStr(sandbox.world.google.client_secret),
                    **({} if real_model else _sandbox_model(sandbox)),
                    "public_url": product_url or made.public_url,
                    "api_requests_per_minute": 10**9,  # counted all the same
                    "api_cost_per_minute": 10**12,
                }
            )
            async with open_services(local) as services:
                clock = WindingClock(services, local.database_owner_url or "")
                await clock.start_at(SHOP_TIME, SHOP_ZONE)
                await clock.close()
                tenant = await services.onboarding.onboard(
                    parse_franchise({**describe(SUN_SHADE), "demoMode": False}), actor="bench"
                )
                location = next(iter(tenant.location_ids.values()))
                yield Stage(local, services, sandbox, tenant.tenant_id, location)


def _sandbox_model(sandbox: SandboxServer) -> dict[str, object]:
    return {
        "openai_base_url": sandbox.openai_url,
        "openai_api_key": SecretStr("sk-demo-bench"),
        "openai_model": MODEL,
    }


def milliseconds(seconds: Sequence[float]) -> dict[str, float]:
    """Median, 95th and 99th percentile and the number of samples."""
    cuts = quantiles(seconds, n=100, method="inclusive") if len(seconds) > 1 else [seconds[0]] * 99
    return {
        "p50Ms": round(cuts[49] * 1000, 2),
        "p95Ms": round(cuts[94] * 1000, 2),
        "p99Ms": round(cuts[98] * 1000, 2),
        "samples": len(seconds),
    }
