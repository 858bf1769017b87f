"""How visitors get into a conversation: the public's mutations of the chat."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime

import strawberry

from lead_orchestrator.chat.visitors import Entered, Person
from lead_orchestrator.errors import AppError, BadInputError
from lead_orchestrator.graphql.chat.types import ChatSession
from lead_orchestrator.graphql.connections import UserError
from lead_orchestrator.graphql.context import Context, Request
from lead_orchestrator.graphql.doors import let_near, place_of, spend
from lead_orchestrator.graphql.inputs import ConsentInput, consents, text
from lead_orchestrator.leads.addresses import checked_email, checked_phone

__all__ = ["EnteringMutations", "StartChatPayload"]

LONGEST_NAME = 100
LONGEST_TOKEN = 500


@strawberry.input
class StartChatInput:
    """Either `chatToken`, the token of the link in a message or the `chatToken` of an earlier answer, or `locationSlug`, for a new
    conversation. A name and a phone number get a code by text."""

    location_slug: str | None = None
    chat_token: str | None = None
    name: str | None = None
    phone: str | None = None
    email: str | None = None
    consent: ConsentInput | None = None

    def person(self) -> Person | None:
        """Raises BadInputError: INVALID_PHONE, INVALID_EMAIL, or one of them without the others it needs."""
        return _person(self.phone, self.name, self.email, self.consent)


@strawberry.input
class IdentifyChatInput:
    """Who the visitor is; the code goes to this number, and again if this is sent again."""

    phone: str
    name: str | None = None
    email: str | None = None
    consent: ConsentInput | None = None


@strawberry.type
class StartChatPayload:
    """`visitorToken` is good for `session` alone, until `expiresAt`; `startChat` with this `chatToken` renews it as long as the
    conversation is open."""

    session: ChatSession | None = None
    visitor_token: str | None = None
    expires_at: datetime | None = None
    chat_token: str | None = None
    errors: list[UserError] = strawberry.field(default_factory=list)


@strawberry.type
class IdentifyChatPayload:
    """`codeRequested` says nothing of whether the number is known, or is written to."""

    code_requested: bool
    errors: list[UserError]


@strawberry.type
class EnteringMutations:
    @strawberry.mutation
    async def start_chat(self, info: Request, input: StartChatInput) -> StartChatPayload:  # noqa: A002 - the contract's name
        """Public. By a message's link its lead goes on with its conversation; else a new one begins, and nothing of what the shop
        knows is shown in it before a texted code confirms the number (`confirmChat`). A visitor goes on with the answer's
        `chatToken`."""

        async def enter(context: Context) -> Entered:
            visitors, language = context.chat.visitors, context.caller.language
            token, slug = input.chat_token, input.location_slug
            if (token is None) == (slug is None):
                raise BadInputError("send either chatToken or locationSlug", field=("locationSlug",))
            if token is not None:
                if (known := await visitors.renew(token[:LONGEST_TOKEN])) is not None:
                    known[0].check_origin(context.caller.origin)
                    return known[1]
                place = await visitors.place_of_link(token[:LONGEST_TOKEN])
                await let_near(context, place)
                return await visitors.enter_by_link(place, token, language)
            person = input.person()
            place = await place_of(context, slug or "")
            await let_near(context, place)
            return await visitors.enter(place, person, language)

        return await _let_in(info, enter)

    @strawberry.mutation
    async def identify_chat(self, info: Request, input: IdentifyChatInput) -> IdentifyChatPayload:  # noqa: A002 - as its neighbours
        """The visitor says who they are: a code is texted to the number, which `confirmChat` takes."""
        context = info.context
        try:
            await spend(context)
            person = _person(input.phone, input.name, input.email, input.consent)
            if person is None:
                raise BadInputError("phone is empty: write it with its country code", field=("phone",))
            await context.chat.visitors.identify(context.claims, person)
        except AppError as error:
            return IdentifyChatPayload(code_requested=False, errors=[UserError.of(error)])
        return IdentifyChatPayload(code_requested=True, errors=[])

    @strawberry.mutation
    async def confirm_chat(self, info: Request, code: str) -> StartChatPayload:
        """The code that was texted: the visitor is the lead of that number from now on, by a new token."""

        async def confirm(context: Context) -> Entered:
            entered = await context.chat.visitors.confirm(context.claims, code[:LONGEST_NAME])
            if entered is None:
                message = "the code is wrong or has expired: look again, or ask for another one"
                raise BadInputError(message, code="WRONG_CODE", field=("code",))
            return entered

        return await _let_in(info, confirm)


async def _let_in(info: Request, enter: Callable[[Context], Awaitable[Entered]]) -> StartChatPayload:
    context = info.context
    try:
        await spend(context)
        entered = await enter(context)
        context.become(entered.token)
    except AppError as error:
        return StartChatPayload(errors=[UserError.of(error)])
    return StartChatPayload(
        session=ChatSession.of_visitor(entered.chat),
        visitor_token=entered.token,
        expires_at=context.claims.expires_at,
        chat_token=entered.secret,
    )


def _person(phone: str | None, name: str | None, email: str | None, consent: ConsentInput | None) -> Person | None:
    number, address = checked_phone(phone), checked_email(email)
    named = text(name, "name", LONGEST_NAME)
    if number is None:
        if named or address:
            message = "phone is missing: a name or a mail address alone says nothing that can be confirmed"
            raise BadInputError(message, code="INVALID_PHONE", field=("phone",))
        return None
    return Person(number, named, address, tuple(consents(consent)))
