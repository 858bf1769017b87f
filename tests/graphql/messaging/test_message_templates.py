"""Templates through the API."""

from __future__ import annotations

from typing import Any

import pytest

from lead_orchestrator.tenancy.secrets import SecretBox
from lead_orchestrator.tenancy.sessions import Tenancy
from lead_orchestrator.tenancy.tokens import Role
from tests.factories import make_lead
from tests.graphql.conftest import Franchise
from tests.graphql.operations.rows import make_message
from tests.graphql.server import Api

_SHOWN = "{ subject text html segments encoding unknownVariables }"
PREVIEW = f"query($i: PreviewTemplateInput!) {{ previewTemplate(input: $i) {_SHOWN} }}"
SET = f"""mutation($i: MessageTemplateInput!) {{
  setMessageTemplate(input: $i) {{ preview {_SHOWN} version errors {{ code field message }} }} }}"""


async def shown(api: Api, token: str, **fields: Any) -> Any:
    return (await api.ask(token, PREVIEW, i={"channel": "SMS", **fields})).ok["previewTemplate"]


async def put(api: Api, token: str, **fields: Any) -> Any:
    values = {"kind": "REMINDER", "channel": "SMS", "body": "See you {appointment_day}", **fields}
    return (await api.ask(token, SET, i=values)).ok["setMessageTemplate"]


async def test_a_preview_for_a_lead_says_what_it_would_get(
    api: Api, ours: Franchise, tenancy: Tenancy, secret_box: SecretBox
) -> None:
    lead = await make_lead(tenancy, secret_box, ours.tenant, first_name="Zoë", vehicle={"make": "Honda"})

    got = await shown(api, ours.owner, leadId=f"lead_{lead.id}", body="Hi {first_name}, your {vehicle} at {shop_name}")

    assert got == {
        "subject": None,
        "text": "Hi Zoë, your Honda at Shop 1",
        "html": None,
        "segments": 1,
        "encoding": "UCS-2",
        "unknownVariables": [],
    }


async def test_without_a_lead_it_is_shown_for_somebody(api: Api, ours: Franchise) -> None:
    got = await shown(api, ours.owner, locationId=f"loc_{ours.tenant.locations[1]}", body="{first_name} {shop_name}")

    assert (got["text"], got["encoding"]) == ("Alex Shop 2", "GSM-7")
    assert (await shown(api, ours.owner, body="{shop_name}"))["text"] == "Shop 1"


async def test_unknown_variables_are_named_and_stay_as_they_were_written(api: Api, ours: Franchise) -> None:
    got = await shown(api, ours.owner, body="Hi {name}, {first_name} {name} {nope|x}")

    assert got["unknownVariables"] == ["name", "nope"]
    assert got["text"] == "Hi {name}, Alex {name} {nope}"


async def test_a_mail_is_shown_in_both_forms(api: Api, ours: Franchise) -> None:
    got = await shown(api, ours.owner, channel="EMAIL", subject="Hi {first_name}", body="See <you>: {chat_link}")

    assert got["subject"] == "Hi Alex"
    assert got["text"].startswith("See <you>: https://app.example.com/c/")
    assert "Unsubscribe: https://app.example.com/u/" in got["text"]
    assert "See &lt;you&gt;:" in got["html"]
    assert (got["segments"], got["encoding"]) == (None, None)


@pytest.mark.parametrize(
    ("fields", "code", "field"),
    [
        ({"body": "a { b"}, "BAD_USER_INPUT", ["input", "body"]),
        ({"body": "x" * 1601}, "BAD_USER_INPUT", ["input", "body"]),
        ({"channel": "EMAIL", "subject": "}", "body": "x"}, "BAD_USER_INPUT", ["input", "subject"]),
        ({"body": "x", "leadId": "4711"}, "BAD_USER_INPUT", ["leadId"]),
    ],
)
async def test_what_is_no_template_is_refused_with_its_place(
    api: Api, ours: Franchise, fields: dict[str, Any], code: str, field: list[str]
) -> None:
    answer = await api.ask(ours.owner, PREVIEW, i={"channel": "SMS", **fields})

    assert answer.codes == [code]
    assert answer.errors[0]["extensions"]["field"] == field


async def test_another_tenants_lead_and_location_do_not_exist(api: Api, ours: Franchise, theirs: Franchise) -> None:
    for fields in ({"leadId": theirs.lead_id}, {"locationId": theirs.location_id}):
        answer = await api.ask(ours.owner, PREVIEW, i={"channel": "SMS", "body": "{first_name}", **fields})
        assert answer.codes == ["NOT_FOUND"]
    payload = await put(api, ours.owner, locationId=theirs.location_id)
    assert (payload["preview"], [error["code"] for error in payload["errors"]]) == (None, ["NOT_FOUND"])


async def test_a_template_is_put_in_force_version_by_version(api: Api, ours: Franchise) -> None:
    manager = api.token(ours.tenant.id, Role.MANAGER)

    first = await put(api, manager)
    second = await put(api, manager, body="Later")
    own = await put(api, manager, locationId=ours.location_id)

    assert first["preview"]["text"] == "See you Tuesday, March 3"
    assert [payload["version"] for payload in (first, second, own)] == [1, 2, 1]
    assert [payload["errors"] for payload in (first, second, own)] == [[], [], []]


async def test_an_unknown_variable_is_refused_with_its_position(api: Api, ours: Franchise) -> None:
    payload = await put(api, ours.owner, body="Hi {name}")

    [error] = payload["errors"]
    assert payload["preview"] is None
    assert error["field"] == ["body"]
    assert error["message"].startswith("unknown variable 'name' at character 4; known are: appointment_day,")


@pytest.mark.parametrize("kind", ["TOUCH", "AD_HOC", "INBOUND"])
async def test_a_kind_without_templates_is_refused(api: Api, ours: Franchise, kind: str) -> None:
    payload = await put(api, ours.owner, kind=kind)

    assert [error["field"] for error in payload["errors"]] == [["kind"]]


async def test_who_serves_some_locations_does_not_write_for_all(api: Api, ours: Franchise) -> None:
    manager = api.token(ours.tenant.id, Role.MANAGER, location_ids=[ours.tenant.location])

    whole = await put(api, manager)
    own = await put(api, manager, locationId=ours.location_id)

    assert [error["code"] for error in whole["errors"]] == ["FORBIDDEN"]
    assert own["errors"] == []


@pytest.mark.parametrize("role", [Role.AGENT, Role.VISITOR])
async def test_who_may_not_set_one_is_refused(api: Api, ours: Franchise, role: Role) -> None:
    answer = await api.ask(
        api.token(ours.tenant.id, role), SET, i={"kind": "REMINDER", "channel": "SMS", "body": "See you"}
    )

    assert answer.codes == ["FORBIDDEN"]


async def test_a_message_shows_the_version_that_made_it(api: Api, ours: Franchise, tenancy: Tenancy) -> None:
    made = await make_message(tenancy, ours.tenant, ours.lead, kind="REMINDER", template_version=3)

    answer = await api.ask(
        ours.owner, "query($id: ID!) { node(id: $id) { ... on Message { templateVersion } } }", id=made
    )

    assert answer.ok["node"] == {"templateVersion": 3}
