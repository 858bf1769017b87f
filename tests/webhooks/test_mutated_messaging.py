"""Messages and statuses that no honest provider posts: no server error, nothing forged, one final state."""

from __future__ import annotations

import hashlib
import hmac
import json
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio

from lead_orchestrator.leads.models import Lead
from lead_orchestrator.sandbox.seed import CLEAR_VIEW, SUN_SHADE
from lead_orchestrator.sandbox.signatures import sign_twilio_request
from tests.database import Cluster, TestDatabase
from tests.messaging.inbound.line import APP_SECRET, NUMBER, ROUTE_KEY, WHATSAPP_NUMBER, Line, open_line, text_form
from tests.messaging.inbound.test_whatsapp import batch, news, said, value
from tests.messaging.leads import lead_row

POSTS = 250
SMS, WHATSAPP = "/webhooks/twilio/sms", "/webhooks/whatsapp"
EVENTS, MAIL = f"/webhooks/sendgrid/events/{ROUTE_KEY}", f"/webhooks/sendgrid/inbound/{ROUTE_KEY}"
ODD = ["\x00", "a\x00b", "\ud83d", "🚗" * 3000, "x" * 20_000, "%00", "' OR 1=1 --", "\u202e", "", " ", "\r\n\r\n"]


@pytest_asyncio.fixture
async def line(fresh_database: TestDatabase, cluster: Cluster) -> AsyncIterator[Line]:
    async with open_line(fresh_database, cluster.redis_url) as line:
        yield line


def _url(line: Line, path: str) -> str:
    return line.url + path


async def _raw(line: Line, path: str, body: bytes, headers: dict[str, str]) -> int:
    encoded = [(name.encode(), text.encode("latin-1")) for name, text in headers.items()]
    return (await line.http.post(path, content=body, headers=encoded)).status_code


async def _twilio(line: Line, chance: random.Random, lead: Lead) -> tuple[str, int, set[int]]:
    """One post that is not a genuine text; its kind, the answer and the answers that are right."""
    kind = chance.choice(
        ["bad signature", "their token", "host", "truncated", "huge", "many", "odd", "not a form", "unknown"]
    )
    fields = text_form(lead.phone or "", "Hello", sid=f"SM{uuid4().hex}")
    token, url, right = SUN_SHADE.twilio_auth_token, _url(line, SMS), {401}
    body = urlencode(fields).encode()
    if kind == "their token":
        token = CLEAR_VIEW.twilio_auth_token
    elif kind == "host":
        url = f"https://evil.example.com{SMS}"
    elif kind == "unknown":
        fields["To"], right = "+13105550177", {200}
        body = urlencode(fields).encode()
    signature = sign_twilio_request(token, url, fields.items())
    if kind == "bad signature":
        signature = signature[:-4] + chance.choice(["AAA=", "====", "é", ""])
    elif kind == "truncated":
        body, right = body[: chance.randrange(len(body))], {400, 401, 200}
    elif kind == "huge":
        body, right = body + b"&x=" + b"y" * 70_000, {413}
    elif kind == "many":
        body, right = body + b"&a=1" * 500, {400}
    elif kind == "odd":
        fields[chance.choice(list(fields))] = chance.choice(ODD)
        body, right = urlencode(fields, errors="replace").encode(), {400, 401, 200}
    elif kind == "not a form":
        body, right = chance.choice([b"\xff\xfe\x00", b"{}", b"", b"&&&&===="]), {400}
    headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        "X-Twilio-Signature": signature,
    }
    return (
        kind,
        await _raw(line, SMS, body, {**headers, "Host": "evil.example.com"} if kind == "host" else headers),
        right,
    )


