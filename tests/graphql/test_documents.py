"""Trusted documents: visitors send these and no others, everybody may send their hash instead of their text."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from lead_orchestrator.errors import BadInputError
from lead_orchestrator.graphql.cost import Costs
from lead_orchestrator.graphql.documents import MANIFEST, made_manifest, trusted_documents
from lead_orchestrator.graphql.schema import core_schema, documents_manifest
from lead_orchestrator.tenancy.secrets import SecretBox
from lead_orchestrator.tenancy.sessions import Tenancy
from lead_orchestrator.tenancy.tokens import Role
from tests.graphql.conftest import Franchise, open_api
from tests.graphql.server import Answer, Api

LISTED = trusted_documents().by_hash
HASHES = {document.name: digest for digest, document in LISTED.items()}
NOT_LISTED = "{ viewer { role } }"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def strict(tenancy: Tenancy, secret_box: SecretBox) -> AsyncIterator[Api]:
    async with open_api(tenancy, secret_box, None, development=False, any_document=False) as api:
        yield api


def visitor(api: Api, franchise: Franchise) -> str:
    return api.token(franchise.tenant.id, Role.VISITOR, location_ids=[franchise.tenant.location])


async def ask(api: Api, token: str, digest: object, **request: Any) -> Answer:
    persisted = {"version": 1, "sha256Hash": digest}
    return await api.post({"extensions": {"persistedQuery": persisted}, **request}, token)


async def test_a_visitor_sends_the_hash_or_the_text_of_a_listed_document(strict: Api, ours: Franchise) -> None:
    digest = HASHES["WidgetViewer"]

    by_hash = await ask(strict, visitor(strict, ours), digest)
    by_text = await strict.ask(visitor(strict, ours), LISTED[digest].text)
    by_both = await ask(strict, visitor(strict, ours), digest.upper(), query=LISTED[digest].text)

    assert [got.ok["viewer"]["role"] for got in (by_hash, by_text, by_both)] == ["VISITOR"] * 3


@pytest.mark.parametrize(
    "request_",
    [
        {"query": NOT_LISTED},
        {"query": "query WidgetViewer { viewer { role tenant { slug } } }"},
        {"query": None},
        {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": HASHES["DashboardLeads"]}}},
        {
            "query": NOT_LISTED,
            "extensions": {
                "persistedQuery": {"version": 1, "sha256Hash": hashlib.sha256(NOT_LISTED.encode()).hexdigest()}
            },
        },
    ],
)
async def test_a_visitor_sends_nothing_else(strict: Api, ours: Franchise, request_: dict[str, Any]) -> None:
    refused = await strict.post(request_, visitor(strict, ours))

    assert (refused.data, refused.codes) == (None, ["FORBIDDEN"])
    assert refused.errors[0]["extensions"]["reason"] == "DOCUMENT_NOT_TRUSTED"


async def test_staff_may_send_a_hash_and_any_document(strict: Api, ours: Franchise) -> None:
    owner = strict.token(ours.tenant.id)

    by_hash = await ask(strict, owner, HASHES["DashboardLead"], variables={"id": ours.lead_id})
    free = await strict.ask(owner, NOT_LISTED)

    assert by_hash.ok["lead"]["id"] == ours.lead_id
    assert free.ok == {"viewer": {"role": "OWNER"}}


@pytest.mark.parametrize("digest", ["0" * 64, "0" * 63, "x" * 10_000, "", 5, None, ["0" * 64], "é" * 64])
async def test_a_hash_that_names_nothing_is_explained(strict: Api, ours: Franchise, digest: object) -> None:
    refused = await ask(strict, strict.token(ours.tenant.id), digest)

    assert (refused.data, refused.codes) == (None, ["BAD_USER_INPUT"])
    assert len(refused.errors[0]["message"]) < 300


@pytest.mark.parametrize("persisted", [{}, {"version": 2, "sha256Hash": "0" * 64}, [], "x", 1])
async def test_what_is_no_persisted_query_is_explained(strict: Api, ours: Franchise, persisted: object) -> None:
    refused = await strict.post({"extensions": {"persistedQuery": persisted}}, strict.token(ours.tenant.id))

    assert set(refused.codes) == {"BAD_USER_INPUT"}


def test_the_manifest_is_what_the_documents_say() -> None:
    assert MANIFEST.read_text() == documents_manifest()


@pytest.mark.parametrize("name", HASHES)
def test_a_listed_document_is_affordable(name: str) -> None:
    cost = Costs(core_schema()).of(LISTED[HASHES[name]].text, {}, None)

    assert cost is not None
    assert cost < 1_000


def test_a_document_takes_the_fragments_that_it_spreads_along_and_no_others(tmp_path: Path) -> None:
    for name, text in {
        "staff/one.graphql": "query One { viewer { ...Who } }",
        "fragments/who.graphql": "fragment Who on Viewer { ...Role expiresAt }",
        "fragments/role.graphql": "fragment Role on Viewer { role }",
        "fragments/unused.graphql": "fragment Unused on Viewer { role }",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)

    [listed] = json.loads(made_manifest(core_schema(), tmp_path)).values()

    assert re.findall(r"^(?:query|fragment) (\w+)", listed["text"], re.MULTILINE) == ["One", "Who", "Role"]


@pytest.mark.parametrize(
    ("folder", "text", "complaint"),
    [
        ("staff", "query A { nowhere }", "does not fit the schema"),
        ("staff", "{ viewer { role } }", "has 1 operations: write one, with a name"),
        ("staff", "query A { viewer { role } } query B { viewer { role } }", "has 2 operations"),
        ("staff", "query A {", "is no document"),
        ("fragments", "fragment A on", "is no document"),
        ("staff", "query A { viewer { ...Nothing } }", "does not fit the schema: Unknown fragment"),
        ("others", "query A { viewer { role } }", "put it into visitor or staff"),
    ],
)
def test_a_document_that_cannot_be_listed_is_named(tmp_path: Path, folder: str, text: str, complaint: str) -> None:
    (tmp_path / folder).mkdir()
    (tmp_path / folder / "odd.graphql").write_text(text)

    with pytest.raises(BadInputError, match=rf"odd\.graphql.*{complaint}"):
        made_manifest(core_schema(), tmp_path)
