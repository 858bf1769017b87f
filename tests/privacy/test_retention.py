"""What a franchise keeps no longer is deleted; what it said nothing about stays."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import text

from lead_orchestrator.clock import app_now
from lead_orchestrator.privacy.repository import forget_conversations
from lead_orchestrator.tenancy.secrets import SecretBox
from lead_orchestrator.tenancy.sessions import Tenancy
from tests.factories import MadeTenant, make_lead, make_tenant

SAID = text("""
WITH chat AS (
  INSERT INTO chat_sessions (tenant_id, location_id, lead_id, channel, state, version, created_at, last_message_at)
  SELECT tenant_id, location_id, id, 'SMS', 'CLOSED', 1, :at, :at FROM leads WHERE id = :lead RETURNING *)
INSERT INTO chat_messages (tenant_id, location_id, session_id, version, role, text, created_at)
SELECT tenant_id, location_id, id, 1, 'USER', 'Hello', :at FROM chat""")


async def _kept(tenancy: Tenancy, secret_box: SecretBox, tenant: MadeTenant, days: int | None) -> list[int]:
    """The ages in days of the messages that are left of three conversations."""
    async with tenancy.platform() as session:
        setting = "UPDATE tenants SET conversation_retention_days = :days WHERE id = :tenant"
        await session.execute(text(setting), {"days": days, "tenant": tenant.id})
    for age in (1, 29, 31):
        lead = await make_lead(tenancy, secret_box, tenant)
        async with tenancy.write(tenant.scope) as session:
            at = await app_now(session) - timedelta(days=age)
            await session.execute(SAID, {"lead": lead.id, "at": at})
    async with tenancy.write(tenant.scope) as session:
        await forget_conversations(session)
        left = "SELECT round(extract(epoch FROM app_now() - created_at) / 86400)::int FROM chat_messages ORDER BY 1"
        return list(await session.scalars(text(left)))


@pytest.mark.parametrize(("days", "left"), [(30, [1, 29]), (1, []), (None, [1, 29, 31])])
async def test_conversations_are_kept_as_long_as_the_franchise_says(
    tenancy: Tenancy, secret_box: SecretBox, days: int | None, left: list[int]
) -> None:
    ours, theirs = await make_tenant(tenancy, secret_box), await make_tenant(tenancy, secret_box)
    assert await _kept(tenancy, secret_box, theirs, None) == [1, 29, 31]

    assert await _kept(tenancy, secret_box, ours, days) == left

    async with tenancy.read(theirs.scope) as session:
        assert await session.scalar(text("SELECT count(*) FROM chat_messages")) == 3
