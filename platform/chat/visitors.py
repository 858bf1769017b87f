"""Visitors of the web chat: how they get into a conversation, and by what they are known there.

A visitor has an access token of fifteen minutes for one conversation, and a secret by which it is renewed as long as the
conversation is open. Who comes by the signed link of a message is its lead, and goes on with the lead's open conversation; who types
a name and a number gets a conversation of their own, in which nothing of a lead is shown before a texted code confirms the
number. What is typed is kept with the conversation until then, and changes no lead.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from lead_orchestrator.chat import repository
from lead_orchestrator.chat.codes import check_code, send_code
from lead_orchestrator.chat.entries import locked_chat
from lead_orchestrator.chat.models import ChatSession, ChatState
from lead_orchestrator.clock import app_now
from lead_orchestrator.errors import BadInputError, NotFoundError
from lead_orchestrator.ids import Kind, encode
from lead_orchestrator.leads import repository as leads_repository
from lead_orchestrator.leads.consents import ConsentGiven, note_consents
from lead_orchestrator.leads.models import Channel, Lead, LeadSource
from lead_orchestrator.leads.service import Enquiry, Leads, end_touches, locked
from lead_orchestrator.tenancy.links import LinkSigner
from lead_orchestrator.tenancy.public.places import Place, Places
from lead_orchestrator.tenancy.secrets import SecretBox
from lead_orchestrator.tenancy.sessions import Scope, Tenancy, WriteSession
from lead_orchestrator.tenancy.tokens import Claims, Role, TokenIssuer

__all__ = ["Entered", "Person", "Visitors"]

SUBJECT = "chat visitor"
_LINK, _SECRET = "chat", "chat visitor"
_IDS, _NONCE = 32, 16


@dataclass(frozen=True)
class Person:
    """Who a visitor says they are; the number is normalised."""

    phone: str = field(repr=False)
    name: str | None = field(repr=False, default=None)
    email: str | None = field(repr=False, default=None)
    consents: Sequence[ConsentGiven] = ()


@dataclass(frozen=True)
class Entered:
    """A visitor in a conversation: `secret` renews `token`."""

    chat: ChatSession
    token: str = field(repr=False)
    secret: str = field(repr=False)


class Visitors:
    """`issuer` signs the visitors' tokens. Each method is a transaction of its own, in a service's session of one tenant."""

    def __init__(
        self,
        tenancy: Tenancy,
        places: Places,
        leads: Leads,
        links: LinkSigner,
        secret_box: SecretBox,
        issuer: TokenIssuer,
    ) -> None:
        self._tenancy = tenancy
        self._places = places
        self._leads = leads
        self._links = links
        self._secrets = secret_box
        self._issuer = issuer

    async def place_of_link(self, token: str) -> Place:
        """The shop that the link of a message leads to.

        Raises:
            NotFoundError: it is no such link, or its lead or its franchise is gone.
        """
        link = self._links.open(_LINK, token)
        async with self._tenancy.read(Scope.service(link.tenant_id, SUBJECT)) as session:
            lead = await leads_repository.get(session, link.lead_id)
        if lead is None:
            raise NotFoundError("this link is not valid: use the newest one you received")
        return await self._places.find(str(lead.location_id))

    async def enter_by_link(self, place: Place, token: str, language: str) -> Entered:
        """The lead of the link, in its open conversation or a new one.

        Raises:
            NotFoundError: the link's lead is not at this shop.
        """
        link = self._links.open(_LINK, token)
        async with self._tenancy.write(self._scope(place)) as session:
            lead = await locked(session, link.lead_id)
            chat = await repository.open_session_of(session, lead.id, Channel.WEB_CHAT)
            if chat is None:
                chat = await _begin(session, place, language, lead=lead, verified=True)
            return await self._entered(session, chat)

    async def enter(self, place: Place, person: Person | None, language: str) -> Entered:
        """Somebody, in a new conversation; `person` gets a code to confirm the number with."""
        async with self._tenancy.write(self._scope(place)) as session:
            chat = await _begin(session, place, language)
            if person is not None:
                await self._claim(session, chat, person)
            return await self._entered(session, chat)

    async def identify(self, claims: Claims, person: Person) -> None:
        """The visitor says who they are, or wants another code.

        Raises:
            BadInputError: CHAT_CLOSED, ALREADY_VERIFIED.
            NotFoundError: the conversation is gone.
        """
        async with self._tenancy.write(_service(claims)) as session:
            chat, _ = await locked_chat(session, _session_of(claims))
            _check_open(chat)
            if chat.verified:
                message = "the number of this conversation is confirmed: start another one for another number"
                raise BadInputError(message, code="ALREADY_VERIFIED")
            await self._claim(session, chat, person)
            session.audit("chat.identified", target=encode(Kind.CHAT_SESSION, chat.id))

    async def confirm(self, claims: Claims, code: str) -> Entered | None:
        """The visitor as the lead whose number the code was texted to; None: it is not the code, or not any more.

        Raises:
            BadInputError: CHAT_CLOSED.
            NotFoundError: the conversation is gone.
        """
        async with self._tenancy.write(_service(claims)) as session:
            chat, lead = await locked_chat(session, _session_of(claims))
            _check_open(chat)
            right = await check_code(session, chat, code, self._secrets)
            if not right or lead is None or lead.phone != chat.visitor_phone:
                return None
            chat.verified = True
            await self._complete(session, chat, lead)
            session.audit("chat.confirmed", target=encode(Kind.CHAT_SESSION, chat.id))
            return await self._entered(session, chat)

    async def renew(self, secret: str) -> tuple[Place, Entered] | None:
        """The visitor of this secret, with a fresh token, and the shop; None: it is no secret of ours.

        Raises:
            NotFoundError: the conversation is closed or gone.
        """
        body = self._links.signed(_SECRET, secret)
        if body is None or len(body) != _IDS + _NONCE:
            return None
        tenant_id, chat_id = UUID(bytes=body[:16]), UUID(bytes=body[16:_IDS])
        async with self._tenancy.read(Scope.service(tenant_id, SUBJECT)) as session:
            chat = await repository.get(session, chat_id)
        if chat is None or chat.visitor_nonce is None or not secrets.compare_digest(chat.visitor_nonce, body[_IDS:]):
            raise _ended()
        return await self._places.find(str(chat.location_id)), self._let_in(chat)

    async def _claim(self, session: WriteSession, chat: ChatSession, person: Person) -> None:
        """Keep what was typed with the conversation, and text a code to the number."""
        received = await self._leads.receive(
            session, Enquiry(location_id=chat.location_id, source=LeadSource.WEB_CHAT, phone=person.phone)
        )
        lead = received.lead
        if received.created:
            lead.first_name = person.name
        if received.enrolled:
            await end_touches(session, lead, "The number was typed in a chat and is not confirmed")
        chat.lead_id = lead.id
        chat.visitor_name, chat.visitor_phone, chat.visitor_email = person.name, person.phone, person.email
        chat.visitor_consents = [
            {"channel": one.channel.value, "granted": one.granted, "source": one.source, "wording": one.wording}
            for one in person.consents
        ]
        await send_code(session, chat, await locked(session, lead.id), self._secrets)

    async def _complete(self, session: WriteSession, chat: ChatSession, lead: Lead) -> None:
        """What the person typed fills what is blank of the lead they have turned out to be."""
        typed = {"first_name": chat.visitor_name, "email": chat.visitor_email}
        blanks = {name: value for name, value in typed.items() if value and not getattr(lead, name)}
        await self._leads.correct(session, lead, blanks)
        note_consents(session, lead, list(_consents(chat)), await app_now(session))

    def _scope(self, place: Place) -> Scope:
        return Scope(place.tenant_id, frozenset({place.location_id}), SUBJECT)

    async def _entered(self, session: WriteSession, chat: ChatSession) -> Entered:
        chat.visitor_nonce = chat.visitor_nonce or secrets.token_bytes(_NONCE)
        await session.flush()
        return self._let_in(chat)

    def _let_in(self, chat: ChatSession) -> Entered:
        if chat.visitor_nonce is None:
            raise _ended()
        token = self._issuer.issue(
            subject=encode(Kind.CHAT_SESSION, chat.id),
            role=Role.VISITOR,
            tenant_id=chat.tenant_id,
            location_ids=[chat.location_id],
            session_id=chat.id,
            lead_id=chat.lead_id if chat.verified else None,
        )
        secret = self._links.sign(_SECRET, chat.tenant_id.bytes + chat.id.bytes + chat.visitor_nonce)
        return Entered(chat, token, secret)


async def _begin(
    session: WriteSession, place: Place, language: str, *, lead: Lead | None = None, verified: bool = False
) -> ChatSession:
    chat = ChatSession(
        tenant_id=place.tenant_id,
        location_id=place.location_id,
        lead_id=lead.id if lead else None,
        channel=Channel.WEB_CHAT,
        state=ChatState.ASSISTANT,
        language=language,
        verified=verified,
        version=0,
        turn=0,
        unread=0,
        visitor_unread=0,
        codes_sent=0,
        code_attempts=0,
        created_at=await app_now(session),
    )
    repository.add(session, chat)
    await session.flush()
    return chat


def _consents(chat: ChatSession) -> Iterator[ConsentGiven]:
    for one in chat.visitor_consents or ():
        wording = one["wording"]
        yield ConsentGiven(
            Channel(str(one["channel"])), bool(one["granted"]), str(one["source"]), str(wording) if wording else None
        )


def _service(claims: Claims) -> Scope:
    """Of what a visitor starts: a service's, of the visitor's locations."""
    if claims.tenant_id is None:
        raise NotFoundError("this token belongs to no franchise")
    return Scope(claims.tenant_id, claims.location_ids, claims.subject)


def _session_of(claims: Claims) -> UUID:
    if claims.session_id is None:
        raise NotFoundError("this token is for no conversation: start one")
    return claims.session_id


def _check_open(chat: ChatSession) -> None:
    if chat.state == ChatState.CLOSED:
        raise BadInputError("the conversation is closed: start a new one", code="CHAT_CLOSED")


def _ended() -> NotFoundError:
    return NotFoundError("this conversation has ended: start a new one")
