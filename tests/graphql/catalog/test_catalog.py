"""The catalog through the API, against the sandbox's ShopMonkey."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from lead_orchestrator.graphql.app import GraphQLServices, create_graphql_app
from lead_orchestrator.tenancy.access import Access
from lead_orchestrator.tenancy.revocation import RevocationList
from lead_orchestrator.tenancy.tokens import Role, TokenIssuer, TokenVerifier, generate_private_key
from tests.database import Cluster, TestDatabase
from tests.graphql.conftest import Franchise
from tests.graphql.server import Answer, Api, serve
from tests.http import open_http
from tests.stack import Stack, open_stack

SYNC = "mutation($l: ID!) { syncCatalog(locationId: $l) { services { name price { amountCents currency } } errors { code } } }"
SERVICES = """query($l: ID!, $a: Boolean) { services(locationId: $l, activeOnly: $a) {
  id name description category price { amountCents currency } durationMinutes active displayOrder shopmonkeyId
  location { id } } }"""
UPSERT = """mutation($i: ServiceInput!) { upsertService(input: $i) {
  service { id name durationMinutes active price { amountCents } } errors { code field message } } }"""


@dataclass(frozen=True)
class Demo:
    """The sandbox's first franchise behind the API."""

    api: Api
    stack: Stack

    @property
    def location_id(self) -> str:
        return f"loc_{next(iter(self.stack.locations.values()))}"

    def token(self, role: Role = Role.OWNER, **limits: Any) -> str:
        return self.api.token(self.stack.tenant_id, role, **limits)

    async def ask(self, query: str, role: Role = Role.OWNER, **variables: Any) -> Answer:
        return await self.api.ask(self.token(role), query, **{"l": self.location_id, **variables})


@pytest_asyncio.fixture
async def demo(fresh_database: TestDatabase, cluster: Cluster) -> AsyncIterator[Demo]:
    issuer = TokenIssuer(generate_private_key(), "https://issuer.example.com", "lead-orchestrator")
    verifier = TokenVerifier([issuer.public_key_pem], "https://issuer.example.com", "lead-orchestrator")

    async def wake(_tenant: object) -> None: ...

    async with open_stack(fresh_database, cluster.redis_url) as stack:
        made = stack.services
        access = Access(verifier, RevocationList())
        services = GraphQLServices(
            made.tenancy, made.leads, access, wake, catalog=made.catalog, reader=made.reader, any_document=True
        )
        async with serve(create_graphql_app(services)) as address, open_http(address) as http:
            yield Demo(Api(http, issuer, []), stack)


async def test_the_sandboxs_catalog_has_23_services_with_their_prices(demo: Demo) -> None:
    synced = (await demo.ask(SYNC, Role.MANAGER)).ok["syncCatalog"]
    listed = (await demo.ask(SERVICES)).ok["services"]

    assert synced["errors"] == []
    assert len(synced["services"]) == len(listed) == 23
    prices = [service["price"]["amountCents"] for service in listed]
    assert (min(prices), max(prices), {service["price"]["currency"] for service in listed}) == (10_900, 60_000, {"USD"})
    assert [service["displayOrder"] for service in listed] == list(range(23))
    assert {service["location"]["id"] for service in listed} == {demo.location_id}
    assert len({service["shopmonkeyId"] for service in listed}) == 23


async def test_a_second_sync_keeps_durations_and_order(demo: Demo) -> None:
    await demo.ask(SYNC)
    first = (await demo.ask(SERVICES)).ok["services"][0]
    given = {"id": first["id"], "name": first["name"], "durationMinutes": 245, "displayOrder": 99}
    changed = (await demo.ask(UPSERT, Role.MANAGER, i=given)).ok["upsertService"]

    await demo.ask(SYNC)

    last = (await demo.ask(SERVICES)).ok["services"][-1]
    assert changed["errors"] == []
    assert (last["id"], last["durationMinutes"], last["displayOrder"]) == (first["id"], 245, 99)
    assert last["price"] == first["price"]


