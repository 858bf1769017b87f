"""Connecting a location with its Google calendar, and ending that: the consent, its return, the tokens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

from pydantic import SecretStr

from lead_orchestrator.booking.calendar import repository
from lead_orchestrator.booking.calendar.models import CalendarStatus, GoogleCredential
from lead_orchestrator.booking.outbox.models import OutboxKind
from lead_orchestrator.booking.outbox.repository import owe
from lead_orchestrator.clock import app_now, real_now
from lead_orchestrator.errors import BadInputError, NotFoundError, UnavailableError
from lead_orchestrator.ids import Kind, encode
from lead_orchestrator.integrations.google_calendar.errors import GoogleBusy, GoogleRefused, GrantLost
from lead_orchestrator.integrations.google_calendar.models import Tokens
from lead_orchestrator.integrations.google_calendar.oauth import GoogleOAuth, challenge_of
from lead_orchestrator.tenancy import repository as tenancy_repository
from lead_orchestrator.tenancy.links import LinkSigner
from lead_orchestrator.tenancy.models import Location
from lead_orchestrator.tenancy.secrets import SecretBox, new_token, token_hash
from lead_orchestrator.tenancy.sessions import Scope, Tenancy, WriteSession

__all__ = ["CALLBACK", "CONSENT_LIFE", "RECONNECT", "GoogleConnections"]

CALLBACK = "/google/callback"
CONSENT_LIFE = timedelta(minutes=15)
COOKIE, BROWSER = "lead_google_consent", "google consent browser"
EARLY = timedelta(seconds=60)  # a token is renewed before it runs out
PURPOSE = "google consent"
RECONNECT = "Google no longer accepts the permission: connect the calendar again"


@dataclass(frozen=True)
class GoogleConnections:
    """`oauth` is None where no client at Google is set: then nothing can be connected, and booking works without."""

    tenancy: Tenancy
    secrets: SecretBox
    links: LinkSigner
    oauth: GoogleOAuth | None
    public_url: str

    @property
    def redirect_uri(self) -> str:
        return self.public_url.rstrip("/") + CALLBACK

    def cookie(self, authorization_url: str) -> tuple[str, str]:
        """Name and value of what the browser keeps that asked for this consent: it counts there alone, so that nobody has somebody
        else connect a calendar by sending them an address."""
        digest = token_hash(parse_qs(urlsplit(authorization_url).query)["state"][0])
        return _cookie_name(digest), self.links.sign(BROWSER, digest)

    def began_here(self, state: str, cookies: Mapping[str, str]) -> bool:
        """Whether this browser asked for the consent."""
        digest = token_hash(state)
        return self.links.signed(BROWSER, cookies.get(_cookie_name(digest), "")) == digest

    async def connect(self, session: WriteSession, location_id: UUID) -> str:
        """Where the caller gives the consent; an address given out before for this location is worth nothing from now on.

        Raises:
            NotFoundError: the caller sees no such location.
            UnavailableError: there is no client at Google.
        """
        if self.oauth is None:
            message = "Google Calendar is not set up here: set GOOGLE_CLIENT_ID and GOOGLE_CLIENT_SECRET; booking works without"
            raise UnavailableError(message, code="NOT_CONFIGURED")
        await _location(session, location_id)
        row = await repository.locked_credential(session, location_id)
        if row is None:
            row = GoogleCredential(
                tenant_id=session.scope.tenant_id, location_id=location_id, status=CalendarStatus.PENDING
            )
            repository.add(session, row)
        expires_at = await real_now(session) + CONSENT_LIFE
        state = self.links.ticket(PURPOSE, session.scope.tenant_id, location_id, expires_at)
        verifier = new_token()
        row.consent_hash, row.consent_by = token_hash(state), session.scope.subject
        row.consent_verifier = self.secrets.seal(session.scope.tenant_id, "google_consent", verifier)
        session.audit("calendar.consent_asked", target=encode(Kind.LOCATION, location_id))
        return self.oauth.authorization_url(
            state=state, challenge=challenge_of(verifier), redirect_uri=self.redirect_uri
        )

    async def complete(self, state: str, code: str | None) -> tuple[UUID, str]:
        """The consent came back: take the tokens. Returns the tenant and the location's name.

        Raises:
            NotFoundError: the state is none of ours, was used, replaced, or has run out.
            BadInputError: the person refused, or Google does.
            UnavailableError: Google cannot be asked now.
        """
        ticket = self.links.open_ticket(PURPOSE, state)
        location_id = ticket.location_id
        scope = Scope.service(ticket.tenant_id, "google:consent")
        async with self.tenancy.write(scope) as session:
            row = await repository.locked_credential(session, location_id)
            fresh = row is not None and row.consent_hash == token_hash(ticket.token)
            if row is None or not fresh or ticket.expires_at < await real_now(session):
                raise NotFoundError("this consent has ended: connect the calendar again")
            verifier = self.secrets.open(scope.tenant_id, "google_consent", row.consent_verifier or b"")
            by = row.consent_by or scope.subject
            row.consent_hash = row.consent_verifier = row.consent_by = None
        if code is None:
            raise BadInputError("the permission was not given: the calendar stays as it was", code="CONSENT_REFUSED")
        tokens = await self._exchange(code, verifier)
        async with self.tenancy.write(Scope.service(ticket.tenant_id, by)) as session:
            return ticket.tenant_id, await self._connected(session, location_id, tokens)

    async def _exchange(self, code: str, verifier: str) -> Tokens:
        if self.oauth is None:
            raise UnavailableError("Google Calendar is not set up here")
        try:
            return await self.oauth.exchange_code(code, verifier=verifier, redirect_uri=self.redirect_uri)
        except GoogleBusy:
            raise UnavailableError("Google cannot be asked now: connect the calendar again in a minute") from None
        except GoogleRefused as error:
            raise BadInputError(f"{error.message}", code="CONSENT_REFUSED") from None

    async def _connected(self, session: WriteSession, location_id: UUID, tokens: Tokens) -> str:
        """Store the tokens, have the calendar read at once, and owe it the appointments to come."""
        location = await _location(session, location_id)
        row = await repository.locked_credential(session, location_id)
        if row is None:
            raise NotFoundError("the calendar was disconnected meanwhile: connect it again")
        if tokens.refresh_token is None and row.refresh_token is None:
            raise BadInputError("Google gave no lasting permission: connect the calendar again", code="CONSENT_REFUSED")
        await self._keep(session, row, tokens)
        row.status, row.error, row.failures = CalendarStatus.CONNECTED, None, 0
        row.generation = (row.generation or 0) + 1
        row.email = tokens.email or row.email
        row.sync_token = row.synced_at = row.channel_id = None
        row.next_sync_at = await real_now(session)
        await session.flush()
        await repository.mark_connected(session, location_id, connected=True)
        for appointment in await repository.upcoming(session, location_id, await app_now(session)):
            await owe(session, appointment, [OutboxKind.GOOGLE_EVENT])
        session.audit("calendar.connected", target=encode(Kind.LOCATION, location_id))
        return location.name

    async def disconnect(self, session: WriteSession, location_id: UUID) -> Location:
        """End the connection and forget what was mirrored; a job gives the permission back to Google.

        Raises:
            NotFoundError: the caller sees no such location.
        """
        location = await _location(session, location_id)
        row = await repository.locked_credential(session, location_id)
        if row is None:
            return location
        row.status, row.generation = CalendarStatus.ENDING, row.generation + 1
        row.consent_hash = row.consent_verifier = row.consent_by = None
        row.next_sync_at = await real_now(session)
        await session.flush()
        await repository.forget_events(session, location_id)
        await repository.mark_connected(session, location_id, connected=False)
        session.audit("calendar.disconnected", target=encode(Kind.LOCATION, location_id))
        return location

    async def access(self, scope: Scope, row: GoogleCredential, *, renew: bool = False) -> SecretStr:
        """A token that opens the calendar for a while; a renewed one is stored.

        Raises:
            GrantLost: and the connection is marked so.
            GoogleRefused, GoogleBusy: Google cannot be asked.
        """
        if self.oauth is None:
            raise GoogleRefused("no_client", "GOOGLE_CLIENT_ID and GOOGLE_CLIENT_SECRET are not set", credentials=True)
        async with self.tenancy.read(scope) as session:
            now = await real_now(session)
        if not renew and row.access_token and row.access_expires_at and row.access_expires_at > now + EARLY:
            return SecretStr(self.secrets.open(scope.tenant_id, "google_access_token", row.access_token))
        refresh = self.secrets.open(scope.tenant_id, "google_refresh_token", row.refresh_token or b"")
        try:
            tokens = await self.oauth.refresh(SecretStr(refresh))
        except GrantLost:
            await self.lost(scope, row)
            raise
        async with self.tenancy.write(scope) as session:
            stored = await repository.locked_credential(session, row.location_id)
            if stored is not None and stored.generation == row.generation:
                await self._keep(session, stored, tokens)
        return tokens.access_token

    async def lost(self, scope: Scope, row: GoogleCredential) -> None:
        """Google took the permission back: show it, and owe the calendar nothing until it is connected again."""
        async with self.tenancy.write(scope) as session:
            stored = await repository.locked_credential(session, row.location_id)
            if stored is None or stored.generation != row.generation or stored.status == CalendarStatus.ENDING:
                return
            stored.status, stored.error = CalendarStatus.DISCONNECTED, RECONNECT
            stored.access_token = stored.access_expires_at = stored.channel_id = None
            await session.flush()
            await repository.mark_connected(session, row.location_id, connected=False)
            session.audit("calendar.lost", target=encode(Kind.LOCATION, row.location_id))

    async def _keep(self, session: WriteSession, row: GoogleCredential, tokens: Tokens) -> None:
        tenant = session.scope.tenant_id
        row.access_token = self.secrets.seal(tenant, "google_access_token", tokens.access_token.get_secret_value())
        row.access_expires_at = await real_now(session) + timedelta(seconds=tokens.expires_in)
        if tokens.refresh_token is not None:
            refresh = tokens.refresh_token.get_secret_value()
            row.refresh_token = self.secrets.seal(tenant, "google_refresh_token", refresh)


def _cookie_name(digest: bytes) -> str:
    return f"{COOKIE}_{digest.hex()[:12]}"


async def _location(session: WriteSession, location_id: UUID) -> Location:
    location = await tenancy_repository.location(session, location_id)
    if location is None:
        raise NotFoundError(f"there is no location {encode(Kind.LOCATION, location_id)}", field=("locationId",))
    return location
