from __future__ import annotations

import json
from contextlib import AbstractAsyncContextManager
from uuid import UUID

import pytest
from graphql import GraphQLError
from structlog.testing import capture_logs

from lead_orchestrator.errors import BadInputError, RateLimitedError, UnavailableError
from lead_orchestrator.graphql.app import GraphQLServices, create_graphql_app
from lead_orchestrator.graphql.errors import CODES, presented
from lead_orchestrator.leads.service import Leads
from lead_orchestrator.tenancy.access import Access
from lead_orchestrator.tenancy.revocation import RevocationList
from lead_orchestrator.tenancy.secrets import SecretBox
from lead_orchestrator.tenancy.sessions import Tenancy
from lead_orchestrator.tenancy.tokens import TokenIssuer, TokenVerifier, generate_private_key
from tests.factories import make_tenant, phone_number
from tests.graphql.conftest import Franchise
from tests.graphql.server import Api, serve
from tests.http import open_http


async def test_a_defect_is_logged_by_its_id_without_what_it_was_about(
    api: Api, ours: Franchise, failing_pause: AbstractAsyncContextManager[None]
) -> None:
    document = "mutation($l: ID!) { pauseTouches(leadId: $l) { lead { id } } }"

    async with failing_pause:
        with capture_logs() as logged:
            answer = await api.ask(ours.owner, document, l=ours.lead_id)

    [line] = [line for line in logged if line["event"] == "graphql_error"]
    assert answer.codes == ["INTERNAL"]
    assert line["id"] == answer.errors[0]["extensions"]["id"]
    assert line["path"] == "pauseTouches"
    assert line["sqlstate"] == "P0001"
    assert any("repository.py" in place or "service.py" in place for place in line["where"])
    for secret in (ours.lead.phone, ours.lead.email, str(ours.lead.id), "tripwire"):
        assert secret is not None
        assert secret not in json.dumps(logged, default=str)


@pytest.mark.parametrize(
    ("error", "code", "reason"),
    [
        (BadInputError("odd", code="INVALID_PHONE"), "BAD_USER_INPUT", "INVALID_PHONE"),
        (RateLimitedError("later", retry_after=1), "RATE_LIMITED", None),
        (UnavailableError("away"), "INTERNAL", "UNAVAILABLE"),
    ],
)
def test_an_expected_error_keeps_its_sentence_and_gets_a_code_of_the_contract(
    error: Exception, code: str, reason: str | None
) -> None:
    shown = presented([GraphQLError("whatever", original_error=error)])

    assert shown is not None
    assert shown[0].message == str(error)
    assert shown[0].extensions is not None
    assert shown[0].extensions["code"] == code
    assert code in CODES
    assert shown[0].extensions.get("reason") == reason


async def test_one_field_that_fails_leaves_the_others_their_answer(api: Api, ours: Franchise) -> None:
    answer = await api.ask(ours.owner, '{ viewer { role } lead(id: "x") { id } tenant { slug } }')

    assert answer.data == {"viewer": {"role": "OWNER"}, "lead": None, "tenant": {"slug": ours.tenant.slug}}
    assert answer.codes == ["BAD_USER_INPUT"]
    assert answer.errors[0]["path"] == ["lead"]
    assert answer.errors[0]["extensions"]["field"] == ["id"]


async def test_a_commit_that_fails_is_not_answered_as_done(
    api: Api, failing_commit: AbstractAsyncContextManager[None], ours: Franchise
) -> None:
    document = """mutation($l: ID!) { updateLead(input: {id: $l, firstName: "Kept"}) { lead { firstName } } }"""

    async with failing_commit:
        failed = await api.ask(ours.owner, document, l=ours.lead_id)
    after = await api.ask(ours.owner, "query($l: ID!) { lead(id: $l) { firstName } }", l=ours.lead_id)

    assert (failed.data, failed.codes) == (None, ["INTERNAL"])
    assert after.ok["lead"]["firstName"] == "Ada"


async def test_a_bell_that_fails_loses_nothing(tenancy: Tenancy, secret_box: SecretBox) -> None:
    tenant = await make_tenant(tenancy, secret_box)
    issuer = TokenIssuer(generate_private_key(), "https://issuer.example.com", "lead-orchestrator")
    revocations = RevocationList()
    verifier = TokenVerifier([issuer.public_key_pem], "https://issuer.example.com", "lead-orchestrator")

    async def wake(_tenant: UUID) -> None:
        raise ConnectionError("no bell")

    services = GraphQLServices(tenancy, Leads(secret_box), Access(verifier, revocations), wake)
    document = "mutation($i: CreateLeadInput!) { createLead(input: $i) { lead { id } errors { code } } }"
    async with serve(create_graphql_app(services)) as address, open_http(address) as http:
        api = Api(http, issuer, [])
        made = await api.ask(
            api.token(tenant.id), document, i={"locationId": f"loc_{tenant.location}", "phone": phone_number()}
        )
        again = await api.ask(api.token(tenant.id), "{ leads { totalCount } }")

    assert made.ok["createLead"]["errors"] == []
    assert again.ok == {"leads": {"totalCount": 1}}


async def test_a_refusal_is_told_while_other_fields_are_still_read(api: Api, ours: Franchise) -> None:
    unknown = "loc_0199aaaa-0000-7000-8000-000000000000"
    fields = " ".join(
        f'a{n}: touchSchedule(locationId: "{unknown if n % 2 else ours.location_id}") {{ version }}' for n in range(6)
    )

    answers = [await api.ask(ours.owner, f"{{ {fields} }}") for _ in range(5)]

    assert {code for answer in answers for code in answer.codes} == {"NOT_FOUND"}