async def test_what_is_assumed_shows_in_the_readiness(demo: Demo) -> None:
    query = "{ tenant { readiness { name ok detail } } }"

    async def check() -> dict[str, Any]:
        rows = (await demo.ask(query)).ok["tenant"]["readiness"]
        return next(row for row in rows if row["name"] == "service_durations")

    before = await check()
    await demo.ask(SYNC)
    after = await check()

    assert before == {"name": "service_durations", "ok": True, "detail": None}
    assert after["ok"] is False
    assert after["detail"].startswith("23 services take their category's usual time")


async def test_a_location_shows_its_services_and_a_node_is_one_of_them(demo: Demo) -> None:
    await demo.ask(SYNC)
    query = "query($l: ID!) { location(id: $l) { services { id name } calendar { provider } closures { id } } }"

    place = (await demo.ask(query)).ok["location"]
    [node] = (
        await demo.ask("query($i: [ID!]!) { nodes(ids: $i) { id __typename } }", i=[place["services"][0]["id"]])
    ).ok["nodes"]

    assert len(place["services"]) == 23
    assert (place["calendar"], place["closures"]) == (None, [])
    assert node == {"id": place["services"][0]["id"], "__typename": "Service"}


async def test_a_sync_is_an_operation_of_its_own(demo: Demo) -> None:
    twice = await demo.ask(
        """mutation($l: ID!) { a: syncCatalog(locationId: $l) { errors { code } }
        b: syncCatalog(locationId: $l) { services { id } errors { code message } } }"""
    )

    assert twice.ok["a"]["errors"] == []
    assert twice.ok["b"]["services"] is None
    assert twice.ok["b"]["errors"][0]["message"].startswith("syncCatalog is not the first change")


async def test_what_shopmonkey_says_no_to_comes_back_in_the_payload(demo: Demo) -> None:
    await demo.stack.fault("shopmonkey", "bad_credentials")

    answer = (await demo.ask(SYNC)).ok["syncCatalog"]

    assert answer == {"services": None, "errors": [{"code": "CRM_REFUSED"}]}


async def test_an_agent_reads_the_catalog_and_changes_nothing(demo: Demo) -> None:
    given = {"name": "X", "durationMinutes": 30}
    times = 'startsAt: "2030-01-01T00:00:00Z", endsAt: "2030-01-02T00:00:00Z"'
    closure = f"mutation($l: ID!) {{ addClosure(locationId: $l, {times}) {{ errors {{ code }} }} }}"

    assert (await demo.ask(SYNC, Role.AGENT)).codes == ["FORBIDDEN"]
    assert (await demo.ask(UPSERT, Role.AGENT, i=given)).codes == ["FORBIDDEN"]
    assert (await demo.ask(closure, Role.AGENT)).codes == ["FORBIDDEN"]
    assert (await demo.ask(SERVICES, Role.AGENT)).ok == {"services": []}


async def test_a_service_of_ones_own_is_made_and_switched_off(demo: Demo) -> None:
    made = (await demo.ask(UPSERT, i={"name": "Paint Film", "durationMinutes": 120, "priceCents": 70_000})).ok
    service = made["upsertService"]["service"]
    off = {"id": service["id"], "name": "Paint Film", "durationMinutes": 120, "active": False}
    await demo.ask(UPSERT, i=off)

    assert (service["price"], service["active"]) == ({"amountCents": 70_000}, True)
    assert (await demo.ask(SERVICES)).ok == {"services": []}
    [shown] = (await demo.ask(SERVICES, a=False)).ok["services"]
    assert (shown["id"], shown["active"], shown["location"]) == (service["id"], False, None)


