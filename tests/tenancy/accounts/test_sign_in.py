from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from argon2 import PasswordHasher
from sqlalchemy import event, text

from lead_orchestrator.errors import RateLimitedError
from lead_orchestrator.tenancy.accounts.limits import SignInLimits
from lead_orchestrator.tenancy.accounts.models import Caller
from lead_orchestrator.tenancy.accounts.service import Accounts
from lead_orchestrator.tenancy.public.limits import PublicLimits, public_rates
from lead_orchestrator.tenancy.tokens import Role
from tests.serving import bearer
from tests.tenancy.accounts.office import COOKIE, PASSWORD, Office, code


async def test_whoever_was_invited_sets_a_password_and_signs_in(office: Office) -> None:
    email = office.email()
    invited = await office.invite(Role.AGENT, email, name="Ada Example")
    seat = office.seat()

    before = await seat.post("/auth/sign-in", {"email": email, "password": PASSWORD})
    accepted = await seat.post("/auth/accept-invite", {"token": await office.link(email), "password": PASSWORD})
    answer = await seat.post("/auth/sign-in", {"email": f" {email.upper()} ", "password": PASSWORD})

    assert invited["errors"] == []
    assert (before.status_code, accepted.status_code, answer.status_code) == (401, 204, 200)
    viewer = await seat.viewer()
    assert (viewer["role"], viewer["user"]) == ("AGENT", {"id": invited["user"]["id"], "email": email})
    assert len(viewer["locations"]) == len(office.stack.locations)


async def test_the_cookie_is_for_no_script_no_other_site_and_no_other_path(office: Office) -> None:
    seat = await office.signed_in(await office.member())

    assert seat.answer is not None
    cookie = seat.answer.headers["set-cookie"]
    assert {part.strip().lower() for part in cookie.split(";")[1:]} >= {"httponly", "path=/auth", "samesite=strict"}
    assert str(seat.cookie) not in seat.answer.text
    assert seat.answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "header", [{"Origin": "https://elsewhere.example.com"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}]
)
@pytest.mark.parametrize("path", ["/auth/sign-in", "/auth/refresh", "/auth/sign-out", "/auth/reset"])
async def test_another_site_is_refused(office: Office, path: str, header: dict[str, str]) -> None:
    answer = await office.seat().post(path, {}, **header)

    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "FORBIDDEN")


async def test_a_refresh_gives_the_next_token_and_one_used_a_while_ago_ends_the_sign_in(office: Office) -> None:
    person = await office.member()
    seat, other = await office.signed_in(person), await office.signed_in(person)
    first = seat.cookie

    again = await seat.post("/auth/refresh")
    second = seat.cookie
    assert again.status_code == 200
    assert second != first
    assert await seat.viewer() is not None

    await office.grow_old()
    thief = office.seat()
    thief.cookie = first
    stolen = await thief.post("/auth/refresh")
    after = await seat.post("/auth/refresh")

    assert (stolen.status_code, after.status_code) == (401, 401)
    assert thief.cookie is None
    assert "accessToken" not in stolen.text
    assert (await other.post("/auth/refresh")).status_code == 200, "another sign-in of the same person goes on"
    [trail] = await office.stack.rows(
        "SELECT count(*) AS n FROM audit_log WHERE action = 'session.reused' AND target = :who", who=person.id
    )
    assert trail["n"] == 1


async def test_tabs_that_refresh_at_once_all_go_on_with_the_same_next_token(office: Office) -> None:
    person = await office.member()
    seat = await office.signed_in(person)
    tabs = [office.seat() for _ in range(4)]
    for tab in tabs:
        tab.cookie = seat.cookie

    await asyncio.gather(*(tab.post("/auth/refresh") for tab in tabs))

    assert [tab.answer.status_code for tab in tabs if tab.answer is not None] == [200] * 4
    assert len({tab.cookie for tab in tabs} - {seat.cookie}) == 1, "whichever answer the browser keeps last"
    assert len({tab.access for tab in tabs}) == 4
    assert all([await tab.viewer() for tab in tabs])
    await office.grow_old()
    assert (await tabs[0].post("/auth/refresh")).status_code == 200
    found = await office.stack.rows(
        "SELECT 1 FROM audit_log WHERE target = :who AND action LIKE 'session.%'", who=person.id
    )
    assert found == []


