"""One world for all tests of the planner: it is only read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import Any
from uuid import UUID, uuid4

import graphql
import pytest_asyncio
from sqlalchemy import insert, select, text

from lead_orchestrator.booking.service import Booking
from lead_orchestrator.chat.conversations import Conversations
from lead_orchestrator.graphql.context import GraphQLServices
from lead_orchestrator.graphql.planner.run import Planner
from lead_orchestrator.graphql.schema import make_schema
from lead_orchestrator.ids import Kind
from lead_orchestrator.leads.models import Consent, Lead, LeadSource, LeadStatus, ScheduledMessage
from lead_orchestrator.leads.service import Leads
from lead_orchestrator.messaging.ledger import DispatchPolicy, Ledger
from lead_orchestrator.messaging.models import MessageLog
from lead_orchestrator.messaging.service import Messages
from lead_orchestrator.tenancy.access import Access
from lead_orchestrator.tenancy.links import LinkSigner
from lead_orchestrator.tenancy.models import LocationHours, User
from lead_orchestrator.tenancy.reader import Reader
from lead_orchestrator.tenancy.records import LoginSession
from lead_orchestrator.tenancy.revocation import RevocationList
from lead_orchestrator.tenancy.secrets import SecretBox
from lead_orchestrator.tenancy.sessions import Scope, Tenancy, WriteSession
from lead_orchestrator.tenancy.tokens import Role, TokenIssuer, TokenVerifier, generate_private_key
from lead_orchestrator.touches.models import TouchTemplate
from lead_orchestrator.touches.schedule import DEFAULT_DAYS
from tests.factories import MadeTenant, make_tenant, phone_number
from tests.graphql.planner.world import Caller, World
from tests.graphql.planner.writer import Operation, Samples
from tests.graphql.shop import seed_shop

START = datetime(2026, 3, 1, 9, 30, 0, 123456, tzinfo=UTC)
NAMES = ["Ada", "Zoë", "ÄNNE", "İpek", "straße", "", None, 'O\'Neil "Q"', "50%_off/\\", "😀 Emoji", "Ω", "a\tb\nc"]
CHANNELS = ["SMS", "EMAIL", "WHATSAPP"]
CIVIC = {"year": "2021", "make": "Honda", "model": "Civic"}
SIGNED_IN = text("""
  INSERT INTO sessions (tenant_id, user_id, refresh_hash, user_agent, last_seen_at, expires_at, revoked_at)
  SELECT tenant_id, id, convert_to(id::text || n, 'UTF8'), CASE WHEN n > 1 THEN 'Browser Ü ' || n END,
    timestamptz '2026-03-01 09:30Z' + n / 2 * interval '1 hour',
    now() + CASE n WHEN 5 THEN -1 ELSE 1 END * interval '1 day', CASE n WHEN 4 THEN now() END
  FROM users, generate_series(1, 5) n WHERE tenant_id = :tenant""")
VEHICLES: list[Any] = [None, {}, CIVIC, {"year": 1999}, {"make": "", "year": "x"}]


ASSISTANT = text("""
WITH prompt AS (INSERT INTO assistant_prompts (tenant_id, version, instructions) VALUES (:tenant, 1, 'We speak of film.'))
INSERT INTO tenant_assistant_configs (tenant_id, model, prompt_version, debounce_ms, lead_tokens_a_day)
VALUES (:tenant, 'gpt-x', 1, 1250, 500)""")
SPENT = text("""
WITH chats AS (
  INSERT INTO chat_sessions (tenant_id, location_id, lead_id, channel, state, verified, created_at)
  SELECT tenant_id, location_id, id, 'WEB_CHAT', 'ASSISTANT', n > 1, app_now()
  FROM leads, generate_series(1, 3) n WHERE tenant_id = :tenant RETURNING *)
