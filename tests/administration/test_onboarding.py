"""A franchise is onboarded once, whatever stops it on the way, and takes nothing that is somebody else's."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from lead_orchestrator.administration.credentials import Credentials
from lead_orchestrator.administration.means import Means
from lead_orchestrator.administration.onboarding import Made, Saga
from lead_orchestrator.catalog.sync import CatalogSync
from lead_orchestrator.errors import AppError, BadInputError
from lead_orchestrator.integrations.openai.keys import OpenAIKeys
from lead_orchestrator.integrations.sendgrid.account import SendGridAccounts
from lead_orchestrator.integrations.shopmonkey.client import ShopMonkeyClient
from lead_orchestrator.integrations.twilio.account import TwilioAccounts
from lead_orchestrator.integrations.whatsapp.account import WhatsAppNumbers
from lead_orchestrator.sandbox.seed import CLEAR_VIEW, SUN_SHADE, add_company
from lead_orchestrator.tenancy.franchise import parse_franchise
from lead_orchestrator.tenancy.onboarding import Onboarding
from lead_orchestrator.tenancy.sessions import PlatformSession, Scope, Tenancy, WriteSession
from lead_orchestrator.touches.models import TouchTemplate
from tests.administration.asking import Asking
from tests.messaging.inbound.line import Line
from tests.stack import Stack

ONBOARD = """mutation($i: OnboardTenantInput!) { onboardTenant(input: $i) {
  tenant { id slug demoMode } webhookUrl webhookSecret ownerInviteUrl errors { code message field } } }"""
SET_NUMBER = """mutation($i: MessagingCredentialsInput!) { setMessagingCredentials(input: $i) {
  tenant { id } errors { code field } } }"""
COUNTED = (
    *("locations", "location_hours", "bays", "routes", "tenant_crm_configs", "tenant_messaging_configs", "onboardings"),
    *("touch_templates", "message_templates", "service_catalog", "audit_log", "users", "invitations", "tenant_heads"),
)
HOURS = [{"dayOfWeek": day, "opensAt": "09:00", "closesAt": "18:00"} for day in range(1, 7)]


def clear_view(**changes: Any) -> dict[str, Any]:
    """The sandbox's second franchise, as an administrator sends it."""
    places = [
        {
            "name": f"Clear View {shop.name}",
            "slug": f"clear-view-{shop.name.lower().replace(' ', '-')}",
            "timezone": shop.timezone,
            "shopmonkeyLocationId": shop.id,
            "bays": 3,
            "hours": HOURS,
        }
        for shop in CLEAR_VIEW.locations
    ]
    whole = {
        "name": "Clear View Films",
        "slug": "clear-view",
        "ownerEmail": "owner@example.com",
        "locations": places,
        "crm": {"apiKey": CLEAR_VIEW.shopmonkey_api_key},
        "idempotencyKey": "clear-view-1",
    }
    return {**whole, **changes}


def another(stack: Stack, **changes: Any) -> dict[str, Any]:
    """An onboarding file of a company that nobody has onboarded."""
    number = secrets.randbelow(10**9)
    key, location = add_company(stack.world, number)
    place = {
        "name": "Main Street",
        "slug": f"company-{number}-main",
        "timezone": "America/Chicago",
        "shopmonkeyLocationId": location,
        "bays": 2,
        "hours": HOURS,
    }
    whole = {
        "name": f"Company {number}",
        "slug": f"company-{number}",
        "ownerEmail": f"owner{number}@example.com",
        "crm": {"apiKey": key},
        "locations": [place],
    }
    return {**whole, **changes}


async def counts(stack: Stack, tenant_id: UUID) -> Mapping[str, int]:
    """How many rows of each kind the franchise has."""
    async with stack.services.tenancy.read(Scope.service(tenant_id)) as session:
        return {
            table: int(await session.scalar(text(f"SELECT count(*) FROM {table}")) or 0)  # noqa: S608 - names of this file
            for table in COUNTED
        }


async def with_touches(stack: Stack) -> UUID:
    """The first franchise, with a schedule of its own."""
    async with stack.services.tenancy.write(stack.scope) as session:
        if not await session.scalar(text("SELECT count(*) FROM touch_templates")):
            for number, day in enumerate((0, 2, 4), 1):
                session.add(
                    TouchTemplate(
                        tenant_id=stack.tenant_id, number=number, day=day, channel="SMS", body=f"Hello {number}"
                    )
                )
            made = (
                "INSERT INTO message_templates (tenant_id, kind, variant, channel, version, body, created_at) VALUES"
                " (:t, 'REMINDER', 'STANDARD', 'SMS', 1, 'Old', now()), (:t, 'REMINDER', 'STANDARD', 'SMS', 2, 'New', now())"
            )
            await session.execute(text(made), {"t": stack.tenant_id})
    return stack.tenant_id