async def test_one_that_was_used_is_a_copy_at_once_when_its_follower_was_used_too(office: Office) -> None:
    seat = await office.signed_in(await office.member())
    thief = office.seat()
    thief.cookie = seat.cookie
    assert (await seat.post("/auth/refresh")).status_code == 200
    assert (await seat.post("/auth/refresh")).status_code == 200

    stolen, after = await thief.post("/auth/refresh"), await seat.post("/auth/refresh")

    assert (stolen.status_code, after.status_code) == (401, 401)


async def test_whoever_used_a_stolen_token_first_is_found_out_by_the_next_refresh(office: Office) -> None:
    seat = await office.signed_in(await office.member())
    thief = office.seat()
    thief.cookie = seat.cookie
    assert (await thief.post("/auth/refresh")).status_code == 200
    assert (await seat.post("/auth/refresh")).status_code == 200, "within the grace both have the same one"
    await office.grow_old()

    assert (await thief.post("/auth/refresh")).status_code == 200
    await office.grow_old()
    assert (await seat.post("/auth/refresh")).status_code == 401
    assert (await thief.post("/auth/refresh")).status_code == 401


async def test_a_sign_in_ends_after_two_weeks_unseen(office: Office) -> None:
    person = await office.member()
    seat = await office.signed_in(person)
    async with office.services.tenancy.write(office.stack.scope) as session:
        ended = text("UPDATE sessions SET expires_at = now() - interval '1 second' WHERE user_id = :who")
        await session.execute(ended, {"who": person.key})

    assert (await seat.post("/auth/refresh")).status_code == 401


@pytest.mark.parametrize("cookie", [None, "", "x", "a" * 500, "ä"])
async def test_what_is_no_refresh_token_is_refused(office: Office, cookie: str | None) -> None:
    headers = {b"Cookie": f"{COOKIE}={cookie}".encode()} if cookie is not None else {}
    answer = await office.api.post("/auth/refresh", headers=headers)

    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "UNAUTHENTICATED")


@contextmanager
def counted(office: Office) -> Iterator[list[str]]:
    """The statements that all pools execute meanwhile."""
    engines, found = office.services.tenancy.engines, list[str]()

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        found.append(statement)

    pools = [engine.sync_engine for engine in (engines.app, engines.platform)]
    for pool in pools:
        event.listen(pool, "before_cursor_execute", note)
    try:
        yield found
    finally:
        for pool in pools:
            event.remove(pool, "before_cursor_execute", note)


async def test_whatever_is_wrong_takes_the_same_work_and_is_answered_alike(office: Office) -> None:
    accounts: Accounts = office.services.people.accounts
    known, closed = await office.member(), await office.member(Role.AGENT)
    invited = office.email()
    await office.invite(Role.AGENT, invited)
    mutation = "mutation($u: ID!) { deactivateUser(userId: $u) { errors { code } } }"
    await office.ask(bearer(office.stack), mutation, u=closed.id)
    limits = SignInLimits(PublicLimits(_NoRedis(), public_rates(office.stack.settings)), 10_000)
    seen = []

    for email, password in (
        (known.email, "some other pass phrase 9"),
        ("nobody@example.com", PASSWORD),
        (closed.email, PASSWORD),
        (invited, PASSWORD),
    ):
        compared = accounts.passwords.compared
        with counted(office) as statements, pytest.raises(Exception, match="wrong") as refused:
            await accounts.sign_in(email, password, franchise=None, code=None, caller=Caller(None), limits=limits)
        seen.append(
            (type(refused.value).__name__, str(refused.value), accounts.passwords.compared - compared, statements)
        )

    assert seen[1:] == seen[:1] * 3
    assert seen[0][2] == 1
    assert len(seen[0][3]) > 2


class _NoRedis:
    """As if Redis were away: the counters are this process's."""

    def register_script(self, script: str) -> Any:  # noqa: ARG002 - as the client has it
        async def away(*_: Any, **__: Any) -> Any:
            raise OSError

        return away


async def test_attempts_are_limited_by_account_and_by_address_whether_there_is_such_an_account_or_not(
    office: Office,
) -> None:
    known = await office.member()
    limits = SignInLimits(PublicLimits(_NoRedis(), public_rates(office.stack.settings)), 3)

    async def refused_at(emails: Iterable[str], address: str) -> int:
        for number, email in enumerate(emails):
            try:
                await limits.spend(email, address)
            except RateLimitedError:
                return number
        raise AssertionError

    assert await refused_at([known.email] * 9, "203.0.113.1") == 3
    assert await refused_at(["nobody@example.com"] * 9, "203.0.113.2") == 3
    assert await refused_at([known.email], "203.0.113.3") == 0, "from wherever it is tried"
    everybody = (f"person-{number}@example.com" for number in range(99))
    assert await refused_at(everybody, "203.0.113.4") == 18, "an address has six accounts' worth"