INSERT INTO assistant_days (tenant_id, location_id, session_id, day, calls, tokens)
SELECT tenant_id, location_id, id, (app_now() AT TIME ZONE 'UTC')::date - ago, 1, 200 + 20 * row_number() OVER (ORDER BY id)
FROM chats, generate_series(0, 1) ago""")


async def seed(tenancy: Tenancy, tenant: MadeTenant, number: int) -> None:
    async with tenancy.write(tenant.scope) as session:
        for place in tenant.locations[:2]:
            await _hours(session, tenant, place)
        await _users(session, tenant)
        await _templates(session, tenant)
        leads = await _leads(session, tenant, number)
        for lead in leads[:-2]:
            await _history(session, lead)
            await _messages(session, lead)
        await seed_shop(session, tenant, leads)
        await session.execute(ASSISTANT, {"tenant": tenant.id})
        await session.execute(SPENT, {"tenant": tenant.id})


async def _hours(session: WriteSession, tenant: MadeTenant, place: UUID) -> None:
    for day, opens, closes in ((0, time(9), time(12)), (0, time(13), time(17, 30)), (3, time(8), time(20))):
        session.add(
            LocationHours(tenant_id=tenant.id, location_id=place, day_of_week=day, opens_at=opens, closes_at=closes)
        )


async def _users(session: WriteSession, tenant: MadeTenant) -> None:
    for role, held in (
        ("OWNER", None),
        ("MANAGER", [tenant.locations[0]]),
        ("AGENT", [tenant.locations[1]]),
        ("AGENT", []),
    ):
        email = f"{role.lower()}{len(held or 'all')}-{tenant.slug}@example.com"
        session.add(
            User(
                tenant_id=tenant.id,
                email=email,
                name=None if held == [] else role.title(),
                role=role,
                location_ids=held,
            )
        )
    await session.flush()
    await session.execute(SIGNED_IN, {"tenant": tenant.id})


async def _templates(session: WriteSession, tenant: MadeTenant) -> None:
    for place, late in ((None, 0), (tenant.locations[1], 1)):
        for number, day in enumerate(DEFAULT_DAYS, start=1):
            written = {"day": day + late, "channel": "SMS", "subject": None, "body": "Hi {first_name|there}"}
            session.add(TouchTemplate(tenant_id=tenant.id, location_id=place, number=number, **written))


async def _leads(session: WriteSession, tenant: MadeTenant, number: int) -> Sequence[Lead]:
    rows = [_lead(tenant, n) for n in range(number)]
    await session.execute(insert(Lead), rows)
    found = select(Lead).where(Lead.tenant_id == tenant.id).order_by(Lead.created_at, Lead.id)
    return list(await session.scalars(found))


def _lead(tenant: MadeTenant, n: int) -> dict[str, Any]:
    at = START + timedelta(hours=n // 2, microseconds=0 if n % 3 else -123456)
    return {
        "tenant_id": tenant.id,
        "location_id": tenant.locations[n % len(tenant.locations)],
        "first_name": NAMES[n % len(NAMES)],
        "last_name": NAMES[(n * 5 + 1) % len(NAMES)],
        "email": f"lead{n}_{tenant.slug}@example.com" if n % 4 else None,
        "phone": phone_number() if n % 5 else None,
        "status": list(LeadStatus)[n % len(LeadStatus)].value,
        "source": list(LeadSource)[n % len(LeadSource)].value,
        "enrolled_at": at,
        "touches_sent": n,
        "touched": (1 << (n % 9)) - 2 if n % 9 else 0,
        "answered_after": n % 7 if n % 4 == 0 else None,
        "booked_after": n % 5 if n % 6 == 0 else None,
        "touches_paused": n % 3 == 1,
        "opted_out": CHANNELS[: n % 4],
        "time_zone": "America/Chicago" if n % 2 else None,
        "postal_code": "60601" if n % 3 else None,
        "vehicle": VEHICLES[n % len(VEHICLES)],
        "survey": [None, {"a": [1, 2.5, 1e21, {"ü": None}]}, {}, {"null": None}][n % 4],
        "external_order_id": f"order{n}" if n % 2 else None,
        "created_at": at,
        "last_activity_at": START + timedelta(hours=(n * 7) % 11),
        "first_contacted_at": at + timedelta(seconds=n) if n % 2 else None,
    }


def _of(lead: Lead) -> dict[str, Any]:
    return {"tenant_id": lead.tenant_id, "location_id": lead.location_id, "lead_id": lead.id}


async def _history(session: WriteSession, lead: Lead) -> None:
    for n in range(lead.touches_sent % 4):
        at = START + timedelta(minutes=n // 2)
        session.add(
            Consent(
                **_of(lead),
                channel=CHANNELS[n],
                granted=n != 1,
                source="survey",
                wording=None if n else "Text me",
                at=at,
            )
        )
        detail = {"from": None, "to": "HOT", "n": n} if n else None
        session.record(f"lead.step{n}", location_id=lead.location_id, lead_id=lead.id, detail=detail)


async def _messages(session: WriteSession, lead: Lead) -> None:
    """Touches in every state, worded and not, some at the very moment of others; two answers."""
    for n in range(lead.touches_sent % 6):
        status = ["DELIVERED", "SENT", "FAILED", "UNDELIVERED", "SUPPRESSED"][n]
        message = _message(lead, n, status, worded=n % 2 == 0)
        session.add(message)
        await session.flush()
        for attempt in range(1, message.attempt + 1):
            session.add(_attempt(lead, message.id, attempt))
    if lead.touches_sent % 2:
        session.add(_message(lead, 6, "SCHEDULED", worded=False))
    for n in range(lead.touches_sent % 3):
        session.add(_attempt(lead, None, 1, at=START + timedelta(minutes=n)))


def _message(lead: Lead, n: int, status: str, *, worded: bool) -> ScheduledMessage:
    touch, at = n != 4, START + timedelta(minutes=n)
    return ScheduledMessage(
        **_of(lead),
        kind="TOUCH" if touch else "AD_HOC",
        channel=CHANNELS[n % 3],
        touch_number=n + 1 if touch else None,
        subject="Hi ü" if n == 2 else None,
        body=f"Text {n} 😀" if worded else None,
        due_at=at + timedelta(days=n, microseconds=500_000),
        status=status,
        decision=None if n else 'sent: "ok"',
        attempt=0 if status in {"SCHEDULED", "SUPPRESSED"} else n % 3,
        sent_at=at if n < 2 else None,
        delivered_at=at if n == 0 else None,
        error_code="30007" if n == 2 else None,
        segments=n or None,
        created_at=at,
    )


def _attempt(lead: Lead, message: UUID | None, attempt: int, at: datetime = START) -> MessageLog:
    direction = "INBOUND" if message is None else "OUTBOUND"
    return MessageLog(
        **_of(lead), message_id=message, attempt=attempt, direction=direction, channel="SMS", address="+12135550101",
        sender="+12135550102", subject=f"Subject {attempt}" if attempt % 2 else None, body=f"Said {attempt} ß",
        status="RECEIVED" if message is None else "SENT", at=at,
    )  # fmt: skip


LINKS = LinkSigner(["tests"], "https://app.example.com")
WORDS: dict[str, list[str]] = {
    "search": ["ada", "ÄNN", "änne", "İ", "i", "ß", "SS", "%", "_", "/", "\\", "  ", "+1 20", "555", "example.com", "Shop"],
    "DateTime": ["2026-03-01T09:30:00.123456Z", "2026-03-01T11:30:00+02:00", "2026-03-01T12:30:00.5-05:00", "2026-03-02T00:00:00Z"],
    "Query.report.from": ["2026-03-01", "2026-02-27", "2026-03-02"],
    "Query.report.to": ["2026-03-02", "2026-03-15"],
    "Time": ["09:30"],
    "": ["a", "%", "ü"],
}  # fmt: skip


def _lists(schema: graphql.GraphQLSchema) -> Iterator[tuple[str, graphql.GraphQLObjectType]]:
    """The root fields that are lists, each with the type of its nodes, and how they are asked for in each of their orders."""
    assert schema.query_type is not None
    for name, found in schema.query_type.fields.items():
        kind = graphql.get_named_type(found.type)
        if not kind.name.endswith("Connection") or any(
            graphql.is_required_argument(one) for one in found.args.values()
        ):
            continue
        node = schema.get_type(kind.name.removesuffix("Connection"))
        assert isinstance(node, graphql.GraphQLObjectType)
        order = found.args.get("orderBy")
        orders = graphql.get_named_type(order.type).values if order else [None]
        for one in orders:
            yield f"{name}{f'(orderBy: {one})' if one else ''}", node


def _found(answer: Any, key: str) -> list[str]:
    if isinstance(answer, list):
        return [text for item in answer for text in _found(item, key)]
    if not isinstance(answer, dict):
        return []
    own = [answer[key]] if key in answer else []
    return own + [text for item in answer.values() for text in _found(item, key)]


async def _sampled(world: World) -> Samples:
    """Ids and cursors of what the schema lists, as the franchises' owners see it."""
    ids, cursors = dict(world.samples.ids), dict(world.samples.cursors)
    for caller in (world.callers[0], world.callers[-1]):

        async def ask(query: str, caller: Caller = caller) -> list[str]:
            answer = await world.executed(Operation(query, {}), caller)
            found = list(dict.fromkeys(_found(answer["data"], "x")))
            return [*found[:8], *found[-2:]]

        for asked, node in _lists(world.core):
            name, _, order = asked.partition("(orderBy: ")
            path = f"Query.{name} {order.removesuffix(')')}".strip()
            cursors[path] = [*cursors.get(path, []), *await ask(f"{{ {asked} {{ edges {{ x: cursor }} }} }}")]
            if "id" in node.fields:
                ids[node.name] = [
                    *ids.get(node.name, []),
                    *await ask(f"{{ {asked} {{ edges {{ node {{ x: id }} }} }} }}"),
                ]
            for name, inner in node.fields.items():
                if graphql.get_named_type(inner.type).name.endswith("Connection"):
                    below = f"{{ {asked} {{ edges {{ node {{ {name} {{ edges {{ x: cursor }} }} }} }} }} }}"
                    path = f"{node.name}.{name}"
                    cursors[path] = [*cursors.get(path, []), *await ask(below)]
    cursors["Query.leads"] = cursors["Query.leads CREATED_AT_DESC"]
    return Samples(ids, cursors, world.samples.words)


