from __future__ import annotations

import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from lead_orchestrator.leads.consents import ConsentGiven
from lead_orchestrator.leads.models import Channel
from lead_orchestrator.tenancy.secrets import SecretBox
from lead_orchestrator.tenancy.sessions import Tenancy
from tests.factories import make_lead, make_tenant


@pytest.mark.parametrize(
    "change", ["UPDATE consents SET granted = true", "UPDATE consents SET wording = 'other'", "DELETE FROM consents"]
)
async def test_a_line_of_the_consent_ledger_can_be_neither_changed_nor_removed(
    tenancy: Tenancy, secret_box: SecretBox, change: str
) -> None:
    tenant = await make_tenant(tenancy, secret_box)
    given = ConsentGiven(Channel.SMS, False, "quote form", "No texts, please", "192.0.2.1")
    await make_lead(tenancy, secret_box, tenant, consents=[given])

    with pytest.raises(ProgrammingError, match="permission denied for table consents"):
        async with tenancy.write(tenant.scope) as session:
            await session.execute(text(change))

    async with tenancy.read(tenant.scope) as session:
        statement = "SELECT channel, granted, source, wording, host(ip) FROM consents"
        assert [tuple(row) for row in await session.execute(text(statement))] == [
            ("SMS", False, "quote form", "No texts, please", "192.0.2.1")
        ]
