from __future__ import annotations

import pytest
from pyotp.totp import TOTP
from sqlalchemy import text

from lead_orchestrator.errors import BadInputError
from lead_orchestrator.sandbox.seed import PLATFORM_FROM_EMAIL
from lead_orchestrator.tenancy.accounts.passwords import HashCost, Passwords
from lead_orchestrator.tenancy.accounts.second_factor import STEP, begin, recovery_hash, step_of
from lead_orchestrator.tenancy.tokens import Role
from tests.tenancy.accounts.office import PASSWORD, Office

OTHER = "velvet anchor hums at 4 winters"


async def test_a_forgotten_password_is_replaced_by_a_mailed_link_once(office: Office) -> None:
    person = await office.member()
    seat = await office.signed_in(person)

    asked = await office.seat().post("/auth/reset", {"email": person.email})
    link = await office.link(person.email)
    weak = await office.seat().post("/auth/reset", {"token": link, "password": "too short"})
    done = await office.seat().post("/auth/reset", {"token": link, "password": OTHER})
    twice = await office.seat().post("/auth/reset", {"token": link, "password": PASSWORD})

    assert (asked.status_code, weak.status_code, done.status_code, twice.status_code) == (202, 400, 204, 404)
    old, new = [
        await office.seat().post("/auth/sign-in", {"email": person.email, "password": one}) for one in (PASSWORD, OTHER)
    ]
    assert (old.status_code, new.status_code) == (401, 200)
    assert (await seat.post("/auth/refresh")).status_code == 401, "whoever was signed in is not any more"


async def test_nobody_learns_whether_there_is_an_account(office: Office) -> None:
    known = await office.member()
    mails = len(office.stack.world.messages)

    answers = [
        await office.seat().post("/auth/reset", {"email": email}) for email in (known.email, "nobody@example.com")
    ]
    await office.link(known.email)

    shown = [
        (answer.status_code, answer.text, sorted(set(answer.headers) - {"x-request-id", "date"})) for answer in answers
    ]
    assert shown[0] == shown[1]
    assert [mail.to for mail in office.stack.world.messages[mails:]] == [known.email]


async def test_the_mail_comes_from_the_platform_and_a_newer_link_voids_the_older(office: Office) -> None:
    email = office.email()
    await office.invite(Role.AGENT, email, name="Grace")
    first = await office.link(email)
    await office.invite(Role.AGENT, email)
    second = await office.link(email)

    void = await office.seat().post("/auth/accept-invite", {"token": first, "password": PASSWORD})
    good = await office.seat().post("/auth/accept-invite", {"token": second, "password": PASSWORD})

    assert (void.status_code, good.status_code) == (404, 204)
    sent = [mail for mail in office.stack.world.messages if mail.to == email]
    assert {mail.sender for mail in sent} == {PLATFORM_FROM_EMAIL}
    assert len(sent) == 2


async def test_an_unreachable_provider_is_asked_again_and_one_that_refuses_is_not(office: Office) -> None:
    email, mails = office.email(), office.services.people.mails
    await office.invite(Role.AGENT, email)
    await office.stack.fault("sendgrid", "error_500", count=1)

    await mails.dispatch(office.stack.tenant_id)

    statement = "SELECT i.mail_status AS s FROM invitations i JOIN users u ON u.id = i.user_id WHERE u.email = :e"
    assert [row["s"] for row in await office.stack.rows(statement, e=email)] == ["PENDING"]
    assert office.stack.tenant_id not in await office.services.lookups.due_account_mails()
    async with office.services.tenancy.write(office.stack.scope) as session:
        await session.execute(text("UPDATE invitations SET mail_due_at = now() WHERE mail_status = 'PENDING'"))
    assert office.stack.tenant_id in await office.services.lookups.due_account_mails()
    assert await office.link(email)
    assert [row["s"] for row in await office.stack.rows(statement, e=email)] == ["SENT"]
    assert await mails.dispatch(office.stack.tenant_id) == 0


async def test_a_link_ends(office: Office) -> None:
    email = office.email()
    await office.invite(Role.AGENT, email)
    link = await office.link(email)
    async with office.services.tenancy.write(office.stack.scope) as session:
        await session.execute(
            text("UPDATE invitations SET expires_at = now() - interval '1 second' WHERE used_at IS NULL")
        )

    late = await office.seat().post("/auth/accept-invite", {"token": link, "password": PASSWORD})
    forged = await office.seat().post("/auth/accept-invite", {"token": link[:-4] + "AAAA", "password": PASSWORD})

    assert (late.status_code, forged.status_code) == (404, 404)


async def test_the_page_behind_the_link_sets_the_password_without_a_script(office: Office) -> None:
    email = office.email()
    await office.invite(Role.AGENT, email)
    path = f"/auth/links/{await office.link(email)}"

    shown = await office.api.get(path)
    weak = await office.api.post(path, data={"password": "password1234", "name": "<b>Ada</b>"})
    done = await office.api.post(path, data={"password": PASSWORD, "name": "<b>Ada</b>"})
    gone = await office.api.get(path)

    assert [answer.status_code for answer in (shown, weak, done, gone)] == [200, 400, 200, 404]
    assert 'autocomplete="new-password"' in shown.text
    assert 'role="alert"' in weak.text
    assert "set-cookie" not in done.headers
    assert (await office.seat().post("/auth/sign-in", {"email": email, "password": PASSWORD})).status_code == 200


@pytest.mark.parametrize(
    "password",
    [
        "short7words",
        "x" * 129,
        "password1234",
        "qwertyuiop12",
        "aaaaaaaaaaaaaaaa",
        "123456789012",
        "iloveyou1234",
        "adaexample99",
        "Sun Shade Tint 1",
        "Summer2026!!",
        "granite tea\x00pot outruns 7 comets",
    ],
)
async def test_a_password_that_is_guessed_easily_will_not_do(password: str) -> None:
    passwords = Passwords(HashCost(1, 8))

    with pytest.raises(BadInputError) as refused:
        await passwords.check(password, ["ada.example@example.com", "Ada Example", "Sun Shade Tint"])

    assert refused.value.code == "WEAK_PASSWORD"
    assert password not in refused.value.message


async def test_a_good_password_is_good_however_it_was_typed() -> None:
    passwords = Passwords(HashCost(1, 8))
    await passwords.check(PASSWORD, ["ada@example.com"])
    stored = await passwords.hash("café granite outruns 7 comets")

    assert await passwords.matches(stored, "cafe\u0301 granite outruns 7 comets")
    assert not await passwords.matches(stored, "cafe granite outruns 7 comets")
    assert not await passwords.matches(None, PASSWORD)
    assert not await passwords.matches("no hash at all", PASSWORD)


def test_a_code_is_good_in_its_step_and_the_ones_beside_it_and_never_twice() -> None:
    secret = begin("ada@example.com").secret
    now = 1_000_000 * STEP
    current = TOTP(secret).at(now)

    assert step_of(secret, current, now, None) == 1_000_000
    assert step_of(secret, current, now + STEP, None) == 1_000_000
    assert step_of(secret, current, now - STEP, None) == 1_000_000
    assert step_of(secret, current, now + 2 * STEP, None) is None
    assert step_of(secret, current, now, 1_000_000) is None
    assert step_of(secret, current + "0", now, None) is None
    assert recovery_hash("AbC-12") == recovery_hash(" abc12 ")
