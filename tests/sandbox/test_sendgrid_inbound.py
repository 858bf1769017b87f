from __future__ import annotations

import email
from email.message import Message as Part
from email.policy import HTTP

import httpx
import pytest

from lead_orchestrator.integrations.sendgrid import inbound
from lead_orchestrator.sandbox.seed import SUN_SHADE
from tests.sandbox.receiver import Received, Receiver
from tests.sandbox.wire import SendGrid, quote

PARSE = "/user/webhooks/parse/settings"
ANN, REPLY = "ann@example.com", f"r-1@{SUN_SHADE.inbound_domain}"


def fields(received: Received) -> dict[str, str]:
    """The form's fields, read by the standard library."""
    head = f"Content-Type: {received.headers['content-type']}\r\n\r\n".encode()
    parts = email.message_from_bytes(head + received.body, policy=HTTP).get_payload()
    assert isinstance(parts, list)
    return {_name(part): _text(part) for part in parts if isinstance(part, Part)}


def _name(part: Part) -> str:
    return str(part.get_param("name", header="content-disposition"))


def _text(part: Part) -> str:
    payload = part.get_payload(decode=True)
    assert isinstance(payload, bytes)
    return payload.decode()


async def test_an_answer_is_posted_as_inbound_parse_does_and_read_by_the_product(
    sendgrid: SendGrid, receiver: Receiver, client: httpx.AsyncClient
) -> None:
    await client.post("/quotes", json=quote())
    await sendgrid.call("POST", PARSE, {"hostname": SUN_SHADE.inbound_domain, "url": f"{receiver.url}/in?k=1"})
    mail_id = (await sendgrid.send(reply_to={"email": REPLY})).headers["X-Message-Id"]

    answer = await client.post(f"/phones/{ANN}/mails", json={"text": "Tomorrow at ten? Zoë"})

    (received,) = await receiver.until(1)
    read = inbound.parse(fields(received))
    assert (answer.status_code, received.path) == (202, "/in?k=1")
    assert (read.sender, read.sender_name, read.to) == (ANN, "Ann Lee", (REPLY,))
    assert (read.subject, read.text, read.html) == ("Re: Your quote", "Tomorrow at ten? Zoë", None)
    assert read.headers["in-reply-to"] == f"<{mail_id}@sandbox.example.com>"
    assert not read.automatic
    (kept,) = (await client.get("/messages", params={"direction": "inbound"})).json()["messages"]
    assert (kept["from"], kept["to"], kept["inReplyTo"]) == (ANN, REPLY, mail_id)


async def test_an_out_of_office_note_is_marked(
    sendgrid: SendGrid, receiver: Receiver, client: httpx.AsyncClient
) -> None:
    await sendgrid.call("POST", PARSE, {"hostname": SUN_SHADE.inbound_domain, "url": f"{receiver.url}/in"})

    body = {"to": REPLY, "subject": "Away", "text": "Back on Monday", "html": "<p>Back</p>", "automatic": True}
    await client.post(f"/phones/{ANN}/mails", json=body)

    read = inbound.parse(fields((await receiver.until(1))[0]))
    assert read.automatic
    assert (read.subject, read.html) == ("Away", "<p>Back</p>")


async def test_mail_for_a_host_that_is_not_set_up_stays_in_the_shops_mailbox(
    sendgrid: SendGrid, client: httpx.AsyncClient
) -> None:
    await sendgrid.send()

    answer = await client.post(f"/phones/{ANN}/mails", json={"text": "Hello"})

    log = (await client.get("/log")).json()["entries"]
    assert (answer.status_code, answer.json()["to"]) == (202, SUN_SHADE.from_email)
    assert [entry for entry in log if entry.get("channel") == "sendgrid_inbound"] == []


@pytest.mark.parametrize(
    "body",
    [{}, {"text": "Hi"}, {"to": REPLY}, {"to": "nobody", "text": "Hi"}, {"to": "a@elsewhere.example.com", "text": "Hi"},
     {"to": REPLY, "text": " "}, {"to": REPLY, "text": 7}],
)  # fmt: skip
async def test_a_mail_that_cannot_be_written_is_refused(client: httpx.AsyncClient, body: dict[str, object]) -> None:
    answer = await client.post(f"/phones/{ANN}/mails", json=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["message"]


async def test_the_hosts_are_listed_and_removed(sendgrid: SendGrid) -> None:
    setting = {"hostname": "Reply.Example.com", "url": "http://127.0.0.1/in"}
    made = await sendgrid.call("POST", PARSE, setting)
    listed = (await sendgrid.call("GET", PARSE)).json()["result"]
    removed = [(await sendgrid.call("DELETE", f"{PARSE}/reply.example.com")).status_code for _ in range(2)]
    wrong = await sendgrid.call("POST", PARSE, {"hostname": "x.example.com", "url": "nowhere"})

    assert (made.status_code, [one["hostname"] for one in listed]) == (201, ["reply.example.com"])
    assert (removed, wrong.status_code) == ([204, 404], 400)
