"""Webhooks processed once more."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select

from lead_orchestrator.leads.ingestion.models import WebhookEvent
from lead_orchestrator.tenancy.records import AuditLine
from lead_orchestrator.tenancy.sessions import Tenancy
from lead_orchestrator.tenancy.tokens import Role
from tests.graphql.conftest import Franchise
from tests.graphql.operations.rows import make_event, make_unrouted
from tests.graphql.server import Api

REPLAY = "mutation($id: ID!) { it: replayWebhookEvent(id: $id) { event { id status attempts error } errors { code } } }"
REPLAY_UNROUTED = "mutation($id: ID!) { it: replayUnroutedWebhook(id: $id) { event { id status } errors { code } } }"


async def events(tenancy: Tenancy, franchise: Franchise) -> list[WebhookEvent]:
    async with tenancy.read(franchise.tenant.scope) as session:
        return list(await session.scalars(select(WebhookEvent).where(WebhookEvent.tenant_id == franchise.tenant.id)))


async def audited(tenancy: Tenancy, franchise: Franchise) -> list[tuple[str, str | None]]:
    async with tenancy.read(franchise.tenant.scope) as session:
        lines = await session.scalars(select(AuditLine).where(AuditLine.action == "webhook.replayed"))
        return [(line.actor, line.target) for line in lines]


def refused(answer: Any) -> list[str]:
    assert answer.ok["it"]["event"] is None
    return [error["code"] for error in answer.ok["it"]["errors"]]


@pytest.mark.parametrize("status", ["FAILED", "IGNORED", "PROCESSED"])
async def test_a_manager_replays_an_event_and_the_worker_is_woken(
    api: Api, ours: Franchise, tenancy: Tenancy, status: str
) -> None:
    event = await make_event(tenancy, ours.tenant, status)
    manager = api.token(ours.tenant.id, Role.MANAGER)

    answer = (await api.ask(manager, REPLAY, id=event)).ok["it"]

    assert answer == {"event": {"id": event, "status": "RECEIVED", "attempts": 0, "error": None}, "errors": []}
    assert api.events == [(ours.tenant.id, UUID(event.removeprefix("whk_")))]
    assert await audited(tenancy, ours) == [("tests", event)]


async def test_an_event_that_waits_is_left_to_its_worker(api: Api, ours: Franchise, tenancy: Tenancy) -> None:
    event = await make_event(tenancy, ours.tenant, "RECEIVED")

    assert refused(await api.ask(ours.owner, REPLAY, id=event)) == ["ALREADY_WAITING"]
    assert [row.attempts for row in await events(tenancy, ours)] == [3]
    assert api.events == []


@pytest.mark.parametrize("role", [Role.VISITOR, Role.AGENT])
async def test_who_may_not_replay_changes_nothing(api: Api, ours: Franchise, tenancy: Tenancy, role: Role) -> None:
    event = await make_event(tenancy, ours.tenant)

    answer = await api.ask(api.token(ours.tenant.id, role, location_ids=[ours.tenant.location]), REPLAY, id=event)

    assert answer.codes == ["FORBIDDEN"]
    assert [row.status for row in await events(tenancy, ours)] == ["FAILED"]
    assert api.events == []


async def test_what_is_out_of_reach_is_not_found(
    api: Api, ours: Franchise, theirs: Franchise, tenancy: Tenancy
) -> None:
    event = await make_event(tenancy, ours.tenant)
    elsewhere = api.token(ours.tenant.id, Role.MANAGER, location_ids=[ours.tenant.locations[1]])

    for token in (theirs.owner, elsewhere):
        assert refused(await api.ask(token, REPLAY, id=event)) == ["NOT_FOUND"]
    assert (await api.ask(api.token(None, Role.PLATFORM_ADMIN), REPLAY, id=event)).codes == ["NOT_FOUND"]
    assert refused(await api.ask(ours.owner, REPLAY, id=ours.lead_id)) == ["BAD_USER_INPUT"]
    assert [row.status for row in await events(tenancy, ours)] == ["FAILED"]
    assert api.events == []


async def test_an_unrouted_webhook_goes_to_the_franchise_that_has_its_location(
    api: Api, ours: Franchise, tenancy: Tenancy
) -> None:
    waiting = await make_unrouted(tenancy, ours.tenant.shopmonkey_locations[1])
    admin = api.token(None, Role.PLATFORM_ADMIN, subject="somebody")

    answer = (await api.ask(admin, REPLAY_UNROUTED, id=waiting)).ok["it"]
    again = await api.ask(admin, REPLAY_UNROUTED, id=waiting)

    (event,) = await events(tenancy, ours)
    assert answer == {"event": {"id": waiting, "status": "RECEIVED"}, "errors": []}
    assert (event.location_id, event.source) == (ours.tenant.locations[1], "shopmonkey_replay")
    assert api.events == [(ours.tenant.id, event.id)]
    assert await audited(tenancy, ours) == [("somebody", waiting)]
    assert refused(again) == ["ALREADY_REPLAYED"]
    assert len(await events(tenancy, ours)) == 1


async def test_what_nobody_has_claimed_stays_unrouted(api: Api, tenancy: Tenancy) -> None:
    waiting = await make_unrouted(tenancy, uuid4().hex)
    admin = api.token(None, Role.PLATFORM_ADMIN)

    assert refused(await api.ask(admin, REPLAY_UNROUTED, id=waiting)) == ["STILL_UNROUTED"]
    assert refused(await api.ask(admin, REPLAY_UNROUTED, id=f"uwh_{uuid4()}")) == ["NOT_FOUND"]
    assert api.events == []


async def test_staff_replays_nothing_unrouted(api: Api, ours: Franchise, tenancy: Tenancy) -> None:
    waiting = await make_unrouted(tenancy, ours.tenant.shopmonkey_locations[0])

    for role in (Role.VISITOR, Role.AGENT, Role.MANAGER, Role.OWNER):
        token = api.token(ours.tenant.id, role, location_ids=[ours.tenant.location])
        assert (await api.ask(token, REPLAY_UNROUTED, id=waiting)).codes == ["FORBIDDEN"]
    assert await events(tenancy, ours) == []
