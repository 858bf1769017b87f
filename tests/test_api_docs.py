"""docs/api.md and docs/errors.md say what is so: each example is run against the api."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from redis.asyncio import Redis

from lead_orchestrator.graphql.budgets import Allowance, Budgets, BudgetSizes
from lead_orchestrator.graphql.errors import CODES
from lead_orchestrator.tenancy.reader import Reader
from lead_orchestrator.tenancy.secrets import SecretBox
from lead_orchestrator.tenancy.sessions import Tenancy
from tests.api_examples import Example, curl, examples, run, same_shape
from tests.database import Cluster, TestDatabase
from tests.factories import make_lead, make_tenant
from tests.graphql.conftest import open_api

DOCS = Path(__file__).parents[1] / "docs"
EXAMPLES = examples((DOCS / "api.md").read_text())
PLENTY = Allowance(6_000, 1_000_000)


@pytest_asyncio.fixture
async def environment(
    cluster: Cluster, database: TestDatabase, tenancy: Tenancy, secret_box: SecretBox
) -> AsyncIterator[dict[str, str]]:
    """`API` and `TOKEN` of a franchise with one lead."""
    tenant = await make_tenant(tenancy, secret_box)
    await make_lead(tenancy, secret_box, tenant)
    reader = Reader(database.urls.app, size=2)
    async with Redis.from_url(cluster.redis_url) as redis:
        budgets = Budgets(redis, BudgetSizes(PLENTY, PLENTY, PLENTY))
        async with open_api(tenancy, secret_box, reader, development=False, budgets=budgets, any_document=False) as api:
            yield {"API": str(api.http.base_url).rstrip("/"), "TOKEN": api.token(tenant.id)}
    await reader.close()


@pytest.mark.parametrize("example", EXAMPLES, ids=[f"{n}-{one.language}" for n, one in enumerate(EXAMPLES)])
async def test_an_example_answers_as_documented(example: Example, environment: dict[str, str]) -> None:
    got = await run(example, environment)

    assert same_shape(example.answer, got), got


@pytest.mark.parametrize("example", [one for one in EXAMPLES if one.language == "sh"])
async def test_a_curl_example_is_understood_without_curl(example: Example, environment: dict[str, str]) -> None:
    assert same_shape(example.answer, await curl(example.code, environment))


def test_there_are_examples_of_every_kind() -> None:
    assert {example.language for example in EXAMPLES} == {"sh", "python", "js"}
    assert len(EXAMPLES) == len(re.findall(r"^```(?:sh|python|js)$", (DOCS / "api.md").read_text(), re.MULTILINE))


@pytest.mark.parametrize(
    ("documented", "got", "same"),
    [
        ({"a": 1}, {"a": 2}, True),
        ({"a": 1}, {"a": "2"}, False),
        ({"a": 1}, {"b": 1}, False),
        ({"a": 1}, {"a": 1, "b": 1}, False),
        ([{"a": 1}], [{"a": 1}, {"a": 2}], True),
        ([{"a": 1}], [{"a": 1}, {"a": None}], False),
        ([1], [], False),
        (None, None, True),
        (None, 1, False),
    ],
)
def test_shapes_are_told_apart(documented: Any, got: Any, same: bool) -> None:
    assert same_shape(documented, got) is same


def test_every_code_is_documented() -> None:
    documented = set(re.findall(r"^\| `([A-Z_]+)` \|", (DOCS / "errors.md").read_text(), re.MULTILINE))

    assert documented == CODES