async def test_a_franchise_is_complete_and_is_made_once(line: Line, stack: Stack) -> None:
    ask, template = Asking(line), await with_touches(stack)
    wanted = clear_view(templateTenantId=f"tenant_{template}")
    assert await ask.refused(ONBOARD, i={**wanted, "crm": {"apiKey": SUN_SHADE.shopmonkey_api_key}}) == [
        "LOCATION_NOT_OWNED"
    ]

    made = await ask.done(ONBOARD, i=wanted)
    before = await counts(stack, UUID(made["tenant"]["id"].removeprefix("tenant_")))
    again = await ask.done(ONBOARD, i=wanted)

    assert (made["tenant"]["slug"], made["tenant"]["demoMode"]) == ("clear-view", True)
    assert made["webhookUrl"] == f"{line.url}/webhooks/shopmonkey/order"
    assert made["webhookSecret"].startswith("whsec_")
    assert made["ownerInviteUrl"].startswith(f"{line.url}/")
    assert (again["tenant"], again["webhookSecret"], again["ownerInviteUrl"]) == (made["tenant"], None, None)
    tenant_id = UUID(made["tenant"]["id"].removeprefix("tenant_"))
    assert await counts(stack, tenant_id) == before
    assert {name: before[name] for name in ("locations", "bays", "location_hours", "touch_templates")} == {
        "locations": 2,
        "bays": 6,
        "location_hours": 12,
        "touch_templates": 3,
    }
    assert before["service_catalog"] == 46
    async with stack.services.tenancy.read(Scope.service(tenant_id)) as session:
        texts = await session.execute(text("SELECT version, body FROM message_templates"))
        assert [tuple(row) for row in texts] == [(1, "New")]
        people = await session.execute(text("SELECT email, role, password_hash FROM users"))
        assert [tuple(row) for row in people] == [("owner@example.com", "OWNER", None)]
    for _ in range(2):
        await stack.services.people.mails.dispatch(tenant_id)
    assert len(stack.mails("owner@example.com")) == 1
    assert await ask.refused(ONBOARD, i={**wanted, "name": "Another"}) == ["IDEMPOTENCY_KEY_REUSED"]
    assert await ask.refused(ONBOARD, i={**wanted, "idempotencyKey": "clear-view-2"}) == ["ALREADY_CLAIMED"]


@pytest.mark.parametrize(
    ("wrong", "path"),
    [
        ({"slug": "Not A Slug"}, ["slug"]),
        ({"ownerEmail": "nobody"}, ["ownerEmail"]),
        ({"locations": []}, ["locations"]),
        ({"crm": {"apiKey": ""}}, ["crm", "apiKey"]),
        ({"idempotencyKey": " "}, ["idempotencyKey"]),
        ({"templateTenantId": f"tenant_{uuid4()}"}, ["templateTenantId"]),
    ],
)
async def test_what_cannot_be_is_told_with_its_place(line: Line, wrong: dict[str, Any], path: list[str]) -> None:
    wanted = {**clear_view(), "slug": "never-made", "idempotencyKey": str(uuid4()), **wrong}

    answer = await Asking(line).asked(ONBOARD, i=wanted)

    assert answer["tenant"] is None
    assert [error["field"] for error in answer["errors"]] == [path]


class KilledError(BaseException):
    """The process ends here."""


class Dying(Tenancy):
    """Sessions of a process that is killed at its `moment`-th transaction that writes, before or after the commit."""

    def __init__(self, tenancy: Tenancy, moment: int, *, committed: bool) -> None:
        super().__init__(tenancy.engines)
        self._left, self._committed = moment, committed

    @asynccontextmanager
    async def write(self, scope: Scope) -> AsyncIterator[WriteSession]:
        async with super().write(scope) as session:
            yield session
            self._pass(committed=False)
        self._pass(committed=True)

    @asynccontextmanager
    async def platform(self) -> AsyncIterator[PlatformSession]:
        async with super().platform() as session:
            yield session
            self._pass(committed=False)
        self._pass(committed=True)

    def _pass(self, *, committed: bool) -> None:
        if committed is self._committed:
            self._left -= 1
            if self._left < 0:
                raise KilledError


