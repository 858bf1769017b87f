"""Everything one process works with, made once from the settings and passed down."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from urllib.parse import urlsplit

import httpx
from redis.asyncio import Redis

from lead_orchestrator.administration.connections import Connections
from lead_orchestrator.administration.credentials import Credentials
from lead_orchestrator.administration.means import Means
from lead_orchestrator.administration.onboarding import Saga
from lead_orchestrator.administration.tenants import Tenants
from lead_orchestrator.booking.appointments.service import Appointments
from lead_orchestrator.booking.calendar.connections import GoogleConnections
from lead_orchestrator.booking.calendar.crm import CrmCalendar
from lead_orchestrator.booking.calendar.freshness import Freshness
from lead_orchestrator.booking.calendar.sync import GoogleSync
from lead_orchestrator.booking.outbox.dispatch import OutboxDispatcher, OutboxPolicy
from lead_orchestrator.booking.service import Booking
from lead_orchestrator.catalog.sync import CatalogSync
from lead_orchestrator.chat.assistant.context import Contexts
from lead_orchestrator.chat.assistant.service import Assistant
from lead_orchestrator.chat.assistant.setup import Defaults, Setups
from lead_orchestrator.chat.conversations import Chats, Conversations
from lead_orchestrator.chat.handoff import HandOff
from lead_orchestrator.chat.tools.toolbox import Tools
from lead_orchestrator.db import Engines
from lead_orchestrator.errors import BadInputError, ConfigurationError, UnavailableError
from lead_orchestrator.integrations.connections import open_client
from lead_orchestrator.integrations.google_calendar.client import GoogleCalendarClient
from lead_orchestrator.integrations.google_calendar.models import GoogleApp
from lead_orchestrator.integrations.google_calendar.oauth import GoogleOAuth
from lead_orchestrator.integrations.openai.client import OpenAIClient
from lead_orchestrator.integrations.openai.keys import OpenAIKeys
from lead_orchestrator.integrations.providers import ProviderError, ProviderRefused
from lead_orchestrator.integrations.sendgrid.account import SendGridAccounts
from lead_orchestrator.integrations.sendgrid.client import SendGridClient
from lead_orchestrator.integrations.shopmonkey.appointments import ShopMonkeyAppointments
from lead_orchestrator.integrations.shopmonkey.client import ShopMonkeyClient
from lead_orchestrator.integrations.twilio.account import TwilioAccounts
from lead_orchestrator.integrations.twilio.client import TwilioClient
from lead_orchestrator.integrations.whatsapp.account import WhatsAppNumbers
from lead_orchestrator.integrations.whatsapp.client import WhatsAppClient
from lead_orchestrator.leads.ingestion.polling import Polling
from lead_orchestrator.leads.ingestion.service import Ingestion
from lead_orchestrator.leads.service import Leads
from lead_orchestrator.messaging.account_mail import PlatformMailer
from lead_orchestrator.messaging.delivery import Delivery
from lead_orchestrator.messaging.dispatch import Dispatcher
from lead_orchestrator.messaging.inbound.listening import Listening
from lead_orchestrator.messaging.inbound.service import Inbound
from lead_orchestrator.messaging.inbound.statuses import Statuses
from lead_orchestrator.messaging.ledger import DispatchPolicy, Ledger
from lead_orchestrator.messaging.recorder import Recorder
from lead_orchestrator.messaging.service import Messages
from lead_orchestrator.messaging.submissions import Submissions
from lead_orchestrator.messaging.unknown import Resolver
from lead_orchestrator.settings import SANDBOX_HOSTS, Settings
from lead_orchestrator.tenancy.accounts import people
from lead_orchestrator.tenancy.accounts.links import AccountLinks
from lead_orchestrator.tenancy.accounts.mails import AccountMails
from lead_orchestrator.tenancy.accounts.passwords import HashCost, Passwords
from lead_orchestrator.tenancy.accounts.service import Accounts
from lead_orchestrator.tenancy.accounts.tokens import RefreshTokens
from lead_orchestrator.tenancy.links import LinkSigner
from lead_orchestrator.tenancy.lookups import Lookups
from lead_orchestrator.tenancy.onboarding import Onboarding
from lead_orchestrator.tenancy.outside.keys import IssuerKeys
from lead_orchestrator.tenancy.outside.verifier import OutsideTokens
from lead_orchestrator.tenancy.public.places import Places
from lead_orchestrator.tenancy.reader import Reader
from lead_orchestrator.tenancy.revocation import RevocationList
from lead_orchestrator.tenancy.secrets import SecretBox
from lead_orchestrator.tenancy.sessions import Tenancy
from lead_orchestrator.tenancy.tokens import TokenIssuer

__all__ = ["AUDIENCE", "Calendars", "People", "Services", "open_services", "token_issuer"]

_LOOPBACK = ("127.0.0.1", "localhost", "::1")
AUDIENCE = "lead-orchestrator"
_CONNECTIONS = 400  # 20 jobs with a batch each, and more


@dataclass(frozen=True)
class Calendars:
    """What keeps the calendars outside in step with the appointments."""

    connections: GoogleConnections
    google: GoogleSync
    crm: CrmCalendar
    freshness: Freshness
    outbox: OutboxDispatcher


@dataclass(frozen=True)
class People:
    """The accounts of those who sign in."""

    accounts: Accounts
    links: AccountLinks
    staff: people.People
    mails: AccountMails


@dataclass(frozen=True)
class Services:
    """The features, wired."""

    settings: Settings
    tenancy: Tenancy
    lookups: Lookups
    places: Places
    secrets: SecretBox
    links: LinkSigner
    leads: Leads
    ingestion: Ingestion
    polling: Polling
    recorder: Recorder
    dispatcher: Dispatcher
    resolver: Resolver
    messages: Messages
    submissions: Submissions
    booking: Booking
    appointments: Appointments
    inbound: Inbound
    chats: Chats
    hand_off: HandOff
    assistant: Assistant
    onboarding: Onboarding
    tenants: Tenants
    saga: Saga
    connections: Connections
    catalog: CatalogSync
    calendars: Calendars
    people: People
    reader: Reader
    outside: Callable[[RevocationList], OutsideTokens]


@asynccontextmanager
async def open_services(settings: Settings) -> AsyncIterator[Services]:
    """The services of one process; their pools and connections end with the block.

    Raises:
        ConfigurationError: a setting is missing.
    """
    engines = Engines.open(
        required(settings, "database_url"),
        required(settings, "database_visitor_url"),
        required(settings, "database_platform_url"),
        size=settings.database_pool_size,
    )
    reader = Reader(required(settings, "database_url"), size=settings.database_direct_connections)
    model = OpenAIClient()
    redis = Redis.from_url(settings.redis_url) if settings.redis_url else None
    async with open_client(_CONNECTIONS) as http:
        try:
            services = _wire(settings, engines, reader, http, model, redis)
            yield services
            await services.recorder.close()
        finally:
            await model.close()
            if redis is not None:
                await redis.aclose()
            await reader.close()
            await engines.dispose()


def _wire(
    settings: Settings,
    engines: Engines,
    reader: Reader,
    http: httpx.AsyncClient,
    model: OpenAIClient,
    redis: Redis | None,
) -> Services:
    tenancy, lookups = Tenancy(engines), Lookups(engines.app)
    keys = secret_keys(settings)
    secrets, links = SecretBox(keys), LinkSigner(keys, settings.public_url)
    shopmonkey = ShopMonkeyClient(http, settings.shopmonkey_base_url)
    delivery = Delivery(
        TwilioClient(http, settings.twilio_base_url),
        SendGridClient(http, settings.sendgrid_base_url),
        WhatsAppClient(http, settings.whatsapp_base_url),
        _callbacks(settings),
    )
    leads = Leads(secrets)
    policy = DispatchPolicy(
        lease=settings.send_lease_seconds,
        settle=settings.unknown_settle_seconds,
        events=settings.unknown_events_seconds,
    )
    ledger = Ledger(leads, policy)
    recorder = Recorder(tenancy, ledger, policy)
    chats = Chats(leads, secrets)
    hand_off = HandOff(chats)
    booking, appointments = Booking(links), Appointments(leads, links)
    calendars = _calendars(settings, tenancy, secrets, links, leads, shopmonkey, http)
    tools = Tools(tenancy, booking, appointments, calendars.freshness)
    setups, contexts = Setups(_assistant_defaults(settings), secrets), Contexts(redis, links)
    tenancy.on_ended = contexts.forget
    lease = settings.answer_lease_seconds

    messages = Messages(ledger, secrets, links, Conversations())

    async def owns_location(api_key: str, location_id: str) -> bool:
        try:
            return await shopmonkey.get_location(api_key, location_id) is not None
        except ProviderRefused as error:
            raise BadInputError(error.message, code="CREDENTIALS_REFUSED", field=("crm", "apiKey")) from None
        except ProviderError as error:
            raise UnavailableError(f"ShopMonkey could not be asked about location {location_id!r}: {error}") from None

    accounts = _people(settings, tenancy, lookups, secrets, links, http)
    onboarding, catalog = Onboarding(tenancy, secrets, owns_location), CatalogSync(tenancy, shopmonkey, secrets)
    credentials = Credentials(
        TwilioAccounts(http, settings.twilio_base_url),
        SendGridAccounts(http, settings.sendgrid_base_url),
        WhatsAppNumbers(http, settings.whatsapp_base_url),
        OpenAIKeys(http, settings.openai_base_url),
    )
    means = Means(tenancy, secrets, onboarding, credentials, catalog)
    return Services(
        settings=settings,
        tenancy=tenancy,
        lookups=lookups,
        places=Places(tenancy, lookups, settings.public_url),
        secrets=secrets,
        links=links,
        leads=leads,
        ingestion=Ingestion(tenancy, shopmonkey, secrets, leads),
        polling=Polling(tenancy, shopmonkey, secrets, interval_seconds=settings.poll_interval_seconds),
        recorder=recorder,
        dispatcher=Dispatcher(tenancy, ledger, recorder, delivery, secrets, links, policy),
        resolver=Resolver(tenancy, ledger, delivery, secrets, policy),
        messages=messages,
        submissions=Submissions(leads, messages, links),
        booking=booking,
        appointments=appointments,
        inbound=Inbound(tenancy, Listening(leads, secrets, Conversations(), links), Statuses(leads, ledger)),
        chats=chats,
        hand_off=hand_off,
        assistant=Assistant(tenancy, chats, hand_off, leads, tools, model, setups, contexts, lease=lease),
        onboarding=onboarding,
        tenants=Tenants(tenancy),
        saga=Saga(means, accounts.staff),
        connections=Connections(means),
        catalog=catalog,
        calendars=calendars,
        people=accounts,
        reader=reader,
        outside=partial(
            OutsideTokens,
            tenancy,
            lookups,
            IssuerKeys(insecure=not settings.production),
            ours=settings.public_url,
        ),
    )


def _people(
    settings: Settings,
    tenancy: Tenancy,
    lookups: Lookups,
    secrets: SecretBox,
    signer: LinkSigner,
    http: httpx.AsyncClient,
) -> People:
    passwords = Passwords(HashCost(settings.password_hash_passes, settings.password_hash_memory_kib))
    links = AccountLinks(tenancy, lookups, signer, passwords, settings.public_url)
    key, sender = settings.platform_sendgrid_api_key, settings.platform_from_email
    mailer = (
        PlatformMailer(SendGridClient(http, settings.sendgrid_base_url), key.get_secret_value(), sender)
        if key and sender
        else None
    )
    return People(
        accounts=Accounts(tenancy, lookups, secrets, token_issuer(settings), RefreshTokens(signer), passwords),
        links=links,
        staff=people.People(links, mails=mailer is not None),
        mails=AccountMails(tenancy, links, mailer.send if mailer else None),
    )


def _calendars(
    settings: Settings,
    tenancy: Tenancy,
    secrets: SecretBox,
    links: LinkSigner,
    leads: Leads,
    shopmonkey: ShopMonkeyClient,
    http: httpx.AsyncClient,
) -> Calendars:
    app = google_app(settings)
    oauth = GoogleOAuth(http, app, settings.google_base_url) if app else None
    client = GoogleCalendarClient(http, settings.google_base_url)
    connections = GoogleConnections(tenancy, secrets, links, oauth, settings.public_url)
    google = GoogleSync(connections, client, settings.calendar_poll_seconds, push=_pushes(settings))
    appointments = ShopMonkeyAppointments(shopmonkey)
    policy = OutboxPolicy(lease=2 * settings.send_lease_seconds)  # its calls end within half of it
    return Calendars(
        connections=connections,
        google=google,
        crm=CrmCalendar(tenancy, shopmonkey, appointments, secrets, leads, settings.calendar_poll_seconds),
        freshness=Freshness(google, settings.calendar_fresh_seconds),
        outbox=OutboxDispatcher(tenancy, appointments, client, connections, secrets, policy),
    )


def _assistant_defaults(settings: Settings) -> Defaults:
    return Defaults(settings.openai_api_key, settings.openai_model, settings.openai_base_url)


def google_app(settings: Settings) -> GoogleApp | None:
    """Our client at Google, if both of its settings are there."""
    if not settings.google_client_id or settings.google_client_secret is None:
        return None
    secret = settings.google_client_secret.get_secret_value()
    return GoogleApp(settings.google_client_id, settings.google_client_secret) if secret else None


def _pushes(settings: Settings) -> bool:
    """Google posts to https addresses only, the sandbox to any."""
    return (
        settings.public_url.startswith("https://") or f"{urlsplit(settings.google_base_url).hostname}" in SANDBOX_HOSTS
    )


def _callbacks(settings: Settings) -> str | None:
    """The address under which Twilio reaches us; it refuses a text that names this machine's own, so then none."""
    ours, theirs = urlsplit(settings.public_url).hostname, urlsplit(settings.twilio_base_url).hostname
    unreachable = f"{ours}" in _LOOPBACK and f"{theirs}" not in SANDBOX_HOSTS
    return None if unreachable else settings.public_url


def required(settings: Settings, name: str) -> str:
    """The setting's value.

    Raises:
        ConfigurationError: it is not set.
    """
    value: str | None = getattr(settings, name)
    if not value:
        raise ConfigurationError(f"{name.upper()} is not set")
    return value


def secret_keys(settings: Settings) -> list[str]:
    """The keys of SECRETS_KEY, newest first."""
    if settings.secrets_key is None:
        raise ConfigurationError("SECRETS_KEY is not set: `lead-orchestrator doctor` makes one")
    return [key.strip() for key in settings.secrets_key.get_secret_value().split(",") if key.strip()]


def token_issuer(settings: Settings) -> TokenIssuer:
    """Signs access tokens in the name of this installation."""
    if settings.jwt_private_key is None:
        raise ConfigurationError("JWT_PRIVATE_KEY is not set: `lead-orchestrator doctor` makes one")
    return TokenIssuer(settings.jwt_private_key.get_secret_value(), settings.public_url, AUDIENCE)
