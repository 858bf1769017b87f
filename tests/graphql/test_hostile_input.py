"""Whatever is sent is answered with what is wrong with it, never with an error of ours."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from tests.graphql.conftest import Franchise
from tests.graphql.server import Api, answer

LEADS = """query($first: Int, $after: String, $filter: LeadFilter) {
  leads(first: $first, after: $after, filter: $filter) { edges { node { id } } totalCount } }"""
CREATE = "mutation($input: CreateLeadInput!) { createLead(input: $input) { lead { id } errors { code } } }"
ODD_TEXTS = ["\x00", "Ada\x00", "\ud800", "x\udfff"]
ODD_IDS = [
    "",
    "lead_",
    "lead",
    "_",
    "lead_x",
    "lead_00000000000000000000000000000000",
    "LEAD_0199aaaa-0000-7000-8000-000000000000",
    "lead_{0199aaaa-0000-7000-8000-000000000000}",
    "lead_0199AAAA-0000-7000-8000-000000000000",
    " lead_0199aaaa-0000-7000-8000-000000000000",
    "0199aaaa-0000-7000-8000-000000000000",
    "bill_0199aaaa-0000-7000-8000-000000000000",
    "lead_0199aaaa-0000-7000-8000-000000000000' OR '1'='1",
    "x" * 100_000,
    "\u0661" * 36,
]


def cursor(*parts: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).rstrip(b"=").decode()


LEAD = "lead_0199aaaa-0000-7000-8000-000000000000"
ODD_CURSORS = [
    "",
    "x",
    "!!!!",
    "é",
    "AAAA",
    "x" * 50_000,
    cursor(),
    cursor("CREATED_AT_DESC"),
    cursor("CREATED_AT_ASC", "2026-01-01T00:00:00+00:00", LEAD),
    cursor("CREATED_AT_DESC", "2026-01-01T00:00:00", LEAD),
    cursor("CREATED_AT_DESC", "0001-01-01T00:00:00+14:00", LEAD),
    cursor("CREATED_AT_DESC", "yesterday", LEAD),
    cursor("CREATED_AT_DESC", 5, LEAD),
    cursor("CREATED_AT_DESC", "2026-01-01T00:00:00+00:00", "loc_0199aaaa-0000-7000-8000-000000000000"),
    cursor("CREATED_AT_DESC", "2026-01-01T00:00:00+00:00", "lead_x"),
    cursor("CREATED_AT_DESC", "2026-01-01T00:00:00+00:00", LEAD, "more"),
    base64.urlsafe_b64encode(b"[" * 700).decode(),
    base64.urlsafe_b64encode(b"\xff\xfe\x00").decode(),
]


@pytest.mark.parametrize("odd", ODD_TEXTS)
async def test_text_that_cannot_be_stored_is_refused_wherever_it_stands(api: Api, ours: Franchise, odd: str) -> None:
    update = (
        "mutation($id: ID!, $t: String) { updateLead(input: {id: $id, lastName: $t}) { lead { id } errors { code } } }"
    )
    given: list[tuple[str, dict[str, Any]]] = [
        (LEADS, {"filter": {"search": odd}}),
        (LEADS, {"filter": {"locationIds": [odd]}}),
        (LEADS, {"after": odd}),
        ("query($s: String) { location(slug: $s) { id } }", {"s": odd}),
        ("query($s: String) { locations(search: $s) { totalCount } }", {"s": odd}),
        ("query($id: ID!) { node(id: $id) { id } }", {"id": odd}),
        (update, {"id": ours.lead_id, "t": odd}),
        (CREATE, {"input": {"locationId": ours.location_id, "phone": "+12135550101", "firstName": odd}}),
        (CREATE, {"input": {"locationId": ours.location_id, "phone": "+12135550101", "survey": {"a": [odd]}}}),
        (CREATE, {"input": {"locationId": ours.location_id, "phone": "+12135550101", "survey": {odd: 1}}}),
        (CREATE, {"input": {"locationId": ours.location_id, "phone": odd, "email": odd, "timeZone": odd}}),
        ("query($unused: String) { viewer { role } }", {"unused": odd}),
    ]
    for document, variables in given:
        assert (await api.ask(ours.owner, document, **variables)).codes == ["BAD_USER_INPUT"], document


async def test_text_that_cannot_be_stored_is_refused_in_the_document_too(api: Api, ours: Franchise) -> None:
    for literal in ('"\\u0000"', '"a\\u0000b"', '"\\uD800"', '"\\u{D800}"'):
        for document in (
            f"{{ leads(filter: {{search: {literal}}}) {{ totalCount }} }}",
            f"{{ location(slug: {literal}) {{ id }} }}",
            f'mutation {{ createLead(input: {{locationId: "{ours.location_id}", survey: {{a: {literal}}}}}) {{ lead {{ id }} }} }}',
        ):
            assert set((await api.ask(ours.owner, document)).codes) == {"BAD_USER_INPUT"}, document


@pytest.mark.parametrize("odd", ODD_IDS, ids=range(len(ODD_IDS)))
async def test_an_id_that_is_none_is_explained(api: Api, ours: Franchise, odd: str) -> None:
    for document in (
        "query($id: ID!) { lead(id: $id) { id } }",
        "query($id: ID!) { node(id: $id) { id } }",
        "query($id: ID!) { nodes(ids: [$id]) { id } }",
        "query($id: ID!) { location(id: $id) { id } }",
        "query($id: ID!) { leads(filter: {locationIds: [$id]}) { totalCount } }",
    ):
        got = await api.ask(ours.owner, document, id=odd)
        assert got.codes == ["BAD_USER_INPUT"], document
        assert len(got.errors[0]["message"]) < 600
    paused = await api.ask(ours.owner, "mutation($id: ID!) { pauseTouches(leadId: $id) { errors { code } } }", id=odd)
    assert paused.ok["pauseTouches"]["errors"] == [{"code": "BAD_USER_INPUT"}]


@pytest.mark.parametrize("odd", ODD_CURSORS, ids=range(len(ODD_CURSORS)))
async def test_a_cursor_that_is_none_is_explained(api: Api, ours: Franchise, odd: str) -> None:
    lists = "query($id: ID!, $c: String) { lead(id: $id) { messages(after: $c) { totalCount } } }"

    assert (await api.ask(ours.owner, LEADS, after=odd)).codes == ["BAD_USER_INPUT"]
    assert (await api.ask(ours.owner, "query($c: String) { locations(after: $c) { totalCount } }", c=odd)).codes == [
        "BAD_USER_INPUT"
    ]
    assert (await api.ask(ours.owner, lists, id=ours.lead_id, c=odd)).codes == ["BAD_USER_INPUT"]
    timeline = lists.replace("messages", "timeline")
    assert (await api.ask(ours.owner, timeline, id=ours.lead_id, c=odd)).codes == ["BAD_USER_INPUT"]


@pytest.mark.parametrize("odd", ["lev_", "lev_-1", "lev_1.5", "lev_" + "9" * 30, "lev_٣", "1", "lev_1 "])
async def test_a_position_that_is_none_is_explained(api: Api, ours: Franchise, odd: str) -> None:
    document = "query($id: ID!, $c: String) { lead(id: $id) { timeline(after: $c) { totalCount } } }"

    assert (await api.ask(ours.owner, document, id=ours.lead_id, c=odd)).codes == ["BAD_USER_INPUT"]


@pytest.mark.parametrize("odd", [2**31, -(2**31) - 1, 10**400, "5", 1.5, True, [], {}, "x"])
async def test_a_number_that_is_none_is_refused(api: Api, ours: Franchise, odd: Any) -> None:
    assert set((await api.ask(ours.owner, LEADS, first=odd)).codes) == {"BAD_USER_INPUT"}


@pytest.mark.parametrize(
    "odd",
    [
        "yesterday",
        "2026-01-01",
        "2026-13-01T00:00:00Z",
        "2026-01-01T00:00:00",
        "2026-02-30T00:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        "2026-01-01T25:00:00Z",
        5,
        True,
        [],
        {},
        "",
        "x" * 1000,
    ],
    ids=str,
)
async def test_a_moment_that_is_none_is_refused(api: Api, ours: Franchise, odd: Any) -> None:
    assert set((await api.ask(ours.owner, LEADS, filter={"createdFrom": odd})).codes) == {"BAD_USER_INPUT"}


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z", "2026-01-01T00:00:00+05:30"])
async def test_a_moment_far_away_is_a_moment(api: Api, ours: Franchise, moment: str) -> None:
    assert (await api.ask(ours.owner, LEADS, filter={"createdFrom": moment, "createdTo": moment})).ok["leads"][
        "edges"
    ] == []


@pytest.mark.parametrize("value", [1e999, {"a": [1e999]}, json.loads("[" * 30 + "]" * 30)], ids=range(3))
async def test_json_that_cannot_be_stored_is_refused(api: Api, ours: Franchise, value: Any) -> None:
    body = json.dumps({"query": CREATE, "variables": {"input": {"survey": value}}}).replace("Infinity", "1e999")

    got = await api.http.post(
        "/graphql",
        content=body,
        headers={"content-type": "application/json", "authorization": f"Bearer {ours.owner}"},
    )

    assert answer(got).codes == ["BAD_USER_INPUT"]


async def test_enums_and_fields_that_do_not_exist_are_refused(api: Api, ours: Franchise) -> None:
    for given in ({"status": ["OPEN"]}, {"status": [5]}, {"status": "\x07"}, {"color": "red"}, {"source": [None]}):
        assert set((await api.ask(ours.owner, LEADS, filter=given)).codes) == {"BAD_USER_INPUT"}, given


async def test_lists_that_are_too_long_are_refused(api: Api, ours: Franchise) -> None:
    nodes = await api.ask(ours.owner, "query($i: [ID!]!) { nodes(ids: $i) { id } }", i=[ours.lead_id] * 101)
    places = await api.ask(ours.owner, LEADS, filter={"locationIds": [ours.location_id] * 1001})
    search = await api.ask(ours.owner, LEADS, filter={"search": "x" * 201})

    assert (nodes.codes, places.codes, search.codes) == (["BAD_USER_INPUT"],) * 3


@pytest.mark.parametrize(
    "words", ["'", "\\", "%_\\", "\\%", "a' OR 1=1 --", "🚗", "\u202e", "((((", "  ", "[^a]*+?{}|"]
)
async def test_any_words_can_be_searched_for(api: Api, ours: Franchise, words: str) -> None:
    assert isinstance((await api.ask(ours.owner, LEADS, filter={"search": words})).ok["leads"]["totalCount"], int)