async def _ids(tenancy: Tenancy, tenants: Sequence[MadeTenant]) -> dict[str, list[str]]:
    """Of what the schema does not list; and of every kind one that nobody has."""
    ids = {kind.name.title().replace("_", ""): [f"{kind.value}_{uuid4()}"] for kind in Kind}
    ids["Tenant"] += [f"tenant_{one.id}" for one in tenants]
    for tenant in tenants:
        async with tenancy.read(tenant.scope) as session:
            signed_in = (
                select(LoginSession.id).where(LoginSession.tenant_id == tenant.id).order_by(LoginSession.user_id)
            )
            ids["LoginSession"].extend(f"ses_{key}" for key in await session.scalars(signed_in.limit(9)))
            users = select(User.id).where(User.tenant_id == tenant.id).order_by(User.id)
            ids["User"].extend(f"user_{key}" for key in await session.scalars(users))
            sent = select(ScheduledMessage.id).where(ScheduledMessage.tenant_id == tenant.id).limit(5)
            came = (
                select(MessageLog.id).where(MessageLog.tenant_id == tenant.id, MessageLog.message_id.is_(None)).limit(5)
            )
            ids["Message"].extend(f"msg_{key}" for key in await session.scalars(sent))
            ids["Message"].extend(f"log_{key}" for key in await session.scalars(came))
    return ids


