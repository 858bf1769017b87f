"""The document says what the API does: whatever is made of it, and whatever breaks it, is answered as it says."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from lead_orchestrator.rest.api.operations import OPERATIONS
from tests.factories import phone_number
from tests.rest.api.shop import Shop
from tests.serving import bearer

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
]
EXAMPLES = 10
REACHED = {"POST /api/leads", "GET /api/leads", "GET /api/services", "GET /api/form"}
"""What is right by its form alone is answered with more than a refusal."""
_addresses = itertools.count(1)


def prepared(case: Case[Any], shop: Shop, headers: dict[str, str]) -> Case[Any]:
    """What is right asks for the shop that is there; every call comes from another address."""
    number = next(_addresses)
    case.headers.update(headers | {"X-Forwarded-For": f"172.16.{number >> 8 & 255}.{number & 255}"})
    if case.meta is not None and case.meta.generation.mode is GenerationMode.POSITIVE:
        for part in (case.body, case.query):
            if isinstance(part, dict) and not {"realtorId", "locationId", "phone", "serviceIds"}.isdisjoint(part):
                part |= {"realtorId": shop.slug}
                part.pop("locationId", None)
            if isinstance(part, dict) and part.get("serviceIds"):
                part |= {"serviceIds": [shop.service_id]}
            if isinstance(part, dict) and part.get("phone"):
                part["phone"] = phone_number()
    return case


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["right", "wrong"])
async def test_whatever_is_sent_is_answered_as_the_document_says(shop: Shop, mode: GenerationMode) -> None:
    schema = schemathesis.openapi.from_dict((await shop.get("/api/openapi.json")).json())
    operations = [result.ok() for result in schema.get_all_operations() if isinstance(result, Ok)]

    seen = {operation.label: await asyncio.to_thread(_sent, shop, operation, mode) for operation in operations}

    assert set(seen) == {f"{operation.method} {operation.path}" for operation in OPERATIONS}
    if mode is GenerationMode.POSITIVE:
        assert {label for label, statuses in seen.items() if statuses & {200, 201}} >= REACHED


def _sent(shop: Shop, operation: Any, mode: GenerationMode) -> set[int]:
    """The statuses that an operation answered with; each answer is what the document says."""
    headers = bearer(shop.stack) if operation.label in ("GET /api/leads", "POST /api/schedule") else {}
    url, statuses = str(shop.http.base_url).rstrip("/"), set()

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
    )
    @given(operation.as_strategy(mode))
    def sending(case: Case[Any]) -> None:
        response = prepared(case, shop, headers).call(base_url=url)
        statuses.add(response.status_code)
        case.validate_response(response, checks=CHECKS)

    sending()
    return statuses


async def test_the_document_is_open_api_and_names_every_answer(shop: Shop) -> None:
    answer = await shop.get("/api/openapi.json")

    described = answer.json()
    assert (answer.status_code, described["openapi"]) == (200, "3.1.0")
    assert {(path, method.upper()) for path, own in described["paths"].items() for method in own} == {
        (operation.path, operation.method) for operation in OPERATIONS
    }
    for own in described["paths"].values():
        for operation in own.values():
            assert {"400", "429", "500", "503"} <= set(operation["responses"])
    lead = described["components"]["schemas"]["LeadIn"]
    assert (lead["required"], lead["additionalProperties"]) == (["phone"], False)
    assert lead["oneOf"] == [{"required": ["realtorId"]}, {"required": ["locationId"]}]
