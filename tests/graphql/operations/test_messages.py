"""The list of every message, sent and received."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from lead_orchestrator.graphql.cursors import Page
from lead_orchestrator.graphql.operations import repository
from lead_orchestrator.tenancy.secrets import SecretBox
from lead_orchestrator.tenancy.sessions import Tenancy
from lead_orchestrator.tenancy.tokens import Role
from tests.factories import make_lead
from tests.graphql.conftest import Franchise
from tests.graphql.operations.rows import NOON, all_pages, make_inbound, make_message
from tests.graphql.server import Api

MESSAGES = """query($filter: MessageFilter) {
  messages(filter: $filter, first: 100) { totalCount edges { node { id kind direction status lead { id } } } } }"""


async def found(api: Api, token: str, **given: Any) -> set[str]:
    answer = (await api.ask(token, MESSAGES, filter=given)).ok["messages"]
    ids = {edge["node"]["id"] for edge in answer["edges"]}
    assert answer["totalCount"] == len(ids)
    return ids


async def first_touch(api: Api, franchise: Franchise) -> str:
    (touch,) = await found(api, franchise.owner, leadId=franchise.lead_id)
    return touch


async def test_pages_give_each_message_once_even_at_the_same_instant(
    api: Api, ours: Franchise, theirs: Franchise, tenancy: Tenancy
) -> None:
    made = {await first_touch(api, ours)}
    for _ in range(3):
        made.add(await make_message(tenancy, ours.tenant, ours.lead))
        made.add(await make_inbound(tenancy, ours.tenant, ours.lead))
    await make_message(tenancy, theirs.tenant, theirs.lead)

    seen = await all_pages(api, ours.owner, "messages")

    assert set(seen) == made
    assert seen[0].startswith("msg_")  # the touch of today stands before those of March


async def test_messages_are_filtered_by_everything(
    api: Api, ours: Franchise, tenancy: Tenancy, secret_box: SecretBox
) -> None:
    other = await make_lead(tenancy, secret_box, ours.tenant, location=ours.tenant.locations[1])
    touches = await found(api, ours.owner, kind=["TOUCH"])
    sent = await make_message(tenancy, ours.tenant, ours.lead, channel="EMAIL")
    failed = await make_message(tenancy, ours.tenant, other, status="FAILED", created_at=NOON + timedelta(hours=1))
    got = await make_inbound(tenancy, ours.tenant, other, channel="WHATSAPP")
    token = ours.owner

    assert len(touches) == 2
    assert await found(api, token) == {*touches, sent, failed, got}
    assert await found(api, token, status=["FAILED", "RECEIVED"]) == {failed, got}
    assert await found(api, token, status=["SENT"]) == {sent}
    assert await found(api, token, status=[]) == set()
    assert await found(api, token, kind=["INBOUND"]) == {got}
    assert await found(api, token, kind=["INBOUND"], status=["SENT"]) == set()
    assert await found(api, token, channel=["EMAIL", "WHATSAPP"]) == {sent, got}
    assert await found(api, token, leadId=f"lead_{other.id}") == {failed, got, *touches} - {
        await first_of(touches, api, ours)
    }
    assert await found(api, token, locationIds=[ours.location_id], channel=["EMAIL"]) == {sent}
    assert await found(api, token, locationIds=[]) == set()
    begins, ends = NOON.isoformat(), (NOON + timedelta(hours=1)).isoformat()
    assert await found(api, token, **{"from": begins, "to": ends}) == {sent, got}
    assert await found(api, token, **{"from": ends, "to": begins}) == set()


async def first_of(touches: set[str], api: Api, franchise: Franchise) -> str:
    """The one of `touches` that is for the franchise's first lead."""
    own = await found(api, franchise.owner, leadId=franchise.lead_id, kind=["TOUCH"])
    (touch,) = own & touches
    return touch


async def test_a_limited_agent_sees_the_messages_of_its_locations_only(
    api: Api, ours: Franchise, tenancy: Tenancy, secret_box: SecretBox
) -> None:
    other = await make_lead(tenancy, secret_box, ours.tenant, location=ours.tenant.locations[1])
    own = await make_inbound(tenancy, ours.tenant, ours.lead)
    hidden = await make_inbound(tenancy, ours.tenant, other)
    agent = api.token(ours.tenant.id, Role.AGENT, location_ids=[ours.tenant.location])

    seen = await all_pages(api, agent, "messages")

    assert own in seen
    assert hidden not in seen
    assert await found(api, agent, leadId=f"lead_{other.id}") == set()


async def test_their_ids_find_nothing(api: Api, ours: Franchise, theirs: Franchise, tenancy: Tenancy) -> None:
    theirs_sent = await make_message(tenancy, theirs.tenant, theirs.lead)

    assert await found(api, ours.owner, leadId=theirs.lead_id) == set()
    assert await found(api, ours.owner, locationIds=[theirs.location_id]) == set()
    assert theirs_sent in await found(api, theirs.owner, leadId=theirs.lead_id)


@pytest.mark.parametrize(
    "given",
    [{"leadId": "loc_1"}, {"locationIds": ["lead_0199aaaa-0000-7000-8000-000000000000"]}, {"from": "2026-03-01"}],
)
async def test_what_is_no_id_or_moment_is_refused(api: Api, ours: Franchise, given: dict[str, Any]) -> None:
    assert (await api.ask(ours.owner, MESSAGES, filter=given)).codes == ["BAD_USER_INPUT"]


async def test_the_first_page_is_read_by_the_order_s_index(tenancy: Tenancy, ours: Franchise) -> None:
    async with tenancy.read(ours.tenant.scope) as session:
        await session.execute(text("SET LOCAL enable_seqscan = off"))
        await session.execute(text("SET LOCAL enable_sort = off"))
        sent = await explained(session, repository.sent_page)
        got = await explained(session, repository.inbound_page)

    assert "scheduled_messages_newest" in sent
    assert "message_logs_inbound" in got
    assert "Sort" not in sent + got


async def explained(session: Any, query: Any) -> str:
    """The plan of a page, whose statement is caught on its way."""
    statements: list[Any] = []

    class Catching:
        scope = session.scope

        async def scalars(self, statement: Any) -> list[Any]:
            statements.append(statement)
            return []

    await query(Catching(), repository.MessageQuery(), Page(25))
    compiled = statements[0].compile(dialect=session.bind.dialect, compile_kwargs={"literal_binds": True})
    rows = await session.execute(text("EXPLAIN " + str(compiled).replace(":", "\\:")))
    return "\n".join(row[0] for row in rows)