async def test_sign_out_ends_this_browser_and_everywhere_ends_all(office: Office) -> None:
    person = await office.member()
    one, two, three = [await office.signed_in(person) for _ in range(3)]
    ended = one.cookie

    assert (await one.post("/auth/sign-out")).status_code == 204
    assert one.cookie is None
    one.cookie = ended
    assert (await one.post("/auth/refresh")).status_code == 401
    assert (await two.post("/auth/refresh")).status_code == 200

    assert (await two.post("/auth/sign-out-everywhere", {}, **two.bearer)).status_code == 204
    assert (await three.post("/auth/refresh")).status_code == 401
    async with asyncio.timeout(20):
        while await three.viewer() is not None:  # noqa: ASYNC110 - the api looks twice a second
            await asyncio.sleep(0.05)
    assert (await office.signed_in(person)).access


async def test_one_sees_where_one_is_signed_in(office: Office) -> None:
    person = await office.member()
    one = await office.signed_in(person, **{"User-Agent": "Browser One"})
    await office.signed_in(person, **{"User-Agent": "Browser Two"})

    rows = (await office.ask(one.bearer, "{ mySessions { userAgent current } }"))["data"]["mySessions"]

    assert {row["userAgent"]: row["current"] for row in rows} == {"Browser One": True, "Browser Two": False}


async def test_a_suspended_franchise_neither_signs_in_nor_refreshes(office: Office) -> None:
    person = await office.member()
    seat = await office.signed_in(person)
    change = text("UPDATE tenants SET status = :status, status_changed_at = now() WHERE id = :id")
    try:
        async with office.services.tenancy.platform() as session:
            await session.execute(change, {"status": "SUSPENDED", "id": office.stack.tenant_id})
        refused = await office.seat().post("/auth/sign-in", {"email": person.email, "password": PASSWORD})
        stale = await seat.post("/auth/refresh")
    finally:
        async with office.services.tenancy.platform() as session:
            await session.execute(change, {"status": "ACTIVE", "id": office.stack.tenant_id})

    assert (refused.status_code, stale.status_code) == (401, 401)


async def test_a_sign_in_with_another_cost_renews_the_hash(office: Office) -> None:
    person = await office.member()
    [before] = await office.stack.rows("SELECT password_hash FROM users WHERE id = :who", who=person.key)
    weaker = PasswordHasher(time_cost=2, memory_cost=16, parallelism=1).hash(PASSWORD)
    async with office.services.tenancy.write(office.stack.scope) as session:
        await session.execute(
            text("UPDATE users SET password_hash = :hash WHERE id = :who"), {"hash": weaker, "who": person.key}
        )

    await office.signed_in(person)

    [after] = await office.stack.rows("SELECT password_hash FROM users WHERE id = :who", who=person.key)
    assert after["password_hash"].split("$")[3] == before["password_hash"].split("$")[3] != weaker.split("$")[3]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"email": "a@example.com"},
        {"email": 7, "password": "x"},
        {"email": "no address", "password": PASSWORD},
        {"email": "a@example.com", "password": "x" * 1001},
        {"email": "a@example.com\x00", "password": PASSWORD},
        {"email": "a@example.com", "password": PASSWORD, "role": "OWNER"},
    ],
)
async def test_what_cannot_be_a_sign_in_is_refused(office: Office, body: dict[str, Any]) -> None:
    answer = await office.seat().post("/auth/sign-in", body)

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "BAD_USER_INPUT")


async def test_an_owner_needs_a_second_factor_whose_code_is_good_once(office: Office) -> None:
    owner = await office.member(Role.OWNER)
    assert owner.secret is not None
    given = {"email": owner.email, "password": PASSWORD}

    without = await office.seat().post("/auth/sign-in", given)
    wrong = await office.seat().post("/auth/sign-in", {**given, "code": "000000"})
    current = code(owner.secret)
    first = await office.seat().post("/auth/sign-in", {**given, "code": current})
    twice = await office.seat().post("/auth/sign-in", {**given, "code": current})

    told = [answer.json()["error"]["code"] for answer in (without, wrong, twice)]
    assert told == ["SECOND_FACTOR_REQUIRED", "SECOND_FACTOR_WRONG", "SECOND_FACTOR_WRONG"]
    assert (without.status_code, wrong.status_code, first.status_code) == (401, 401, 200)
    assert first.json()["role"] == "OWNER"