async def _meta(line: Line, chance: random.Random, lead: Lead) -> tuple[str, int, set[int]]:
    row = said(lead.phone, "Hello")
    genuine = json.dumps(batch(value(messages=[row]))).encode()
    kind = chance.choice(["bad signature", "no signature", "odd", "shape", "unknown", *_UNREADABLE_META])
    if kind == "bad signature":
        return kind, await _signed_meta(line, genuine, "guessed"), {401}
    if kind == "no signature":
        return kind, await _raw(line, WHATSAPP, genuine, {}), {401}
    if kind in _UNREADABLE_META:
        body, answer = _UNREADABLE_META[kind]
        return kind, await _signed_meta(line, body or genuine[:-9]), {answer}
    if kind == "shape":
        shapes: list[Any] = [None, [], "text", 7, {"entry": None}, {"object": "page"}, batch(value(messages={"a": 1}))]
        return kind, (await line.meta(chance.choice(shapes))).status_code, {200, 400}
    if kind == "odd":
        row[chance.choice(list(row))] = chance.choice([*ODD, None, [], {}, 7, 2**70, {"body": "\x00\ud83d"}])
    number = WHATSAPP_NUMBER if kind == "odd" else "424242"
    return kind, (await line.meta(batch(value(number, messages=[row])))).status_code, {200}


_UNREADABLE_META = {
    "truncated": (b"", 400),
    "huge": (b" " * (3 * 1024 * 1024 + 1), 413),
    "nested": (b'{"entry":' * 20_000 + b"1" + b"}" * 20_000, 400),
}


async def _signed_meta(line: Line, body: bytes, secret: str = APP_SECRET) -> int:
    signature = hmac.digest(secret.encode(), body, hashlib.sha256).hex()
    return await _raw(line, WHATSAPP, body, {"X-Hub-Signature-256": f"sha256={signature}"})


async def _events(line: Line, chance: random.Random, lead: Lead) -> tuple[str, int, set[int]]:
    kind = chance.choice(["bad signature", "stale", "future", "huge", "odd", "key"])
    event: dict[str, Any] = {"event": "bounce", "timestamp": int(time.time()), "sg_event_id": uuid4().hex}
    event |= {"message": f"{uuid4()}/1", "email": lead.email}
    if kind == "bad signature":
        prefix = "X-Twilio-Email-Event-Webhook"
        signature = chance.choice(["", "AAAA", "MEUCIQ==", "not base64!", "é"])
        headers = {f"{prefix}-Signature": signature, f"{prefix}-Timestamp": str(int(time.time()))}
        return kind, await _raw(line, EVENTS, json.dumps([event]).encode(), headers), {401}
    if kind == "huge":
        return kind, await _raw(line, EVENTS, b" " * (4 * 1024 * 1024 + 1), {}), {413}
    if kind == "key":
        return kind, (await line.mail_events(event, key=chance.choice(["a", "x" * 300, "%00"]))).status_code, {404}
    if kind == "odd":
        event[chance.choice(list(event))] = chance.choice([*ODD, None, [], {}, 7, 2**70, -1, 1e300])
    age = {"stale": 26 * 3600, "future": -3600}.get(kind, 0)
    return kind, (await line.mail_events(event, age=age)).status_code, {401 if age else 200}


async def _mails(line: Line, chance: random.Random, lead: Lead) -> tuple[str, int, set[int]]:
    kind = chance.choice(["no multipart", "odd mail", "cut mail", "nobody"])
    if kind == "no multipart":
        types = ["text/plain", "multipart/form-data", "multipart/form-data; boundary=", "application/json"]
        return kind, await _raw(line, MAIL, b"--x\r\n\r\n", {"Content-Type": chance.choice(types)}), {400}
    sender = "no address" if kind == "nobody" else chance.choice(ODD[2:])
    fields = {
        "from": sender,
        "text": "STOP",
        "headers": "\x00: ???",
        "charsets": '{"text": "klingon"}',
        "x": lead.email or "",
    }
    parts = {name: (None, text.encode("utf-8", "replace")) for name, text in fields.items()}
    request = httpx.Request("POST", line.url + MAIL, files=parts)
    body = request.read()
    body = body[: chance.randrange(len(body))] if kind == "cut mail" else body
    return kind, await _raw(line, MAIL, body, {"Content-Type": request.headers["content-type"]}), {200, 400, 413}


