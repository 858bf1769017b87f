"""The page of the customers' phones: who there is, one person's texts, WhatsApp and mail, and a box to answer."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from html import escape
from string import Template
from urllib.parse import quote, urlencode

from lead_orchestrator.sandbox.context import Sandbox
from lead_orchestrator.sandbox.messages import unsubscribe_address
from lead_orchestrator.sandbox.people import Person, people
from lead_orchestrator.sandbox.world import Attachment, Message

__all__ = ["PhonePage"]

MAX_PEOPLE = 60
MAX_THREAD = 100
PREVIEW = 60
CHANNELS = {"SMS": "Texts", "WHATSAPP": "WhatsApp", "EMAIL": "Mail"}
MARKS = {"queued": "waiting", "accepted": "waiting", "sent": "✓", "delivered": "✓✓", "read": "✓✓ read"}


class PhonePage:
    """Renders the page's parts; everything that came from outside is escaped."""

    def __init__(self, sandbox: Sandbox, templates: Mapping[str, Template]) -> None:
        self._world = sandbox.world
        self._templates = templates

    def render(self, contact: str | None, channel: str | None, error: str | None) -> str:
        """The list of people, and the phone of who has the number or address `contact` (else of the newest)."""
        everybody = people(self._world)
        person = next((one for one in everybody if contact in one.keys), everybody[0] if everybody else None)
        if person is None:
            return '<p class="muted" id="nobody">Nobody yet: <a href="/quote">ask for a quote</a> first.</p>'
        shown = [one for one in everybody[:MAX_PEOPLE] if one is not person]
        listed = "".join(self._entry(one, current=False) for one in shown)
        notice = f'<div class="note error" role="alert">{escape(error)}</div>' if error else ""
        chosen = (channel or "").upper()
        phone = self._phone(person, chosen if chosen in _channels(person) else _newest_channel(person))
        values = {"people": self._entry(person, current=True) + listed, "phone": phone, "notice": notice}
        return self._templates["people"].substitute(values)

    def _entry(self, person: Person, *, current: bool) -> str:
        last = person.messages[-1] if person.messages else None
        preview = (last.subject or last.body)[:PREVIEW] if last else "No message yet"
        when = f"<time>{_moment(last):%H:%M}</time>" if last else ""
        return (
            f'<li><a href="/phone?{urlencode({"contact": person.keys[0]})}"{" aria-current=true" if current else ""}>'
            f"<b>{escape(person.name)}</b>{when}<span>{escape(preview)}</span></a></li>"
        )

    def _phone(self, person: Person, channel: str) -> str:
        messages = person.of_channel(channel)
        key = person.address if channel == "EMAIL" else person.number
        states = "".join(f"{message.id}{message.step().status}" for message in messages[-MAX_THREAD:])
        tabs = "".join(
            f'<a href="/phone?{urlencode({"contact": person.keys[0], "channel": name})}"'
            f"{' aria-current=page' if name == channel else ''}>{CHANNELS[name]} "
            f'<span class="count">{len(person.of_channel(name))}</span></a>'
            for name in _channels(person)
        )
        thread = "".join(_thread_item(message, key or "") for message in messages[-MAX_THREAD:])
        values = {
            "name": escape(person.name),
            "contact": escape(person.keys[0]),
            "facts": escape(" · ".join(self._facts(person))),
            "tabs": tabs,
            "channel": channel.lower(),
            "version": f"{channel}{len(messages)}-{hash(states)}",
            "thread": thread or '<li class="muted">Nothing here yet.</li>',
            "reply": self._reply(channel, key or "", messages),
        }
        return self._templates["card"].substitute(values)

    def _facts(self, person: Person) -> list[str]:
        facts = list(person.keys)
        facts += [f"WhatsApp name {self._world.usernames[key]}" for key in person.keys if key in self._world.usernames]
        if any(customer in person.keys for _, customer in self._world.opted_out):
            facts.append("opted out of texts")
        return facts

    def _reply(self, channel: str, key: str, messages: list[Message]) -> str:
        """The box to answer in: to whoever wrote last, unless another of our numbers is chosen."""
        values = {"path": quote(key, safe=""), "contact": escape(key), "channel": channel}
        last = next((message for message in reversed(messages) if message.direction == "outbound"), None)
        if channel == "EMAIL":
            to = (last.reply_to or last.sender) if last else ""
            subject = f"Re: {last.subject}" if last and last.subject else ""
            mail = {"to": escape(to), "subject": escape(subject)}
            return self._templates["reply_mail"].substitute(values | mail)
        world = self._world
        rented = [number for account in world.twilio_accounts.values() for number in account.numbers]
        own = rented if channel == "SMS" else [number.number for number in world.whatsapp_numbers.values()]
        sender = last.sender if last else None
        options = (f"<option{' selected' if number == sender else ''}>{escape(number)}</option>" for number in own)
        return self._templates["reply"].substitute(values | {"numbers": "".join(options)})


def _channels(person: Person) -> list[str]:
    texting = ["SMS", "WHATSAPP"] if person.number else []
    return texting + (["EMAIL"] if person.address else [])


def _newest_channel(person: Person) -> str:
    return person.messages[-1].channel if person.messages else _channels(person)[0]


def _moment(message: Message) -> datetime:
    return message.app_time or datetime.fromtimestamp(message.accepted_at / 1000, UTC)


def _thread_item(message: Message, contact: str) -> str:
    step, at = message.step(), _moment(message)
    state = MARKS.get(step.status, step.status) if message.direction == "outbound" else ""
    if step.error_code:
        state += f" (error {step.error_code})"
    if message.automatic:
        state = "Twilio's own answer"
    who = escape(message.sender if message.direction == "outbound" else message.to)
    when = f'<time datetime="{at.isoformat()}">{at:%a %d %b, %H:%M} · {who} {escape(state)}</time>'
    if message.channel == "EMAIL":
        return _mail(message, contact, when)
    return f'<li class="{message.direction}"><div class="bubble">{escape(message.body)}</div>{when}</li>'


def _mail(message: Message, contact: str, when: str) -> str:
    body = f"<pre>{escape(message.body)}</pre>"
    if message.html:
        title = escape(message.subject or "Mail")
        body = f'<iframe sandbox="" title="{title}" srcdoc="{escape(message.html)}"></iframe>'
    body += "".join(_attached(one) for one in message.attachments)
    path = f"/mails/{quote(message.id, safe='')}"
    if unsubscribe_address(message):
        body += _button(f"{path}/unsubscribe", "Unsubscribe", contact)
    if message.direction == "outbound":
        body += _button(f"{path}/events", "Click its link", contact, event="click")
        body += _button(f"{path}/events", "Report as spam", contact, event="spamreport")
    sender = escape(f"{message.sender_name} <{message.sender}>" if message.sender_name else message.sender)
    subject = escape(message.subject or "(no subject)")
    return (
        f'<li class="mail {message.direction}"><details><summary>{subject}</summary><p class="muted">From {sender}</p>'
        f"{body}</details>{when}</li>"
    )


def _attached(attachment: Attachment) -> str:
    shown = escape(attachment.content.decode(errors="replace")) if attachment.media_type.startswith("text/") else ""
    return f"<details><summary>Attached: {escape(attachment.name)}</summary><pre>{shown}</pre></details>"


def _button(action: str, label: str, contact: str, **fields: str) -> str:
    hidden = "".join(
        f'<input type="hidden" name="{name}" value="{escape(value)}">'
        for name, value in {"contact": contact, "channel": "EMAIL", **fields}.items()
    )
    return f'<form class="act" method="post" action="{action}">{hidden}<button class="plain">{label}</button></form>'
