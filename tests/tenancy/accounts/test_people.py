"""Who may invite, raise, close and end, and that a refusal changes nothing."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from lead_orchestrator.graphql.events.registry import SWEEP_SECONDS
from lead_orchestrator.ids import Kind, encode
from lead_orchestrator.tenancy.access import INTERVAL
from lead_orchestrator.tenancy.tokens import Role
from tests.graphql.subscriptions.client import connected
from tests.serving import bearer
from tests.tenancy.accounts.office import PASSWORD, Office, Person, Seat

PATIENCE = 30.0
SET_ROLE = """mutation($u: ID!, $r: Role!, $l: [ID!]) {
  it: setUserRole(userId: $u, role: $r, locationIds: $l) { user { role locations { id } } errors { code field } } }"""
KEEPING = "mutation($u: ID!, $r: Role!) { it: setUserRole(userId: $u, role: $r) { user { role locations { id } } errors { code } } }"
CLOSE = "mutation($u: ID!) { it: deactivateUser(userId: $u) { user { active } errors { code } } }"
END = "mutation($u: ID!) { it: revokeSessions(userId: $u) { user { id } errors { code } } }"


async def done(office: Office, seat: Seat | dict[str, str], mutation: str, **variables: Any) -> Any:
    """The payload, or the code of a top-level error."""
    header = seat.bearer if isinstance(seat, Seat) else seat
    answer = await office.ask(header, mutation, **variables)
    return answer["data"]["it"] if not answer.get("errors") else answer["errors"][0]["extensions"]["code"]


def codes(payload: Any) -> list[str]:
    return [error["code"] for error in payload["errors"]]


async def people(office: Office) -> list[dict[str, Any]]:
    return await office.stack.rows("SELECT id, role, location_ids, active, generation FROM users ORDER BY id")


async def until_refused(seat: Seat) -> None:
    async with asyncio.timeout(PATIENCE):
        while await seat.viewer() is not None:  # noqa: ASYNC110 - the api looks twice a second
            await asyncio.sleep(0.05)


def places(office: Office, *numbers: int) -> list[str]:
    keys = list(office.stack.locations.values())
    return [encode(Kind.LOCATION, keys[number]) for number in numbers]


async def test_an_agent_neither_invites_nor_raises_nor_closes(office: Office) -> None:
    agent, other = await office.member(Role.AGENT, locationIds=places(office, 0)), await office.member(Role.AGENT)
    seat = await office.signed_in(agent)
    before = await people(office)

    answers = [
        await office.ask(seat.bearer, "mutation($i: InviteUserInput!) { inviteUser(input: $i) { errors { code } } }",
                         i={"email": office.email(), "role": "AGENT"}),
        await office.ask(seat.bearer, SET_ROLE, u=agent.id, r="MANAGER", l=None),
        await office.ask(seat.bearer, CLOSE, u=other.id),
    ]  # fmt: skip
    ended = await done(office, seat, END, u=other.id)

    assert [answer["errors"][0]["extensions"]["code"] for answer in answers] == ["FORBIDDEN"] * 3
    assert codes(ended) == ["FORBIDDEN"]
    assert await people(office) == before


async def test_nobody_gives_more_than_they_have(office: Office) -> None:
    limited = await office.signed_in(await office.member(Role.MANAGER, locationIds=places(office, 0, 1)))
    owner, agent = await office.member(Role.OWNER), await office.member(Role.AGENT, locationIds=places(office, 0))
    elsewhere = await office.member(Role.AGENT, locationIds=places(office, 2))
    before = await people(office)

    refused = [
        await office.invite(Role.OWNER, office.email(), limited.bearer),
        await office.invite(Role.AGENT, office.email(), limited.bearer),
        await office.invite(Role.AGENT, office.email(), limited.bearer, locationIds=places(office, 1, 2)),
        await done(office, limited, SET_ROLE, u=agent.id, r="OWNER", l=None),
        await done(office, limited, SET_ROLE, u=agent.id, r="AGENT", l=None),
        await done(office, limited, SET_ROLE, u=agent.id, r="AGENT", l=places(office, 2)),
        await done(office, limited, SET_ROLE, u=elsewhere.id, r="AGENT", l=places(office, 0)),
        await done(office, limited, CLOSE, u=elsewhere.id),
        await done(office, limited, CLOSE, u=owner.id),
        await done(office, limited, END, u=owner.id),
    ]
    unknown = await done(office, limited, CLOSE, u=f"user_{uuid4()}")
    nowhere = await office.invite(Role.AGENT, office.email(), locationIds=[f"loc_{uuid4()}"])

    assert [codes(payload) for payload in refused] == [["FORBIDDEN"]] * len(refused)
    assert (codes(unknown), codes(nowhere)) == (["NOT_FOUND"], ["NOT_FOUND"])
    assert await people(office) == before
    raised = await done(office, limited, SET_ROLE, u=agent.id, r="MANAGER", l=places(office, 1))
    assert raised["user"] == {"role": "MANAGER", "locations": [{"id": places(office, 1)[0]}]}


@pytest.mark.parametrize("role", [Role.VISITOR, Role.PLATFORM_ADMIN])
async def test_there_are_roles_that_staff_does_not_have(office: Office, role: Role) -> None:
    before = await people(office)

    assert codes(await office.invite(role, office.email())) == ["BAD_USER_INPUT"]
    assert await people(office) == before


async def test_an_owner_has_every_location(office: Office) -> None:
    refused = await office.invite(Role.OWNER, office.email(), locationIds=places(office, 0))
    agent = await office.member(Role.AGENT, locationIds=places(office, 0))
    raised = await done(office, bearer(office.stack), KEEPING, u=agent.id, r="OWNER")

    assert codes(refused) == ["BAD_USER_INPUT"]
    assert len(raised["user"]["locations"]) == len(office.stack.locations)


async def test_a_change_of_role_ends_the_old_tokens_and_the_next_one_has_the_new_role(office: Office) -> None:
    manager = await office.member(Role.MANAGER)
    seat = await office.signed_in(manager)
    old = Seat(office.api, cookie=None, access=seat.access)

    changed = await done(office, bearer(office.stack), SET_ROLE, u=manager.id, r="AGENT", l=places(office, 1))
    still = await done(office, old, SET_ROLE, u=manager.id, r="MANAGER", l=None)
    await until_refused(old)
    again = await seat.post("/auth/refresh")

    assert codes(changed) == []
    assert still == "UNAUTHENTICATED", "not even in the moment before the token ends"
    assert again.status_code == 200
    viewer = await seat.viewer()
    assert (viewer["role"], viewer["locations"]) == ("AGENT", [{"id": places(office, 1)[0]}])


async def test_a_socket_ends_within_a_second_of_what_ends_its_sign_in(office: Office) -> None:
    person = await office.member()
    seat = await office.signed_in(person)

    async with connected(str(office.api.base_url).rstrip("/"), seat.access) as peer:
        await peer.subscribe()
        await peer.in_step()
        assert codes(await done(office, bearer(office.stack), END, u=person.id)) == []
        code, reason = await peer.closed(PATIENCE)

    assert (code, "revoked" in reason) == (4403, True)
    assert INTERVAL + SWEEP_SECONDS < 1, "seconds between two looks at what was revoked, and at the sockets"
    assert (await seat.post("/auth/refresh")).status_code == 401


async def test_a_signed_out_browser_s_socket_ends_and_the_other_one_goes_on(office: Office) -> None:
    person = await office.member()
    leaves, stays = await office.signed_in(person), await office.signed_in(person)
    address = str(office.api.base_url).rstrip("/")

    async with connected(address, leaves.access) as gone, connected(address, stays.access) as kept:
        await leaves.post("/auth/sign-out")
        code, _ = await gone.closed(PATIENCE)
        await kept.in_step()

    assert code == 4403
    assert await stays.viewer() is not None


async def test_a_closed_account_is_out_and_an_invitation_opens_it_again(office: Office) -> None:
    person = await office.member(Role.MANAGER)
    seat = await office.signed_in(person)
    held = Seat(office.api, access=seat.access)

    closed = await done(office, bearer(office.stack), CLOSE, u=person.id)
    refused = [
        await seat.post("/auth/refresh"),
        await office.seat().post("/auth/sign-in", {"email": person.email, "password": PASSWORD}),
    ]
    await until_refused(held)
    reset = await office.seat().post("/auth/reset", {"email": person.email})
    again = await office.invite(Role.AGENT, person.email)
    link = await office.link(person.email)
    await office.seat().post("/auth/accept-invite", {"token": link, "password": PASSWORD})

    assert closed == {"user": {"active": False}, "errors": []}
    assert [answer.status_code for answer in refused] == [401, 401]
    assert reset.status_code == 202
    assert again["user"] == {"id": person.id, "active": True}
    back = await office.signed_in(person)
    assert (await back.viewer())["role"] == "AGENT"
    assert await held.viewer() is None


async def test_somebody_who_works_here_is_not_invited_again(office: Office) -> None:
    person = await office.member()

    assert codes(await office.invite(Role.AGENT, person.email.upper())) == ["ALREADY_A_USER"]


async def owners_alone(office: Office, count: int) -> list[Person]:
    """So many owners, and no others."""
    async with office.services.tenancy.write(office.stack.scope) as session:
        await session.execute(text("UPDATE users SET role = 'MANAGER' WHERE role = 'OWNER'"))
    return [await office.member(Role.OWNER) for _ in range(count)]


async def test_the_last_owner_stays(office: Office) -> None:
    [owner] = await owners_alone(office, 1)
    await office.invite(Role.OWNER, office.email())
    seat = await office.signed_in(owner)

    answers = [await done(office, seat, CLOSE, u=owner.id), await done(office, seat, KEEPING, u=owner.id, r="MANAGER")]

    assert [codes(answer) for answer in answers] == [["LAST_OWNER"]] * 2
    assert (await seat.viewer())["role"] == "OWNER"


async def test_of_owners_who_close_each_other_at_once_one_stays(office: Office) -> None:
    owners = await owners_alone(office, 3)
    seats = [await office.signed_in(owner) for owner in owners]

    await asyncio.gather(*(done(office, seat, CLOSE, u=owner.id) for owner, seat in zip(owners, seats[1:] + seats[:1], strict=True)),
                         *(done(office, seat, CLOSE, u=owner.id) for owner, seat in zip(owners, seats, strict=True)))  # fmt: skip

    [left] = await office.stack.rows("SELECT count(*) AS n FROM users WHERE role = 'OWNER' AND active")
    assert left["n"] == 1


async def test_what_was_done_to_whom_is_in_the_trail_without_a_value(office: Office) -> None:
    person = await office.member(Role.MANAGER)
    await done(office, bearer(office.stack), SET_ROLE, u=person.id, r="AGENT", l=None)

    rows = await office.stack.rows(
        "SELECT action, actor, detail FROM audit_log WHERE target = :who ORDER BY number", who=person.id
    )

    assert [row["action"] for row in rows] == ["user.invited", "user.invitation_accepted", "user.role_changed"]
    assert [row["detail"] for row in rows] == [{"role": "MANAGER"}, None, {"role": "AGENT"}]
    assert person.email not in str(rows)
