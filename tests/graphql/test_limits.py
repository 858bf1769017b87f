"""What a document and a request may be; anything else is refused with a reason."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import httpx
import pytest
from graphql import get_introspection_query

from tests.graphql.conftest import Franchise
from tests.graphql.server import Api, answer

DOUBLING = " ".join(f"fragment F{n} on Lead {{ ...F{n + 1} ...F{n + 1} }}" for n in range(60))
TOO_COMPLEX = {
    "deep": "{ leads { edges { node { " + "messages { edges { node { lead { " * 4 + "id" + " } } } }" * 4 + " } } } }",
    "many aliases": "{ " + " ".join(f"a{n}: viewer {{ role }}" for n in range(31)) + " }",
    "aliases in fragments": "{ leads { edges { node { ...A ...B } } } } fragment A on Lead { "
    + " ".join(f"a{n}: name" for n in range(16))
    + " } fragment B on Lead { ...A }",
    "fragments that double": f"{{ leads {{ edges {{ node {{ ...F0 }} }} }} }} {DOUBLING} fragment F60 on Lead {{ id }}",
    "nested deeper than the stack": "{ a" * 600 + "}" * 600,
    "nested beyond the parser": "{ a " * 450 + "}" * 450,
    "a list nested beyond the parser": "{ nodes(ids: " + "[" * 900 + "]" * 900 + ") { id } }",
    "more tokens than are read": "{ viewer { " + "role " * 2001 + "} }",
}
REFUSED = {
    "a fragment that spreads itself": "{ leads { edges { node { ...A } } } } fragment A on Lead { id ...A }",
    "fragments in a circle": "{ viewer { ...A } } fragment A on Viewer { ...B } fragment B on Viewer { role ...A }",
    "an unknown fragment": "{ viewer { ...Nowhere } }",
    "a chain of fragments that ends nowhere": "{ viewer { ...F0 } } "
    + " ".join(f"fragment F{n} on Viewer {{ ...F{n + 1} }}" for n in range(230)),
    "an unknown field": "{ viewr { role } }",
    "no document": "nothing",
    "half a document": "{ viewer { role",
    "two operations without a name": "query A { viewer { role } } query B { viewer { role } }",
    "a subscription": "subscription { leadEvents { cursor } }",
    "an odd character": "{ viewer \x07 }",
    "half a surrogate pair": "{ viewer { role } } # \ud800 {",
}


@pytest.mark.parametrize("document", TOO_COMPLEX.values(), ids=TOO_COMPLEX)
async def test_a_document_too_large_is_refused(api: Api, ours: Franchise, document: str) -> None:
    got = await api.ask(ours.owner, document)

    assert (got.status, got.data) == (200, None)
    assert set(got.codes) == {"QUERY_TOO_COMPLEX"}


@pytest.mark.parametrize("document", REFUSED.values(), ids=REFUSED)
async def test_a_document_that_is_wrong_is_refused(api: Api, ours: Franchise, document: str) -> None:
    got = await api.ask(ours.owner, document)

    assert got.status in (200, 400)
    assert got.data is None
    assert set(got.codes) == {"BAD_USER_INPUT"}


async def test_of_several_operations_the_named_one_is_executed(api: Api, ours: Franchise) -> None:
    document = "query A { viewer { role } } query B { tenant { slug } }"

    got = await api.post({"query": document, "operationName": "B"}, ours.owner)

    assert got.ok == {"tenant": {"slug": ours.tenant.slug}}


async def test_nothing_is_suggested_in_production(api: Api, development_api: Api) -> None:
    hidden = await api.ask(None, "{ viewr { role } }")
    helped = await development_api.ask(None, "{ viewr { role } }")

    assert "viewer" not in hidden.errors[0]["message"]
    assert "viewer" in helped.errors[0]["message"]


async def test_introspection_is_for_development(api: Api, development_api: Api) -> None:
    hidden = await api.ask(None, get_introspection_query())
    shown = await development_api.ask(None, get_introspection_query())

    assert hidden.data is None
    assert set(hidden.codes) == {"BAD_USER_INPUT"}
    assert shown.ok["__schema"]["queryType"]["name"] == "Query"


async def test_graphiql_is_for_development(api: Api, development_api: Api) -> None:
    headers = {"accept": "text/html"}

    hidden = await api.http.get("/graphql", headers=headers)
    shown = await development_api.http.get("/graphql", headers=headers)
    query = await development_api.http.get("/graphql", params={"query": "{ viewer { role } }"})

    assert hidden.status_code == 405
    assert "graphiql" in shown.text.lower()
    assert query.status_code == 400


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD"])
async def test_only_post_is_taken(api: Api, method: str) -> None:
    got = await api.http.request(method, "/graphql", params={"query": "{ viewer { role } }"})

    assert (got.status_code, got.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize("framed", ["length", "chunked"])
async def test_a_huge_body_is_not_read(api: Api, framed: str) -> None:
    body = json.dumps({"query": "{ viewer { role } }", "variables": {"x": "x" * 400_000}}).encode()

    async def chunks() -> AsyncIterator[bytes]:
        yield body[:200_000]
        yield body[200_000:]

    got = await api.http.post(
        "/graphql", content=body if framed == "length" else chunks(), headers={"content-type": "application/json"}
    )

    assert got.status_code == 413
    assert answer(got).codes == ["BAD_USER_INPUT"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"5",
        b'"text"',
        b"\xff\xfe",
        b'{"query": 5}',
        b'{"query": null}',
        b"{}",
        b'{"query": "{ viewer { role } }", "variables": []}',
        b'{"query": "{ viewer { role } }", "variables": "x"}',
        b'{"query": "{ viewer { role } }", "operationName": {}}',
        b'{"query": "{ viewer { role } }", "operationName": "Other"}',
        b'{"query": "{ viewer { role } }", "extensions": 1}',
        b'{"query": "{ viewer { role } }", "variables": {"x": NaN}}',
        b'{"query": "{ viewer { role } }", "variables": {"x": ' + b"9" * 5000 + b"}}",
        b'[{"query": "{ viewer { role } }"}, {"query": "{ viewer { role } }"}]',
        b"[" * 60_000,
    ],
    ids=lambda body: body[:30].decode(errors="replace"),
)
async def test_a_body_that_is_no_request_is_refused(api: Api, body: bytes) -> None:
    got = await api.http.post("/graphql", content=body, headers={"content-type": "application/json"})

    assert got.status_code == 400
    assert answer(got).codes == ["BAD_USER_INPUT"]


async def test_forms_are_refused(api: Api) -> None:
    form = await api.http.post("/graphql", data={"query": "{ viewer { role } }"})
    files = await api.http.post("/graphql", files={"operations": (None, '{"query": "{ viewer { role } }"}')})

    assert (form.status_code, files.status_code) == (415, 415)


async def test_a_socket_is_refused(api: Api) -> None:
    headers = {
        "connection": "Upgrade",
        "upgrade": "websocket",
        "sec-websocket-version": "13",
        "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
        "sec-websocket-protocol": "graphql-transport-ws",
    }

    got = await api.http.get("/graphql", headers=headers)

    assert got.status_code == 403


@pytest.mark.parametrize("header", ["", "Bearer", "Basic dTpw", "Bearer a b", "token", "Bearer \xe9"])
async def test_a_header_that_is_no_token_is_explained(api: Api, header: str) -> None:
    headers = httpx.Headers([(b"authorization", header.encode("latin-1"))])

    got = answer(await api.http.post("/graphql", json={"query": "{ viewer { role } }"}, headers=headers))

    assert (got.status, got.data, got.codes) == (200, {"viewer": None}, ["UNAUTHENTICATED"])
