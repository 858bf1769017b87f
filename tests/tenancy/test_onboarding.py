"""A franchise is onboarded once, changed by running it again, and never takes what belongs to another one."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from lead_orchestrator.errors import BadInputError
from lead_orchestrator.tenancy.lookups import Lookups
from lead_orchestrator.tenancy.onboarding import Onboarded, Onboarding, parse_franchise
from lead_orchestrator.tenancy.secrets import SecretBox
from lead_orchestrator.tenancy.sessions import Scope, Tenancy
from tests.factories import make_tenant

COUNTED = (
    "tenants",
    "locations",
    "location_hours",
    "routes",
    "tenant_crm_configs",
    "tenant_messaging_configs",
    "audit_log",
)
SECRET = "whsec_not-for-anybodys-eyes"


class Crm:
    """A CRM that lets every key read every location but those in `refused`, and notes what it was asked."""

    def __init__(self, *refused: str) -> None:
        self.refused = refused
        self.asked: list[tuple[str, str]] = []

    async def owns(self, key: str, location: str) -> bool:
        self.asked.append((key, location))
        return location not in self.refused


def _description(slug: str | None = None, **changes: Any) -> dict[str, Any]:
    name = slug or f"f-{secrets.token_hex(6)}"
    shop = {
        "name": "Downtown",
        "slug": f"{name}-downtown",
        "timezone": "America/Los_Angeles",
        "shopmonkeyLocationId": f"sm-{name}",
        "hours": [{"dayOfWeek": 1, "opensAt": "09:00", "closesAt": "17:00"}],
    }
    whole = {"name": "Tint", "slug": name, "crm": {"apiKey": "key", "webhookSecret": SECRET}, "locations": [shop]}
    return {**whole, **changes}


async def _onboard(
    tenancy: Tenancy, box: SecretBox, description: Mapping[str, Any], crm: Crm | None = None
) -> Onboarded:
    onboarding = Onboarding(tenancy, box, (crm or Crm()).owns)
    return await onboarding.onboard(parse_franchise(description), actor="tests")


async def _counts(tenancy: Tenancy, *tables: str) -> list[int]:
    async with tenancy.platform() as session:
        return [int(await session.scalar(text(f"SELECT count(*) FROM {table}")) or 0) for table in tables]  # noqa: S608 - names of this file


async def _secrets(tenancy: Tenancy, box: SecretBox, tenant_id: UUID) -> tuple[str, str | None, datetime | None]:
    """The webhook secret in force, the one before, and how long that one still holds."""
    statement = text(
        "SELECT webhook_secret, previous_webhook_secret, previous_secret_valid_until FROM tenant_crm_configs"
    )
    async with tenancy.read(Scope.service(tenant_id)) as session:
        now, before, until = (await session.execute(statement)).one()
    opened = [sealed and box.open(tenant_id, "shopmonkey_webhook_secret", sealed) for sealed in (now, before)]
    return opened[0], opened[1], until


async def test_a_new_franchise_is_complete(tenancy: Tenancy, secret_box: SecretBox) -> None:
    description = _description()
    crm = Crm()

    made = await _onboard(tenancy, secret_box, description, crm)

    shop = description["locations"][0]
    assert made.created
    assert made.webhook_secret is None
    assert list(made.location_ids) == [shop["slug"]]
    assert crm.asked == [("key", shop["shopmonkeyLocationId"])]
    async with tenancy.read(Scope.service(made.tenant_id)) as session:
        assert await session.scalar(text("SELECT demo_mode FROM tenants"))
        assert await session.scalar(text("SELECT count(*) FROM tenant_heads")) == 1
        assert await session.scalar(text("SELECT count(*) FROM location_hours")) == 1
        routes = await session.execute(text("SELECT kind, key FROM routes ORDER BY kind"))
        assert [tuple(row) for row in routes] == [
            ("shopmonkey_location", shop["shopmonkeyLocationId"]),
            ("slug", shop["slug"]),
        ]
        assert list(await session.scalars(text("SELECT action FROM audit_log"))) == ["tenant.onboarded"]


async def test_running_it_again_changes_nothing(tenancy: Tenancy, secret_box: SecretBox) -> None:
    description = _description()
    first = await _onboard(tenancy, secret_box, description)
    *before, lines = await _counts(tenancy, *COUNTED)

    again = await _onboard(tenancy, secret_box, description)

    assert again == Onboarded(first.tenant_id, False, first.location_ids, None)
    assert await _counts(tenancy, *COUNTED) == [*before, lines + 1]


async def test_running_it_again_brings_what_differs(tenancy: Tenancy, secret_box: SecretBox) -> None:
    description = _description()
    made = await _onboard(tenancy, secret_box, description)
    shop = description["locations"][0]
    hours = [
        {"dayOfWeek": 2, "opensAt": "10:00", "closesAt": "12:00"},
        {"dayOfWeek": 2, "opensAt": "12:00", "closesAt": "14:00"},
    ]
    second = {"name": "Uptown", "slug": f"{shop['slug']}-2", "timezone": "America/New_York"}
    changed = description | {"demoMode": False, "locations": [shop | {"bays": 4, "hours": hours}, second]}

    again = await _onboard(tenancy, secret_box, changed)

    assert again.location_ids[shop["slug"]] == made.location_ids[shop["slug"]]
    async with tenancy.read(Scope.service(made.tenant_id)) as session:
        assert not await session.scalar(text("SELECT demo_mode FROM tenants"))
        assert list(await session.scalars(text("SELECT bays FROM locations ORDER BY bays"))) == [1, 4]
        days = text("SELECT day_of_week FROM location_hours")
        assert list(await session.scalars(days)) == [2, 2]


async def test_the_secret_is_made_when_none_is_given_and_shown_once(tenancy: Tenancy, secret_box: SecretBox) -> None:
    description = _description(crm={"apiKey": "key"})

    made = await _onboard(tenancy, secret_box, description)
    again = await _onboard(tenancy, secret_box, description)

    assert made.webhook_secret is not None
    assert made.webhook_secret.startswith("whsec_")
    assert again.webhook_secret is None
    assert await _secrets(tenancy, secret_box, made.tenant_id) == (made.webhook_secret, None, None)


async def test_the_former_secret_holds_for_a_day(tenancy: Tenancy, secret_box: SecretBox) -> None:
    description = _description()
    made = await _onboard(tenancy, secret_box, description)

    await _onboard(tenancy, secret_box, description | {"crm": {"apiKey": "key", "webhookSecret": "whsec_new"}})

    secret, former, until = await _secrets(tenancy, secret_box, made.tenant_id)
    assert (secret, former) == ("whsec_new", SECRET)
    assert until is not None
    assert timedelta(hours=23, minutes=59) < until - datetime.now(UTC) <= timedelta(days=1)


async def test_the_same_secret_again_keeps_the_former_one(tenancy: Tenancy, secret_box: SecretBox) -> None:
    description = _description()
    made = await _onboard(tenancy, secret_box, description)
    rotated = description | {"crm": {"apiKey": "key", "webhookSecret": "whsec_new"}}
    await _onboard(tenancy, secret_box, rotated)
    after_one = await _secrets(tenancy, secret_box, made.tenant_id)

    await _onboard(tenancy, secret_box, rotated)

    assert await _secrets(tenancy, secret_box, made.tenant_id) == after_one


async def test_keys_are_kept_sealed(tenancy: Tenancy, secret_box: SecretBox) -> None:
    messaging = {"twilioAuthToken": "token-in-clear", "sendgridApiKey": "sendgrid-in-clear"}
    made = await _onboard(tenancy, secret_box, _description(messaging=messaging))

    async with tenancy.platform() as session:
        rows = [
            str(await session.scalar(text(statement), {"id": made.tenant_id}))
            for statement in (
                "SELECT to_jsonb(t)::text FROM tenant_crm_configs t WHERE tenant_id = :id",
                "SELECT to_jsonb(t)::text FROM tenant_messaging_configs t WHERE tenant_id = :id",
            )
        ]
        raw = text("SELECT twilio_auth_token FROM tenant_messaging_configs WHERE tenant_id = :id")
        sealed = await session.scalar(raw, {"id": made.tenant_id})
    assert secret_box.open(made.tenant_id, "twilio_auth_token", sealed) == "token-in-clear"
    for secret in (SECRET, "token-in-clear", "sendgrid-in-clear"):
        assert secret not in "".join(rows)
        assert secret.encode().hex() not in "".join(rows)


@pytest.mark.parametrize("taken", ["slug", "shopmonkeyLocationId", "phone"])
async def test_what_another_franchise_holds_is_refused_and_nothing_is_written(
    tenancy: Tenancy, secret_box: SecretBox, taken: str
) -> None:
    number = f"+1{secrets.randbelow(700) + 201}55501{secrets.randbelow(100):02d}"
    holder = _description(messaging={"twilioPhoneNumber": number})
    await _onboard(tenancy, secret_box, holder)
    before = await _counts(tenancy, *COUNTED)
    description = _description()
    if taken == "phone":
        description["messaging"] = {"twilioPhoneNumber": number}
    else:
        description["locations"][0][taken] = holder["locations"][0][taken]

    with pytest.raises(BadInputError, match="belongs to another franchise") as refused:
        await _onboard(tenancy, secret_box, description)

    assert refused.value.code == "ALREADY_CLAIMED"
    assert await _counts(tenancy, *COUNTED) == before


async def test_a_refused_change_leaves_the_franchise_as_it_was(tenancy: Tenancy, secret_box: SecretBox) -> None:
    holder, description = _description(), _description()
    await _onboard(tenancy, secret_box, holder)
    made = await _onboard(tenancy, secret_box, description)
    stolen = description["locations"][0] | {"shopmonkeyLocationId": holder["locations"][0]["shopmonkeyLocationId"]}

    with pytest.raises(BadInputError, match="belongs to another franchise"):
        await _onboard(tenancy, secret_box, description | {"name": "Changed", "locations": [stolen]})

    async with tenancy.read(Scope.service(made.tenant_id)) as session:
        assert await session.scalar(text("SELECT name FROM tenants")) == "Tint"
        assert await session.scalar(text("SELECT shopmonkey_location_id FROM locations")) == f"sm-{description['slug']}"


async def test_a_location_is_claimed_by_one_of_two_at_once(tenancy: Tenancy, secret_box: SecretBox) -> None:
    one, other = _description(), _description()
    other["locations"][0]["shopmonkeyLocationId"] = one["locations"][0]["shopmonkeyLocationId"]

    ended = await asyncio.gather(
        *(_onboard(tenancy, secret_box, each) for each in (one, other)), return_exceptions=True
    )

    assert sorted(type(end).__name__ for end in ended) == ["BadInputError", "Onboarded"]


async def test_a_location_the_key_does_not_read_is_refused_before_anything_is_written(
    tenancy: Tenancy, secret_box: SecretBox
) -> None:
    description = _description()
    before = await _counts(tenancy, *COUNTED)
    crm = Crm(description["locations"][0]["shopmonkeyLocationId"])

    with pytest.raises(BadInputError, match="is not readable with this key") as refused:
        await _onboard(tenancy, secret_box, description, crm)

    assert refused.value.code == "LOCATION_NOT_OWNED"
    assert "apiKey" not in str(refused.value)
    assert await _counts(tenancy, *COUNTED) == before


async def test_a_shopmonkey_location_needs_a_key(tenancy: Tenancy, secret_box: SecretBox) -> None:
    with pytest.raises(BadInputError, match=r"give crm\.apiKey"):
        await _onboard(tenancy, secret_box, _description(crm=None))


def test_every_problem_is_told_with_its_path() -> None:
    description = _description(slug="a-tint", name="")
    description["slug"] = "Not A Slug"
    description["messaging"] = {"twilioPhoneNumber": "213-555-0100"}
    description["locations"][0] |= {"timezone": "Mars/Olympus", "bays": 0}
    description["locations"][0]["hours"][0]["dayOfWeek"] = 7

    with pytest.raises(BadInputError) as refused:
        parse_franchise(description)

    for path in (
        "name: ",
        "slug: ",
        "messaging.twilioPhoneNumber: ",
        "locations.0.timezone: ",
        "locations.0.bays: ",
        "locations.0.hours.0.dayOfWeek: ",
    ):
        assert path in str(refused.value)
    assert "'Mars/Olympus' is not a time zone" in str(refused.value)
    assert "(got 'Not A Slug')" in str(refused.value)


@pytest.mark.parametrize(
    "wrong",
    [
        {"crm": {"apiKey": ["hush"]}},
        {"crm": {"apiKey": "key", "webhookSecrets": "hush"}},
        {"messaging": {"twilioAuthToken": {"value": "hush"}}},
        {"messaging": {"sendgridKey": "hush"}},
        {"messaging": {"twilioAuth": "hush"}},
        {"crm": {"apiKey": "key", "password": "hush"}},
        {"crm": "hush"},
    ],
)
def test_a_secret_is_not_repeated(wrong: dict[str, Any]) -> None:
    with pytest.raises(BadInputError) as refused:
        parse_franchise(_description(**wrong))

    assert "hush" not in str(refused.value)


@pytest.mark.parametrize("data", [None, [], "name: x", 7, {}])
def test_what_is_no_description_is_refused(data: object) -> None:
    with pytest.raises(BadInputError, match=r"file: |name: "):
        parse_franchise(data)


def test_an_unknown_key_is_told_by_its_path() -> None:
    with pytest.raises(BadInputError, match="demomode: "):
        parse_franchise(_description(demomode=True))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (("09:00", "12:00"), ("11:00", "14:00")),
        (("11:00", "14:00"), ("09:00", "12:00")),
        (("09:00", "17:00"), ("10:00", "11:00")),
        (("09:00", "12:00"), ("09:00", "13:00")),
    ],
)
def test_hours_that_overlap_are_refused(first: tuple[str, str], second: tuple[str, str]) -> None:
    description = _description()
    spans = [{"dayOfWeek": 1, "opensAt": opens, "closesAt": closes} for opens, closes in (first, second)]
    description["locations"][0]["hours"] = spans

    with pytest.raises(BadInputError, match=r"locations\.0: .*the hours of day 1 overlap at"):
        parse_franchise(description)


@pytest.mark.parametrize("closes", ["09:00", "08:59"])
def test_hours_that_end_before_they_begin_are_refused(closes: str) -> None:
    description = _description()
    description["locations"][0]["hours"] = [{"dayOfWeek": 1, "opensAt": "09:00", "closesAt": closes}]

    with pytest.raises(BadInputError, match=r"locations\.0\.hours\.0: .*not after 09:00"):
        parse_franchise(description)


def test_hours_of_two_days_do_not_overlap() -> None:
    description = _description()
    spans = [{"dayOfWeek": day, "opensAt": "09:00", "closesAt": "17:00"} for day in (1, 2)]
    description["locations"][0]["hours"] = spans

    assert len(parse_franchise(description).locations[0].hours) == 2


@pytest.mark.parametrize("key", ["slug", "shopmonkeyLocationId"])
def test_two_locations_with_the_same_key_are_refused(key: str) -> None:
    description = _description()
    first = description["locations"][0]
    description["locations"].append(first | {"slug": "another", "shopmonkeyLocationId": "another", key: first[key]})

    with pytest.raises(BadInputError, match=f"two locations have the same {key} "):
        parse_franchise(description)


async def test_a_shopmonkey_location_moves_to_another_shop_of_the_franchise(
    tenancy: Tenancy, lookups: Lookups, secret_box: SecretBox
) -> None:
    tenant = await make_tenant(tenancy, secret_box, locations=2)
    first, second = tenant.shopmonkey_locations
    slugs = [f"{tenant.slug}-{number}" for number in (1, 2)]
    description = {
        "name": "Moved",
        "slug": tenant.slug,
        "crm": {"apiKey": "key"},
        "locations": [
            {"name": slug, "slug": slug, "timezone": "America/Denver", "shopmonkeyLocationId": held}
            for slug, held in zip(slugs, (second, "brand-new"), strict=True)
        ],
    }

    async def owned(_key: str, _location: str) -> bool:
        return True

    await Onboarding(tenancy, secret_box, owned).onboard(parse_franchise(description), actor="tests")

    moved = await lookups.route("shopmonkey_location", second)
    assert moved is not None
    assert moved.location_id == tenant.locations[0]
    assert await lookups.route("shopmonkey_location", first) is None


async def test_two_onboardings_of_one_new_franchise_make_one(tenancy: Tenancy, secret_box: SecretBox) -> None:
    slug = f"t-{secrets.token_hex(6)}"
    description = {"name": "Twice", "slug": slug, "locations": [{"name": "A", "slug": slug, "timezone": "UTC"}]}

    async def owned(_key: str, _location: str) -> bool:
        return True

    onboarding = Onboarding(tenancy, secret_box, owned)
    made = await asyncio.gather(*(onboarding.onboard(parse_franchise(description), actor="tests") for _ in range(5)))
    assert len({one.tenant_id for one in made}) == 1
    assert sum(one.created for one in made) == 1
