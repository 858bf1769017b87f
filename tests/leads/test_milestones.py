"""What a lead's row remembers for reports."""

from __future__ import annotations

from lead_orchestrator.leads.models import LeadStatus
from lead_orchestrator.leads.service import Leads, locked
from lead_orchestrator.tenancy.secrets import SecretBox
from lead_orchestrator.tenancy.sessions import Tenancy
from tests.factories import make_lead, make_tenant


async def test_the_first_answer_and_the_first_booking_remember_the_last_touch(
    tenancy: Tenancy, secret_box: SecretBox
) -> None:
    tenant = await make_tenant(tenancy, secret_box)
    made = await make_lead(tenancy, secret_box, tenant)
    leads = Leads(secret_box)
    seen = []

    async with tenancy.write(tenant.scope) as session:
        lead = await locked(session, made.id)
        seen.append((lead.answered_after, lead.booked_after))
        lead.touched = 0b1010
        for status in (LeadStatus.ENGAGED, LeadStatus.HOT, LeadStatus.BOOKED, LeadStatus.WON):
            await leads.move(session, lead, status, "test")
            seen.append((lead.answered_after, lead.booked_after))
            lead.touched |= lead.touched << 1

    assert seen == [(None, None), (3, None), (3, None), (3, 5), (3, 5)]


async def test_who_books_before_any_touch_booked_after_none(tenancy: Tenancy, secret_box: SecretBox) -> None:
    tenant = await make_tenant(tenancy, secret_box)
    made = await make_lead(tenancy, secret_box, tenant)

    async with tenancy.write(tenant.scope) as session:
        lead = await locked(session, made.id)
        await Leads(secret_box).move(session, lead, LeadStatus.BOOKED, "test")

    assert (lead.answered_after, lead.booked_after) == (None, 0)