async def test_before_it_is_enrolled_an_owner_gets_no_token_but_the_one_to_enrol(office: Office) -> None:
    email = office.email()
    await office.invite(Role.OWNER, email)
    seat = office.seat()
    await seat.post("/auth/accept-invite", {"token": await office.link(email), "password": PASSWORD})

    refused = await seat.post("/auth/sign-in", {"email": email, "password": PASSWORD})
    ticket = refused.json()["enrolmentToken"]
    begun = (await seat.post("/auth/second-factor/enrol", {"enrolmentToken": ticket})).json()
    wrong = await seat.post("/auth/second-factor/confirm", {"enrolmentToken": ticket, "code": "123456"})
    right = {"enrolmentToken": ticket, "code": code(begun["secret"])}
    done = await seat.post("/auth/second-factor/confirm", right)
    again = await seat.post("/auth/second-factor/enrol", {"enrolmentToken": ticket})

    assert refused.json()["error"]["code"] == "SECOND_FACTOR_ENROLMENT_REQUIRED"
    assert seat.cookie
    assert (refused.status_code, wrong.status_code, done.status_code, again.status_code) == (403, 401, 200, 400)
    assert begun["uri"].startswith("otpauth://totp/")
    assert (await seat.viewer())["role"] == "OWNER"

    [recovery, *others] = done.json()["recoveryCodes"]
    given = {"email": email, "password": PASSWORD, "code": recovery.upper().replace("-", " ")}
    answers = [await office.seat().post("/auth/sign-in", given) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 401]
    assert len({recovery, *others}) == 10
    [kept] = await office.stack.rows("SELECT recovery_hashes, totp_secret FROM users WHERE email = :e", e=email)
    assert len(kept["recovery_hashes"]) == 9
    assert begun["secret"].encode() not in kept["totp_secret"]


async def test_whoever_likes_has_a_second_factor(office: Office) -> None:
    agent = await office.member(Role.AGENT)
    seat = await office.signed_in(agent)

    begun = (await seat.post("/auth/second-factor/enrol", {}, **seat.bearer)).json()
    unconfirmed = await office.signed_in(agent)
    confirmed = await seat.post("/auth/second-factor/confirm", {"code": code(begun["secret"])}, **seat.bearer)
    without = await office.seat().post("/auth/sign-in", {"email": agent.email, "password": PASSWORD})

    assert unconfirmed.access
    assert confirmed.status_code == 200
    assert without.json()["error"]["code"] == "SECOND_FACTOR_REQUIRED"


async def test_an_administrator_of_the_platform_signs_in_with_a_second_factor(office: Office) -> None:
    email = office.email()
    link = (await office.services.people.links.administrator(email, "Root Example")).rpartition("/")[2]
    seat = office.seat()
    assert (await seat.post("/auth/reset", {"token": link, "password": PASSWORD})).status_code == 204
    assert (await seat.post("/auth/reset", {"token": link, "password": PASSWORD})).status_code == 404

    secret = await office.enrolled(email)
    answer = await seat.post("/auth/sign-in", {"email": email, "password": PASSWORD, "code": code(secret)})
    other = office.seat()
    other.cookie = seat.cookie

    assert (answer.json()["role"], answer.json()["tenantId"]) == ("PLATFORM_ADMIN", None)
    assert (await seat.viewer())["user"]["email"] == email
    rows = (await office.ask(seat.bearer, "{ mySessions { current } }"))["data"]["mySessions"]
    assert sorted(row["current"] for row in rows) == [False, True]
    third = office.seat()
    third.cookie = other.cookie
    assert (await seat.post("/auth/refresh")).status_code == 200
    assert (await other.post("/auth/refresh")).status_code == 200, "another tab"
    assert other.cookie == seat.cookie
    await office.grow_old()
    assert (await third.post("/auth/refresh")).status_code == 401, "used a while ago"
    assert (await seat.post("/auth/refresh")).status_code == 401
    async with asyncio.timeout(20):
        while await seat.viewer() is not None:  # noqa: ASYNC110 - the api looks twice a second
            await asyncio.sleep(0.05)
