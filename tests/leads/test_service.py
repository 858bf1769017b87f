from __future__ import annotations

from lead_orchestrator.tenancy.secrets import SecretBox
from lead_orchestrator.tenancy.sessions import Tenancy
from tests.factories import make_lead, make_tenant


async def test_an_enquiry_makes_a_lead(tenancy: Tenancy, secret_box: SecretBox) -> None:
    tenant = await make_tenant(tenancy, secret_box)
    lead = await make_lead(tenancy, secret_box, tenant)
    assert lead.status == "NEW"