@pytest.mark.parametrize(
    ("given", "code", "field"),
    [
        ({"name": "", "durationMinutes": 1}, "BAD_USER_INPUT", ["name"]),
        ({"name": "x", "durationMinutes": 0}, "BAD_USER_INPUT", ["durationMinutes"]),
        ({"name": "x", "durationMinutes": 1, "priceCents": -1}, "BAD_USER_INPUT", ["priceCents"]),
        ({"name": "x", "durationMinutes": 1, "id": "svc_1"}, "BAD_USER_INPUT", ["id"]),
        (
            {"name": "x", "durationMinutes": 1, "locationId": "loc_0199aaaa-0000-7000-8000-000000000000"},
            "NOT_FOUND",
            ["locationId"],
        ),
    ],
)
async def test_what_cannot_be_comes_back_with_its_field(
    api: Api, ours: Franchise, given: dict[str, Any], code: str, field: list[str]
) -> None:
    payload = (await api.ask(ours.owner, UPSERT, i=given)).ok["upsertService"]

    assert payload["service"] is None
    assert [(error["code"], error["field"]) for error in payload["errors"]] == [(code, field)]


async def test_a_shop_is_closed_and_opened_again(api: Api, ours: Franchise) -> None:
    add = """mutation($l: ID!, $r: String) { addClosure(locationId: $l, startsAt: "2030-01-02T08:00:00-08:00",
      endsAt: "2030-01-03T00:00:00Z", reason: $r) { location { id closures { id startsAt endsAt reason } } errors { code } } }"""
    remove = "mutation($i: ID!) { removeClosure(id: $i) { location { closures { id } } errors { code } } }"

    added = (await api.ask(ours.owner, add, l=ours.location_id, r="New Year")).ok["addClosure"]
    [closure] = added["location"]["closures"]
    removed = (await api.ask(ours.owner, remove, i=closure["id"])).ok["removeClosure"]
    again = (await api.ask(ours.owner, remove, i=closure["id"])).ok["removeClosure"]

    assert (closure["startsAt"], closure["reason"]) == ("2030-01-02T16:00:00+00:00", "New Year")
    assert removed == {"location": {"closures": []}, "errors": []}
    assert again == {"location": None, "errors": [{"code": "NOT_FOUND"}]}


async def test_another_tenants_catalog_does_not_exist(api: Api, ours: Franchise, theirs: Franchise) -> None:
    made = await api.ask(theirs.owner, UPSERT, i={"name": "Theirs", "durationMinutes": 30})
    key = made.ok["upsertService"]["service"]["id"]

    changed = await api.ask(ours.owner, UPSERT, i={"id": key, "name": "Mine", "durationMinutes": 30})
    listed = await api.ask(ours.owner, SERVICES, l=theirs.location_id)
    node = await api.ask(ours.owner, "query($i: ID!) { node(id: $i) { id } }", i=key)
    synced = await api.ask(ours.owner, SYNC, l=theirs.location_id)
    their_own = await api.ask(theirs.owner, SERVICES, l=theirs.location_id)

    assert [error["code"] for error in changed.ok["upsertService"]["errors"]] == ["NOT_FOUND"]
    assert listed.ok == {"services": []}
    assert node.ok == {"node": None}
    assert synced.ok["syncCatalog"]["services"] is None
    assert [service["name"] for service in their_own.ok["services"]] == ["Theirs"]


async def test_a_limited_manager_sees_its_locations_catalog_only(api: Api, ours: Franchise) -> None:
    mine, other = ours.tenant.locations
    for location, name in ((None, "Everywhere"), (mine, "Here"), (other, "There")):
        place = {"locationId": f"loc_{location}"} if location else {}
        await api.ask(ours.owner, UPSERT, i={"name": name, "durationMinutes": 30, **place})
    manager = api.token(ours.tenant.id, Role.MANAGER, location_ids=[mine])

    here = (await api.ask(manager, SERVICES, l=f"loc_{mine}")).ok["services"]
    there = (await api.ask(manager, SERVICES, l=f"loc_{other}")).ok["services"]
    common = next(service for service in here if service["name"] == "Everywhere")
    refused = await api.ask(manager, UPSERT, i={"id": common["id"], "name": "Mine", "durationMinutes": 30})

    assert sorted(service["name"] for service in here) == ["Everywhere", "Here"]
    assert there == []
    assert [error["code"] for error in refused.ok["upsertService"]["errors"]] == ["FORBIDDEN"]
