"""What can be done about the people of a franchise."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Self
from uuid import UUID

import strawberry

from lead_orchestrator.errors import AppError, BadInputError, UnauthenticatedError, UnavailableError
from lead_orchestrator.graphql.connections import UserError
from lead_orchestrator.graphql.context import Request
from lead_orchestrator.graphql.enums import Role
from lead_orchestrator.graphql.tenant_types import MOST_LOCATIONS, User
from lead_orchestrator.ids import Kind, decode
from lead_orchestrator.tenancy import models
from lead_orchestrator.tenancy.accounts.people import KEEP, People
from lead_orchestrator.tenancy.sessions import WriteSession

__all__ = ["InviteUserInput", "StaffMutations", "UserPayload"]


@strawberry.input
class InviteUserInput:
    """`locationIds` left out or null is every location."""

    email: str
    name: str | None = None
    role: Role
    location_ids: list[strawberry.ID] | None = None


@strawberry.type
class UserPayload:
    user: User | None
    errors: list[UserError]

    @classmethod
    async def of(cls, info: Request, work: Callable[[People, WriteSession], Awaitable[models.User]]) -> Self:
        """What became of the work; an expected failure is in `errors`, and then nothing is done."""
        staff = info.context.services.staff
        try:
            if staff is None:
                raise UnavailableError("there are no accounts here")
            async with info.context.writing() as session:
                row = await work(staff, session)
                await session.flush()
                await session.refresh(row)
        except UnauthenticatedError:
            raise
        except AppError as error:
            return cls(user=None, errors=[UserError.of(error)])
        return cls(user=User.of(row), errors=[])


@strawberry.type
class StaffMutations:
    @strawberry.mutation
    async def invite_user(self, info: Request, input: InviteUserInput) -> UserPayload:  # noqa: A002 - the contract's name
        """Make an account for somebody, who is mailed a link to set the password by; once more for one who has not come yet."""

        async def work(staff: People, session: WriteSession) -> models.User:
            places = _places(input.location_ids)
            invited = await staff.invite(session, email=input.email, name=input.name, role=input.role, locations=places)
            return invited.user

        payload = await UserPayload.of(info, work)
        if payload.user is not None:
            info.context.mail_is_due()
        return payload

    @strawberry.mutation
    async def set_user_role(
        self,
        info: Request,
        user_id: strawberry.ID,
        role: Role,
        location_ids: list[strawberry.ID] | None = strawberry.UNSET,
    ) -> UserPayload:
        """`locationIds` left out keeps the locations, null is every one. Access tokens of before end within a second."""

        async def work(staff: People, session: WriteSession) -> models.User:
            kept = location_ids is strawberry.UNSET
            places = KEEP if kept else _places(location_ids)
            return await staff.set_role(session, _user(user_id), role, places)

        return await UserPayload.of(info, work)

    @strawberry.mutation
    async def deactivate_user(self, info: Request, user_id: strawberry.ID) -> UserPayload:
        """Close the account: every sign-in and every token of it ends within a second. An invitation opens it again."""
        return await UserPayload.of(info, lambda staff, session: staff.deactivate(session, _user(user_id)))

    @strawberry.mutation
    async def revoke_sessions(self, info: Request, user_id: strawberry.ID) -> UserPayload:
        """End every sign-in of somebody, or one's own."""
        return await UserPayload.of(info, lambda staff, session: staff.revoke_sessions(session, _user(user_id)))


def _places(ids: list[strawberry.ID] | None) -> list[UUID] | None:
    if ids is None:
        return None
    if len(ids) > MOST_LOCATIONS:
        message = f"locationIds has {len(ids)} ids: send {MOST_LOCATIONS} at most, or null for all"
        raise BadInputError(message, field=("locationIds",))
    return [decode(Kind.LOCATION, text, field="locationIds") for text in ids]


def _user(text: str) -> UUID:
    return decode(Kind.USER, text, field="userId")
