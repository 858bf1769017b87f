"""Templates in force, and what features plan with them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from lead_orchestrator.clock import app_now
from lead_orchestrator.leads.models import Channel, Lead, MessageKind, ScheduledMessage
from lead_orchestrator.leads.service import locked
from lead_orchestrator.messaging.planned import Planned, cancel_planned, plan
from lead_orchestrator.messaging.templates.defaults import VARIANTS, allowed_variables, built_in
from lead_orchestrator.messaging.templates.models import TemplateVariant
from lead_orchestrator.messaging.templates.service import TemplateChange, TemplateError, set_template, wordings
from lead_orchestrator.tenancy.links import LinkSigner
from lead_orchestrator.tenancy.secrets import SecretBox
from lead_orchestrator.tenancy.sessions import Tenancy
from lead_orchestrator.touches.templates import check, render, segments
from lead_orchestrator.touches.wording import wording_problems
from tests.factories import MadeTenant, make_lead, make_tenant

LINKS = LinkSigner(["tests"], "https://app.example.com")
EVERY = [(kind, variant) for kind, variants in VARIANTS.items() for variant in variants]


@pytest_asyncio.fixture
async def tenant(tenancy: Tenancy, secret_box: SecretBox) -> MadeTenant:
    return await make_tenant(tenancy, secret_box, locations=2)


@pytest_asyncio.fixture
async def lead(tenancy: Tenancy, secret_box: SecretBox, tenant: MadeTenant) -> Lead:
    return await make_lead(tenancy, secret_box, tenant)


def reminder(body: str, location_id: UUID | None = None, **fields: Any) -> TemplateChange:
    values = {"variant": TemplateVariant.STANDARD, "channel": Channel.SMS, "subject": None, **fields}
    return TemplateChange(location_id=location_id, kind=MessageKind.REMINDER, body=body, **values)


async def put(tenancy: Tenancy, tenant: MadeTenant, change: TemplateChange) -> None:
    async with tenancy.write(tenant.scope) as session:
        await set_template(session, change)


async def says(tenancy: Tenancy, tenant: MadeTenant, location_id: UUID) -> tuple[str, int]:
    async with tenancy.read(tenant.scope) as session:
        in_force = await wordings(session, location_id, [MessageKind.REMINDER])
        found = in_force.of(MessageKind.REMINDER, TemplateVariant.STANDARD, Channel.SMS)
    return found.body, found.version


async def planned(tenancy: Tenancy, tenant: MadeTenant, lead: Lead, what: Planned) -> ScheduledMessage:
    async with tenancy.write(tenant.scope) as session:
        return await plan(session, await locked(session, lead.id), what, LINKS)


@pytest.mark.parametrize(("kind", "variant"), EVERY)
@pytest.mark.parametrize("channel", [Channel.SMS, Channel.EMAIL, Channel.WHATSAPP])
def test_every_kind_has_a_built_in_text_that_could_be_saved(
    kind: MessageKind, variant: TemplateVariant, channel: Channel
) -> None:
    wording = built_in(kind, variant, channel)

    allowed = allowed_variables(kind)
    assert list(wording_problems("messages", channel, wording.subject, wording.body, allowed)) == []
    assert wording.version == 0


@pytest.mark.parametrize(("kind", "variant"), EVERY)
def test_the_built_in_texts_travel_in_the_small_alphabet(kind: MessageKind, variant: TemplateVariant) -> None:
    body = built_in(kind, variant, Channel.SMS).body
    filled = dict.fromkeys(allowed_variables(kind), "") | {
        "shop_name": "Sun Shade Tint Los Angeles",
        "first_name": "Ada",
    }

    encoding, count = segments(render(body, filled))

    assert (encoding, count <= 2) == ("GSM-7", True)


async def test_a_locations_own_template_stands_before_the_tenants_and_that_before_the_built_in(
    tenancy: Tenancy, tenant: MadeTenant
) -> None:
    here, there = tenant.locations
    default = built_in(MessageKind.REMINDER, TemplateVariant.STANDARD, Channel.SMS).body
    assert await says(tenancy, tenant, here) == (default, 0)

    await put(tenancy, tenant, reminder("Tenant's"))
    await put(tenancy, tenant, reminder("Own", here))

    assert await says(tenancy, tenant, here) == ("Own", 1)
    assert await says(tenancy, tenant, there) == ("Tenant's", 1)


async def test_old_versions_stay_and_a_message_says_which_one_made_it(
    tenancy: Tenancy, tenant: MadeTenant, lead: Lead
) -> None:
    what = Planned(MessageKind.REMINDER, values={"appointment_day": "Tuesday"})
    messages = [await planned(tenancy, tenant, lead, what)]
    for number in (1, 2):
        await put(tenancy, tenant, reminder(f"Version {number}: {{appointment_day}}"))
        messages.append(await planned(tenancy, tenant, lead, what))

    assert [message.template_version for message in messages] == [0, 1, 2]
    assert [message.body for message in messages[1:]] == ["Version 1: Tuesday", "Version 2: Tuesday"]
    async with tenancy.read(tenant.scope) as session:
        rows = await session.execute(text("SELECT id, body FROM message_templates"))
        kept = {row[0]: row[1] for row in rows}
    assert [kept[message.template_id] for message in messages[1:]] == [
        "Version 1: {appointment_day}",
        "Version 2: {appointment_day}",
    ]


async def test_a_template_is_never_changed_in_place(tenancy: Tenancy, tenant: MadeTenant) -> None:
    await put(tenancy, tenant, reminder("First"))

    for statement in ("UPDATE message_templates SET body = 'x'", "DELETE FROM message_templates"):
        async with tenancy.write(tenant.scope) as session:
            with pytest.raises(ProgrammingError, match="permission denied"):
                async with session.attempt():
                    await session.execute(text(statement))


async def test_everything_wrong_with_a_template_is_said_with_its_place(tenancy: Tenancy, tenant: MadeTenant) -> None:
    wrong = reminder("Hi {name}, {", channel=Channel.EMAIL, subject="{day}")

    with pytest.raises(TemplateError) as refused:
        await put(tenancy, tenant, wrong)

    found = [(error.field, error.message.split(";")[0]) for error in refused.value.problems]
    assert found == [
        (("body",), "unknown variable 'name' at character 4"),
        (("body",), "a single { at character 12"),
        (("subject",), "unknown variable 'day' at character 1"),
    ]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"kind": MessageKind.TOUCH}, ("kind",)),
        ({"kind": MessageKind.AD_HOC}, ("kind",)),
        ({"variant": TemplateVariant.HELP}, ("variant",)),
        ({"channel": Channel.WEB_CHAT}, ("channel",)),
        ({"channel": Channel.EMAIL}, ("subject",)),
        ({"kind": MessageKind.WELCOME, "body": "{manage_link}"}, ("body",)),
    ],
)
async def test_a_template_that_cannot_be_is_refused(
    tenancy: Tenancy, tenant: MadeTenant, fields: dict[str, Any], field: tuple[str, ...]
) -> None:
    values: dict[str, Any] = {
        "kind": MessageKind.REMINDER,
        "variant": TemplateVariant.STANDARD,
        "channel": Channel.SMS,
        "body": "Hi",
        **fields,
    }

    with pytest.raises(TemplateError) as refused:
        await put(tenancy, tenant, TemplateChange(location_id=None, subject=None, **values))

    assert refused.value.field == field


async def test_a_planned_message_takes_the_first_channel_on_which_the_lead_is_reached(
    tenancy: Tenancy, secret_box: SecretBox, tenant: MadeTenant
) -> None:
    mailed = await make_lead(tenancy, secret_box, tenant, phone=None)

    message = await planned(tenancy, tenant, mailed, Planned(MessageKind.CONFIRMATION))

    assert (message.channel, message.kind, message.segments) == ("EMAIL", "CONFIRMATION", None)
    assert message.subject is not None
    assert "you are booked" in (message.body or "")


async def test_values_are_text_and_no_template(tenancy: Tenancy, tenant: MadeTenant, lead: Lead) -> None:
    await put(tenancy, tenant, reminder("{services} {manage_link}"))

    message = await planned(tenancy, tenant, lead, Planned(MessageKind.REMINDER, values={"services": "{first_name}"}))

    assert message.body == "{first_name}"
    assert check("{first_name}", allowed_variables(MessageKind.REMINDER)) == []


async def test_a_reference_replaces_and_cancels_what_still_waits(
    tenancy: Tenancy, tenant: MadeTenant, lead: Lead, secret_box: SecretBox
) -> None:
    other = await make_lead(tenancy, secret_box, tenant)
    for person in (lead, other):
        for reference in ("appt_1:day", "appt_1:hour", "appt_10:day"):
            await planned(tenancy, tenant, person, Planned(MessageKind.REMINDER, reference=reference))

    again = await planned(tenancy, tenant, lead, Planned(MessageKind.REMINDER, reference="appt_1:day"))
    async with tenancy.write(tenant.scope) as session:
        held = await locked(session, lead.id)
        cancelled = await cancel_planned(session, held, "appt_1", "The appointment was cancelled")

    statement = text(
        "SELECT reference, status FROM scheduled_messages WHERE lead_id = :lead AND reference IS NOT NULL ORDER BY id"
    )
    async with tenancy.read(tenant.scope) as session:
        mine = [tuple(row) for row in await session.execute(statement, {"lead": lead.id})]
        theirs = [tuple(row) for row in await session.execute(statement, {"lead": other.id})]
    assert cancelled == 2
    assert again.reference == "appt_1:day"
    assert mine == [
        ("appt_1:day", "CANCELLED"),
        ("appt_1:hour", "CANCELLED"),
        ("appt_10:day", "SCHEDULED"),
        ("appt_1:day", "CANCELLED"),
    ]
    assert {status for _, status in theirs} == {"SCHEDULED"}


async def test_a_message_is_planned_for_its_time(tenancy: Tenancy, tenant: MadeTenant, lead: Lead) -> None:
    async with tenancy.read(tenant.scope) as session:
        now = await app_now(session)

    at_once = await planned(tenancy, tenant, lead, Planned(MessageKind.WELCOME))
    in_a_year = now + timedelta(days=365)
    later = await planned(tenancy, tenant, lead, Planned(MessageKind.WELCOME, due_at=in_a_year))

    assert at_once.due_at >= now
    assert later.due_at == in_a_year