def saga(stack: Stack, tenancy: Tenancy) -> Saga:
    """As it is wired in a process, over these sessions."""
    settings, http, box = stack.settings, stack.http, stack.services.secrets
    shopmonkey = ShopMonkeyClient(http, settings.shopmonkey_base_url)

    async def owns(key: str, location: str) -> bool:
        return await shopmonkey.get_location(key, location) is not None

    credentials = Credentials(
        TwilioAccounts(http, settings.twilio_base_url),
        SendGridAccounts(http, settings.sendgrid_base_url),
        WhatsAppNumbers(http, settings.whatsapp_base_url),
        OpenAIKeys(http, settings.openai_base_url),
    )
    catalog = CatalogSync(tenancy, shopmonkey, box)
    onboarding = Onboarding(tenancy, box, owns)
    return Saga(Means(tenancy, box, onboarding, credentials, catalog), stack.services.people.staff)


async def onboard(stack: Stack, file: Mapping[str, Any], tenancy: Tenancy | None = None, key: str = "k") -> Made:
    template = await with_touches(stack)
    work = saga(stack, tenancy or stack.services.tenancy)
    return await work.onboard(parse_franchise(file), actor="tests", key=f"{key}-{file['slug']}", template_id=template)


@pytest.mark.parametrize("committed", [False, True])
async def test_killed_at_any_step_it_goes_on_and_does_nothing_twice(stack: Stack, *, committed: bool) -> None:
    usual = await counts(stack, (await onboard(stack, another(stack))).tenant_id)
    moment, killed = 0, True
    while killed:
        file, killed = another(stack), False
        try:
            await onboard(stack, file, Dying(stack.services.tenancy, moment, committed=committed))
        except KilledError:
            killed = True

        made = await onboard(stack, file)

        assert await counts(stack, made.tenant_id) == usual, f"killed at {moment}"
        if killed:
            assert (made.webhook_secret or "").startswith("whsec_") or not await unfinished(stack, made), moment
        moment += 1
    assert moment > 5


async def unfinished(stack: Stack, made: Made) -> bool:
    async with stack.services.tenancy.read(Scope.service(made.tenant_id)) as session:
        return bool(await session.scalar(text("SELECT finished_at IS NULL FROM onboardings")))


async def test_two_that_go_on_at_once_do_each_step_once(stack: Stack) -> None:
    usual = await counts(stack, (await onboard(stack, another(stack))).tenant_id)
    file = another(stack)

    made = await asyncio.gather(*(onboard(stack, file) for _ in range(4)))

    assert len({one.tenant_id for one in made}) == 1
    assert await counts(stack, made[0].tenant_id) == usual


TAKEN = ["slug", "location slug", "shopmonkey location", "phone number"]


def rivals(stack: Stack, taken: str) -> list[dict[str, Any]]:
    """Files of five companies that want the same one of these."""
    files = [another(stack) for _ in range(5)]
    first = files[0]["locations"][0]
    for file in files:
        if taken == "slug":
            file["slug"] = files[0]["slug"]
        elif taken == "location slug":
            file["locations"][0]["slug"] = first["slug"]
        elif taken == "shopmonkey location":
            file["crm"] = files[0]["crm"]
            file["locations"][0]["shopmonkeyLocationId"] = first["shopmonkeyLocationId"]
        else:
            file["messaging"] = {
                "twilioAccountSid": CLEAR_VIEW.twilio_account_sid,
                "twilioAuthToken": CLEAR_VIEW.twilio_auth_token,
                "twilioPhoneNumber": CLEAR_VIEW.twilio_numbers[1],
            }
    return files


async def onboarded(stack: Stack, files: list[dict[str, Any]]) -> Sequence[UUID]:
    """The franchises that there are of these files."""
    async with stack.services.tenancy.platform() as session:
        made = text("SELECT id FROM tenants WHERE slug = ANY (:slugs)")
        return list(await session.scalars(made, {"slugs": list({file["slug"] for file in files})}))


@pytest.mark.parametrize("taken", TAKEN)
async def test_of_many_that_want_the_same_one_gets_it(stack: Stack, taken: str) -> None:
    files = rivals(stack, taken)
    await with_touches(stack)

    ended = await asyncio.gather(
        *(onboard(stack, file, key=f"race{number}") for number, file in enumerate(files)), return_exceptions=True
    )

    assert sum(isinstance(end, Made) for end in ended) == 1, ended
    refused = [end for end in ended if not isinstance(end, Made)]
    assert {end.code if isinstance(end, BadInputError) else repr(end) for end in refused} == {"ALREADY_CLAIMED"}
    [only] = await onboarded(stack, files)
    await forget_number(stack, only)


