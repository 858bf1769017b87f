"""The state of the outside world, in memory: companies, accounts, what was accepted, and the story so far."""

from __future__ import annotations

import hashlib
import random
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from cryptography.hazmat.primitives.asymmetric import ec

from lead_orchestrator.sandbox.faults import Faults
from lead_orchestrator.sandbox.google_world import GoogleWorld
from lead_orchestrator.sandbox.openai_world import OpenAIWorld

__all__ = [
    "Company",
    "Message",
    "Quirks",
    "Row",
    "SendGridAccount",
    "Timing",
    "TwilioAccount",
    "TwilioNumber",
    "WhatsAppApp",
    "WhatsAppNumber",
    "WhatsAppTemplate",
    "World",
    "timestamp",
    "unix_ms",
]

Row = dict[str, Any]  # a row as ShopMonkey's JSON has it

DEFAULT_REQUESTS_PER_MINUTE = 100_000


def unix_ms() -> int:
    return round(time.time() * 1000)


def timestamp(moment: datetime | None = None) -> str:
    """ISO-8601 in UTC with milliseconds and Z, as ShopMonkey writes it."""
    moment = (moment or datetime.now(UTC)).astimezone(UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


@dataclass
class Company:
    """One ShopMonkey company; its key sees these rows only. Rows are keyed by id."""

    id: str
    name: str
    api_key: str
    locations: dict[str, Row] = field(default_factory=dict)
    workflow_statuses: list[Row] = field(default_factory=list)
    canned_services: dict[str, Row] = field(default_factory=dict)
    webhooks: dict[str, Row] = field(default_factory=dict)
    customers: dict[str, Row] = field(default_factory=dict)
    vehicles: dict[str, Row] = field(default_factory=dict)
    orders: dict[str, Row] = field(default_factory=dict)
    order_services: dict[str, list[Row]] = field(default_factory=dict)
    appointments: dict[str, Row] = field(default_factory=dict)
    users: list[Row] = field(default_factory=list)
    requests_per_minute: int = DEFAULT_REQUESTS_PER_MINUTE
    recent_requests: deque[float] = field(default_factory=deque)

    def forget_customers(self) -> None:
        for rows in (self.customers, self.vehicles, self.orders, self.order_services, self.appointments):
            rows.clear()
        self.recent_requests.clear()


@dataclass
class TwilioNumber:
    """A number we rent; `sms_url` is where Twilio posts what customers text to it."""

    sid: str
    number: str
    sms_url: str | None = None


@dataclass
class TwilioAccount:
    """`messaging_service_sid`: the service that sends for it, if any."""

    sid: str
    auth_token: str
    company: str
    numbers: dict[str, TwilioNumber] = field(default_factory=dict)
    messaging_service_sid: str | None = None
    status: str = "active"


@dataclass
class SendGridAccount:
    """`domains` are the authenticated sender domains; `event_url` is where events are posted.

    `inbound` maps the host names whose mail SendGrid receives to where it posts it. `suppressed` are the addresses it
    writes to no more, each with its reason. `senders` are the single addresses that were verified, `scopes` what the key may."""

    api_key: str
    name: str
    company: str
    domains: tuple[str, ...] = ()
    event_url: str | None = None
    sign_events: bool = True
    signing_key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    inbound: dict[str, str] = field(default_factory=dict)
    suppressed: dict[str, str] = field(default_factory=dict)
    senders: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ("mail.send", "whitelabel.read", "verified_senders.read")


@dataclass(frozen=True)
class WhatsAppTemplate:
    """An approved template; `body` has the placeholders {{1}}, {{2}}, …"""

    name: str
    language: str
    body: str
    category: str = "UTILITY"


@dataclass
class WhatsAppNumber:
    """A number of ours at Meta; `id` is its phone number id, `business_id` the account it belongs to."""

    id: str
    number: str
    access_token: str
    company: str
    business_id: str
    templates: list[WhatsAppTemplate] = field(default_factory=list)
    messages_per_second: int = 1_000
    recent_requests: deque[float] = field(default_factory=deque)


@dataclass
class WhatsAppApp:
    """The Meta app that all numbers belong to; `url` is where its webhooks go, once the handshake was passed."""

    id: str = "110020030040050"
    secret: str = "demo-whatsapp-app-secret"  # noqa: S105  # a sample
    url: str | None = None


@dataclass(frozen=True)
class StatusStep:
    """From `at` (unix seconds) on the message has this status."""

    status: str
    at: float
    error_code: int | None = None


@dataclass(frozen=True)
class Attachment:
    """A file of a mail; `content` is its bytes."""

    name: str
    media_type: str
    content: bytes


@dataclass
class Message:
    """A text or a mail that was accepted, or one that a customer sent.

    `automatic`: Twilio's own answer to a keyword, which nobody handed over. `reference` is WhatsApp's opaque callback
    data, `in_reply_to` the id of the message a customer answered; `by_user_id`: it was sent to a WhatsApp user's id."""

    id: str
    channel: Literal["SMS", "EMAIL", "WHATSAPP"]
    direction: Literal["outbound", "inbound"]
    account: str
    company: str
    to: str
    sender: str
    accepted_at: int
    body: str = ""
    subject: str | None = None
    html: str | None = None
    sender_name: str | None = None
    reply_to: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    custom_args: dict[str, str] = field(default_factory=dict)
    attachments: list[Attachment] = field(default_factory=list)
    status_callback: str | None = None
    messaging_service_sid: str | None = None
    automatic: bool = False
    reference: str | None = None
    in_reply_to: str | None = None
    by_user_id: bool = False
    app_time: datetime | None = None
    steps: list[StatusStep] = field(default_factory=list)

    def step(self, now: float | None = None) -> StatusStep:
        """The step that is in force at `now` (unix seconds)."""
        moment = time.time() if now is None else now
        return next(step for step in reversed(self.steps) if step.at <= moment or step is self.steps[0])

    @property
    def customer(self) -> str:
        """The number or the address of the customer, whoever wrote."""
        return self.to if self.direction == "outbound" else self.sender


@dataclass
class Quirks:
    """How badly ShopMonkey's lists behave, and what Twilio does by itself.

    `unstable_lists` (of `unstable_tables` only): a list call leaves out each record with probability `miss_rate` and
    returns the others in a new random order; where more records match than fit a page, pages are short enough that two
    identical calls share about `page_overlap` of their records (Jaccard; 1 = full pages). `null_updated_date`: a new
    row has no updatedDate.

    `twilio_opt_out`: Twilio acts on STOP, START and HELP, and answers them. `advanced_opt_out`: it names that in what it
    posts (OptOutType).
    """

    unstable_lists: bool = True
    unstable_tables: tuple[str, ...] = ("order",)
    miss_rate: float = 0.41
    page_overlap: float = 0.1
    null_updated_date: bool = False
    twilio_opt_out: bool = True
    advanced_opt_out: bool = True


@dataclass
class Timing:
    """In seconds: when texts become sent and delivered, when mail events follow, how long events gather before they are
    posted together, the pauses between attempts."""

    text_sent: float = 0.05
    text_delivered: float = 0.1
    mail_processed: float = 0.05
    mail_delivered: float = 0.1
    batch: float = 0.01
    retry_pauses: tuple[float, ...] = (0.2, 1.0)
    request_limit: float = 15.0


@dataclass
class World:
    """Everything outside the product. `seed` makes its random choices repeatable."""

    companies: dict[str, Company] = field(default_factory=dict)
    twilio_accounts: dict[str, TwilioAccount] = field(default_factory=dict)
    sendgrid_accounts: dict[str, SendGridAccount] = field(default_factory=dict)
    whatsapp_numbers: dict[str, WhatsAppNumber] = field(default_factory=dict)
    whatsapp_app: WhatsAppApp = field(default_factory=WhatsAppApp)
    google: GoogleWorld = field(default_factory=GoogleWorld)
    openai: OpenAIWorld = field(default_factory=OpenAIWorld)
    quirks: Quirks = field(default_factory=Quirks)
    timing: Timing = field(default_factory=Timing)
    seed: int | None = None

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)  # noqa: S311  # it decides which record a list leaves out, not a secret
        self.faults = Faults(self.random)
        self.messages: list[Message] = []
        self.messages_by_id: dict[str, Message] = {}
        self.messages_by_customer: dict[str, list[Message]] = {}
        self.opted_out: set[tuple[str | None, str]] = set()
        self.undeliverable: dict[str, int] = {}
        self.usernames: dict[str, str] = {}
        self.user_ids: dict[str, str] = {}
        self.whatsapp_written: dict[tuple[str, str], datetime] = {}
        self.log: list[dict[str, Any]] = []
        self._version = 0

    def reset(self) -> None:
        """Forget customers, orders, messages, faults and the story; keep companies, accounts, catalogs and webhooks.

        Google's permissions and channels stay, its sync tokens run out."""
        for company in self.companies.values():
            company.forget_customers()
        self.messages.clear()
        self.messages_by_id.clear()
        self.messages_by_customer.clear()
        self.opted_out.clear()
        self.undeliverable.clear()
        self.usernames.clear()
        self.whatsapp_written.clear()
        for account in self.sendgrid_accounts.values():
            account.suppressed.clear()
        for number in self.whatsapp_numbers.values():
            number.recent_requests.clear()
        self.google.clear()
        self.openai.clear()
        self.faults.clear()
        self.log.clear()

    def next_version(self) -> int:
        """A number that only grows: `meta.version` of rows, and the order number."""
        self._version += 1
        return self._version

    def add_message(self, message: Message) -> None:
        """Keep it, in the customer's thread too; what nobody handed over is in the thread only."""
        if not message.automatic:
            self.messages.append(message)
        self.messages_by_id[message.id] = message
        self.messages_by_customer.setdefault(message.customer, []).append(message)
        self.tell("message_accepted", channel=message.channel, direction=message.direction, id=message.id)

    def tell(self, kind: str, **details: Any) -> None:
        """Append to the story that GET /log shows."""
        self.log.append({"at": unix_ms(), "kind": kind, **details})

    def company_by_key(self, api_key: str) -> Company | None:
        return next((company for company in self.companies.values() if company.api_key == api_key), None)

    def company_of_location(self, location_id: str) -> Company | None:
        return next((company for company in self.companies.values() if location_id in company.locations), None)

    def company_of_order(self, order_id: str) -> Company | None:
        return next((company for company in self.companies.values() if order_id in company.orders), None)

    def number(self, number: str) -> tuple[TwilioAccount, TwilioNumber] | None:
        """The account that rents this number, and the number."""
        for account in self.twilio_accounts.values():
            if number in account.numbers:
                return account, account.numbers[number]
        return None

    def whatsapp_number(self, number: str) -> WhatsAppNumber | None:
        """The number at WhatsApp with these digits."""
        return next((own for own in self.whatsapp_numbers.values() if own.number == number), None)

    def user_id(self, company: str, customer: str) -> str:
        """The customer's id at WhatsApp, which is another one for each business; it can be looked up in `user_ids`."""
        digits = int(hashlib.sha256(f"{company} {customer}".encode()).hexdigest(), 16) % 10**17
        user_id = f"US.{digits:017d}"
        self.user_ids[user_id] = customer
        return user_id

    def customer_name(self, customer: str) -> str | None:
        """The name in the CRM of whoever has this number."""
        for _, row in self.customers():
            if any(number["number"] == customer for number in row["phoneNumbers"]):
                return f"{row['firstName'] or ''} {row['lastName'] or ''}".strip() or None
        return None

    def customers(self) -> Iterator[tuple[Company, Row]]:
        for company in self.companies.values():
            for customer in company.customers.values():
                yield company, customer

    def opt_out(self, customer: str, number: str | None = None) -> None:
        """The customer refuses texts from `number`; None: from every number."""
        self.opted_out.add((number, customer))
        self.tell("opted_out", by="customer")

    def opt_in(self, customer: str, number: str | None = None) -> None:
        """The customer takes texts from `number` again; None: from every number."""
        back = {pair for pair in self.opted_out if pair[1] == customer and number in (None, pair[0])}
        self.opted_out -= back | {(None, customer)}

    def has_opted_out(self, customer: str, number: str) -> bool:
        return (None, customer) in self.opted_out or (number, customer) in self.opted_out
