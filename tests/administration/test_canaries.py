"""What is secret or about a person leaves no trace in answers to others, logs, errors and figures: canaries are searched."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from io import StringIO
from typing import Any
from uuid import uuid4

import httpx
import pytest_asyncio
from sqlalchemy import text

from lead_orchestrator.errors import AppError
from lead_orchestrator.log import configure_logging
from lead_orchestrator.sandbox.seed import SUN_SHADE
from lead_orchestrator.services import token_issuer
from lead_orchestrator.tenancy.franchise import parse_franchise
from lead_orchestrator.tenancy.sessions import Scope
from lead_orchestrator.tenancy.tokens import Role
from tests.administration.asking import Asking
from tests.administration.test_connections import ADD, CRM, MESSAGING
from tests.administration.test_onboarding import ONBOARD, clear_view
from tests.database import Cluster
from tests.messaging.inbound.line import Line, described, open_line, text_form
from tests.messaging.leads import made_message, make_lead
from tests.webhooks.server import signed_headers

SECRETS = {
    "shopmonkey_api_key": "canary-shopmonkey-key",
    "shopmonkey_webhook_secret": "canary-shopmonkey-secret",
    "twilio_auth_token": "canary-twilio-token",
    "sendgrid_api_key": "SG.canary-sendgrid-key",
    "whatsapp_token": "canary-whatsapp-token",
    "sent": "canary-sent-by-administrators",
}
PERSON = {
    "first_name": "Canaryfirst",
    "last_name": "Canarylast",
    "email": "canary.person@example.com",
    "phone": "+12135550199",
}
WORDS = "Canarywords of a message"


@contextmanager
def logs() -> Iterator[StringIO]:
    """All that is logged meanwhile, of the most talkative level."""
    root = logging.getLogger()
    handlers, level, stream = root.handlers[:], root.level, StringIO()
    configure_logging("DEBUG", stream=stream)
    try:
        yield stream
    finally:
        root.handlers, root.level = handlers, level


@pytest_asyncio.fixture(scope="module")
async def line(cluster: Cluster) -> AsyncIterator[Line]:
    """The first franchise, all of whose credentials are canaries here and at the services."""
    async with cluster.clone() as database, open_line(database, cluster.redis_url) as line:
        world, file = line.stack.world, described()
        company = next(one for one in world.companies.values() if one.name == SUN_SHADE.name)
        company.api_key = SECRETS["shopmonkey_api_key"]
        world.twilio_accounts[SUN_SHADE.twilio_account_sid].auth_token = SECRETS["twilio_auth_token"]
        account = world.sendgrid_accounts.pop(SUN_SHADE.sendgrid_api_key)
        account.api_key = SECRETS["sendgrid_api_key"]
        world.sendgrid_accounts[account.api_key] = account
        file["crm"] = {"apiKey": SECRETS["shopmonkey_api_key"], "webhookSecret": SECRETS["shopmonkey_webhook_secret"]}
        file["messaging"] |= {
            "twilioAuthToken": SECRETS["twilio_auth_token"],
            "sendgridApiKey": SECRETS["sendgrid_api_key"],
            "whatsappAccessToken": SECRETS["whatsapp_token"],
        }
        await line.stack.services.onboarding.onboard(parse_franchise(file), actor="tests")
        yield line


async def everything(line: Line) -> list[str]:
    """What a day with people, services that fail and wrong input answers with."""
    stack, ask = line.stack, Asking(line)
    services, answers = stack.services, []
    tenant, sent = f"tenant_{stack.tenant_id}", SECRETS["sent"]

    async def answered(document: str, **variables: Any) -> None:
        answers.append(json.dumps(await ask.asked(document, **variables)))

    await answered(MESSAGING, i={"tenantId": tenant, "twilioAuthToken": sent})
    await answered(MESSAGING, i={"tenantId": tenant, "sendgridApiKey": sent})
    await answered(MESSAGING, i={"tenantId": tenant, "twilioAccountSid": sent})
    await answered(CRM, i={"tenantId": tenant, "credentials": {"apiKey": sent, "webhookSecret": sent}})
    await answered(ONBOARD, i=clear_view(crm={"apiKey": sent}, slug="never", idempotencyKey="canary"))
    await answered(ONBOARD, i=clear_view(crm={"apiKey": "", "webhookSecret": sent}, slug="Not A Slug"))
    place = {"name": "Uptown", "slug": "uptown", "timezone": "America/Denver", "shopmonkeyLocationId": uuid4().hex}
    await answered(ADD, i={"tenantId": tenant, "location": place})
    for service, kind in (("shopmonkey", "bad_credentials"), ("twilio", "bad_credentials"), ("sendgrid", "error_500")):
        await stack.fault(service, kind, count=4)
    await stack.quote(firstName=PERSON["first_name"], phone=PERSON["phone"], email=PERSON["email"])
    await services.polling.poll(stack.tenant_id)
    lead = await make_lead(stack, **PERSON)
    for channel in ("SMS", "EMAIL"):
        await made_message(stack, lead, WORDS, channel=channel, kind="AD_HOC", subject=WORDS)
    for _ in range(3):
        await services.dispatcher.dispatch(stack.tenant_id)
    said = text_form(PERSON["phone"], WORDS, sid=f"SM{uuid4().hex}")
    heard = await line.form("/webhooks/twilio/sms", said, token=SECRETS["twilio_auth_token"])
    assert heard.status_code == 200
    await line.process()
    body = json.dumps({"table": "order", "data": {"id": "1", "locationId": SUN_SHADE.locations[0].id}}).encode()
    forged = await line.http.post("/webhooks/shopmonkey/order", content=body, headers=signed_headers(body, sent))
    ready, metrics = await line.http.get("/ready"), await line.http.get("/metrics")
    answers += [response.text for response in (forged, ready, metrics, *await as_owner(line))]
    return answers


async def as_owner(line: Line) -> list[httpx.Response]:
    """What an owner may read of settings, and errors of the database that quote what they were given."""
    issuer, tenant_id = token_issuer(line.stack.settings), line.stack.tenant_id
    token = issuer.issue(subject="owner", role=Role.OWNER, tenant_id=tenant_id, location_ids=None)
    documents = [
        "{ tenant { name demoAllowlist readiness { name ok detail } usage { leads } limits { messagesPerDay } } }",
        "{ locations { edges { node { name slug phone address survey shopmonkeyLocationId } } } }",
        "{ auditLog(first: 100) { edges { node { actor action target detail } } } }",
        "{ webhookEvents(first: 100) { edges { node { source error } } } jobExecutions { edges { node { error } } } }",
    ]
    headers = {"authorization": f"Bearer {token}"}
    return [await line.http.post("/graphql", json={"query": one}, headers=headers) for one in documents]


async def test_no_secret_and_nobody_is_told_where_they_do_not_belong(line: Line) -> None:
    stack = line.stack
    with logs() as logged:
        answers = await everything(line)
        with suppressed():
            parse_franchise({"crm": {"apiKey": [SECRETS["sent"]]}, "messaging": SECRETS["sent"]})
        try:
            async with stack.services.tenancy.write(Scope.service(stack.tenant_id)) as session:
                bad = text("INSERT INTO leads (tenant_id, first_name, email) VALUES (:t, :first, :email)")
                await session.execute(bad, {"t": stack.tenant_id, "first": WORDS, "email": PERSON["email"]})
        except Exception:
            logging.getLogger("tests").exception("failed")

    told = "\n".join(answers)
    lines = logged.getvalue()
    assert lines.count("\n") > 15
    assert [name for name, secret in SECRETS.items() if secret in told + lines] == []
    assert [name for name, value in PERSON.items() if value in lines or value in told] == []
    assert WORDS not in told + lines
    assert len(await stack.rows("SELECT id FROM leads")) > 0
    sealed = await stack.rows("SELECT twilio_auth_token FROM tenant_messaging_configs")
    key = stack.services.secrets.open(stack.tenant_id, "twilio_auth_token", sealed[0]["twilio_auth_token"])
    assert key == SECRETS["twilio_auth_token"], "the canaries were planted"


@contextmanager
def suppressed() -> Iterator[None]:
    """Log an expected error as the edge does."""
    try:
        yield
    except AppError as error:
        logging.getLogger("tests").warning("refused: %s", error.message)