@pytest.mark.parametrize("taken", [one for one in TAKEN if one != "phone number"])
async def test_of_many_that_ask_the_api_for_the_same_one_gets_it(line: Line, stack: Stack, taken: str) -> None:
    files, ask = rivals(stack, taken), Asking(line)

    ended = await asyncio.gather(*(ask.asked(ONBOARD, i={**file, "idempotencyKey": str(uuid4())}) for file in files))

    assert sum(end["tenant"] is not None for end in ended) == 1, ended
    refused = [[error["code"] for error in end["errors"]] for end in ended if end["tenant"] is None]
    assert refused == [["ALREADY_CLAIMED"]] * (len(files) - 1)
    assert len(await onboarded(stack, files)) == 1


async def test_of_many_that_set_the_same_number_one_gets_it(line: Line, stack: Stack) -> None:
    made = [await onboard(stack, another(stack)) for _ in range(4)]
    ask, [account] = Asking(line), rivals(stack, "phone number")[:1]
    sent = [{"tenantId": f"tenant_{one.tenant_id}", **account["messaging"]} for one in made]

    ended = await asyncio.gather(*(ask.asked(SET_NUMBER, i=one) for one in sent))

    codes = [[error["code"] for error in end["errors"]] for end in ended]
    assert sorted(codes) == [[], *([["ALREADY_CLAIMED"]] * (len(made) - 1))]
    held = [bool(await number_of(stack, one.tenant_id)) for one in made]
    assert held == [code == [] for code in codes]
    await forget_number(stack, made[held.index(True)].tenant_id)


async def number_of(stack: Stack, tenant_id: UUID) -> str | None:
    async with stack.services.tenancy.read(Scope.service(tenant_id)) as session:
        number: str | None = await session.scalar(text("SELECT twilio_phone_number FROM tenant_messaging_configs"))
        return number


async def forget_number(stack: Stack, tenant_id: UUID) -> None:
    """Give up the number that others want next."""
    async with stack.services.tenancy.platform() as session:
        given_up = text("DELETE FROM routes WHERE kind = 'phone_number' AND tenant_id = :tenant")
        await session.execute(given_up, {"tenant": tenant_id})


async def test_those_who_want_the_same_keys_crosswise_do_not_block_each_other(stack: Stack) -> None:
    pairs = [(another(stack), another(stack)) for _ in range(5)]
    files = []
    for one, other in pairs:
        places = [one["locations"][0], other["locations"][0] | {"shopmonkeyLocationId": None}]
        both = [{key: value for key, value in place.items() if value is not None} for place in places]
        files += [{**one, "locations": both}, {**other, "crm": one["crm"], "locations": both[::-1]}]

    ended = await asyncio.gather(*(onboard(stack, file) for file in files), return_exceptions=True)

    assert sum(isinstance(end, Made) for end in ended) == len(pairs), ended
    assert {end.code for end in ended if isinstance(end, AppError)} == {"ALREADY_CLAIMED"}
    assert all(isinstance(end, Made | AppError) for end in ended), ended


async def test_no_table_is_made_for_a_franchise_and_each_of_many_sees_its_own_only(stack: Stack) -> None:
    async with stack.services.tenancy.platform() as session:
        relations = int(await session.scalar(text("SELECT count(*) FROM pg_class")) or 0)

    made = [one for _ in range(5) for one in await asyncio.gather(*(onboard(stack, another(stack)) for _ in range(8)))]

    assert len({one.tenant_id for one in made}) == 40
    async with stack.services.tenancy.platform() as session:
        assert int(await session.scalar(text("SELECT count(*) FROM pg_class")) or 0) == relations
    seen = [await counts(stack, one.tenant_id) for one in made]  # nothing but the policies limits what is counted
    assert [one for one in seen if one != seen[0]] == []
    assert seen[0]["locations"] == 1


async def test_a_service_that_is_away_stops_it_until_it_is_asked_again(stack: Stack) -> None:
    file = another(stack)
    await stack.fault("shopmonkey", "error_500", match="canned_service", count=1000)
    with pytest.raises(AppError) as stopped:
        await onboard(stack, file)
    assert stopped.value.code == "UNAVAILABLE"
    await stack.http.delete(f"{stack.sandbox.url}/faults")

    made = await onboard(stack, file)

    assert made.webhook_secret is not None
    assert (await counts(stack, made.tenant_id))["service_catalog"] == 3