@pytest_asyncio.fixture(scope="session")
async def world(tenancy: Tenancy, secret_box: SecretBox, reader: Reader) -> World:
    ours, theirs = (
        await make_tenant(tenancy, secret_box, locations=3),
        await make_tenant(tenancy, secret_box, locations=2),
    )
    await seed(tenancy, ours, 26)
    await seed(tenancy, theirs, 6)
    issuer = TokenIssuer(generate_private_key(), "https://issuer.example.com", "lead-orchestrator")
    verifier = TokenVerifier([issuer.public_key_pem], "https://issuer.example.com", "lead-orchestrator")

    async def wake(_tenant: UUID) -> None: ...

    leads = Leads(secret_box)
    messages = Messages(Ledger(leads, DispatchPolicy()), secret_box, LINKS, Conversations())
    access = Access(verifier, RevocationList())
    services = GraphQLServices(tenancy, leads, access, wake, links=LINKS, messages=messages, booking=Booking(LINKS))
    schema = make_schema(development=False)
    ids = await _ids(tenancy, (ours, theirs))
    one, two = ours.locations[:2]
    callers = [
        _caller(issuer, "owner", ours, Role.OWNER, ids["User"][1], here=UUID(ids["LoginSession"][1][4:])),
        _caller(issuer, "manager of one", ours, Role.MANAGER, ids["User"][2], one),
        _caller(issuer, "agent of two", ours, Role.AGENT, ids["User"][3], one, two),
        _caller(issuer, "agent of none", ours, Role.AGENT, "agent", limited=True),
        _caller(issuer, "another franchise's owner", theirs, Role.OWNER, ids["User"][-1]),
    ]
    words = WORDS | {"slug": [f"{ours.slug}-1", f"{theirs.slug}-1", f"{ours.slug}-2", "nowhere"]}
    made = World(
        schema,
        services,
        reader,
        Planner(schema._schema, reader),  # noqa: SLF001 - as in World
        callers,
        Samples(ids, {}, words),
    )
    return replace(made, samples=await _sampled(made))


def _caller(
    issuer: TokenIssuer,
    name: str,
    tenant: MadeTenant,
    role: Role,
    subject: str,
    *places: UUID,
    limited: bool = False,
    here: UUID | None = None,
) -> Caller:
    held = frozenset(places) if places or limited else None
    token = issuer.issue(
        subject=subject,
        role=role,
        tenant_id=tenant.id,
        location_ids=held,
        session_id=here,
        lifetime=timedelta(hours=12),
    )
    return Caller(name, Scope(tenant.id, held, subject, role, session_id=here), f"Bearer {token}")