SOURCES: dict[str, Callable[..., Any]] = {
    "twilio": _twilio,
    "whatsapp": _meta,
    "sendgrid events": _events,
    "sendgrid mails": _mails,
}


@pytest.mark.parametrize("source", list(SOURCES))
async def test_hostile_posts_are_refused_in_words_and_leave_the_lead_alone(line: Line, source: str) -> None:
    chance = random.Random(2026)  # noqa: S311 - the same posts in every run
    lead = await line.lead()
    before = await lead_row(line.stack, lead.id)

    results = [await SOURCES[source](line, chance, lead) for _ in range(POSTS)]
    refused = await line.events()
    await line.process()

    wrong = Counter((kind, status) for kind, status, right in results if status not in right)
    assert not wrong
    assert {event["operation"] for event in refused} <= {"status", "message"}
    if source != "whatsapp":  # Meta's app secret signs every odd message here, so some are genuine ones
        assert await lead_row(line.stack, lead.id) == before
    assert await line.stack.rows("SELECT id FROM webhook_events WHERE status IN ('RECEIVED', 'FAILED')") == []


async def test_genuine_messages_shuffled_and_repeated_ten_times_end_the_same(line: Line) -> None:
    ends = []
    for seed in range(4):
        chance = random.Random(seed)  # noqa: S311 - the same order in every run
        lead = await line.lead()
        texts = [text_form(lead.phone or "", body, sid=f"SM{uuid4().hex}") for body in ("Hello", "How much?", "STOP")]
        chats = [
            batch(value(messages=[said(lead.phone, "On WhatsApp too")], statuses=[news(f"wamid.{uuid4()}", "read")]))
        ]
        posts: list[tuple[str, Any]] = [("text", form) for form in texts] * 10 + [("chat", one) for one in chats] * 10
        chance.shuffle(posts)
        for kind, payload in posts:
            answer = await (line.form(SMS, payload) if kind == "text" else line.meta(payload))
            assert answer.status_code == 200
            if chance.random() < 0.2:
                await line.process()
        await line.process()
        row = await lead_row(line.stack, lead.id)
        counted = await line.stack.rows(
            "SELECT s.channel, s.version, s.unread FROM chat_sessions s WHERE s.lead_id = :id ORDER BY 1", id=lead.id
        )
        ends.append(
            (row["status"], row["opted_out"], [tuple(chat.values()) for chat in counted], line.stack.texts(lead.phone))
        )

    assert ends == [ends[0]] * 4
    assert ends[0] == (
        "OPTED_OUT",
        ["EMAIL", "SMS", "WHATSAPP"],
        [("SMS", 3, 3), ("WHATSAPP", 1, 1)],
        [],
    )


async def test_another_franchises_account_cannot_write_into_ours(line: Line) -> None:
    """The rival signs with its own token, for our number and for our message's address."""
    lead = await line.lead()
    fields = text_form(lead.phone or "", "STOP", sid=f"SM{uuid4().hex}", to=NUMBER)
    path = f"/webhooks/twilio/status?tenant={line.tenant_id}&message={uuid4()}/1"

    text = await line.form(SMS, fields, token=CLEAR_VIEW.twilio_auth_token)
    status = await line.form(path, {**fields, "MessageStatus": "failed"}, token=CLEAR_VIEW.twilio_auth_token)
    nobody = await line.form(path.replace(str(line.tenant_id), str(uuid4())), {**fields, "MessageStatus": "failed"})
    moved = await line.form(path, {**fields, "MessageStatus": "failed"}, signed_url=line.url + path.replace("/1", "/2"))

    assert [answer.status_code for answer in (text, status, nobody, moved)] == [401] * 4
    assert await line.events() == []
