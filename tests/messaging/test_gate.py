from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lead_orchestrator.leads.models import Channel, LeadStatus, MessageKind
from lead_orchestrator.leads.status import ENDS_TOUCHES
from lead_orchestrator.messaging.gate import Decision, Defer, Facts, Send, Suppress, decide
from lead_orchestrator.touches.quiet_hours import QuietHours
from lead_orchestrator.touches.whereabouts import Whereabouts

LOS_ANGELES = ZoneInfo("America/Los_Angeles")
AT_THE_SHOP = Whereabouts((LOS_ANGELES,), (), "the shop's zone")
PHONE, EMAIL = "+12135550101", "ada@example.com"
NOON = datetime(2026, 11, 23, 12, tzinfo=LOS_ANGELES).astimezone(UTC)
BOTH = frozenset({Channel.SMS, Channel.EMAIL})


def facts(**changes: Any) -> Facts:
    """A second touch that may be sent by text at noon, unless told otherwise."""
    usual = Facts(
        now=NOON,
        kind=MessageKind.TOUCH,
        touch_number=2,
        channels=[Channel.SMS, Channel.EMAIL],
        addresses={Channel.SMS: PHONE, Channel.EMAIL: EMAIL},
        status=LeadStatus.CONTACTED,
        paused=False,
        opted_out=frozenset(),
        consented=BOTH,
        place=AT_THE_SHOP,
        window=QuietHours(),
        instant_replies=False,
        tenant_active=True,
        demo_mode=False,
        allowlist=(),
        senders=BOTH,
        daily_cap=3,
        weekly_cap=10,
    )
    return replace(usual, **changes)


def at(wall: str, **changes: Any) -> Facts:
    return facts(now=datetime.fromisoformat(wall).replace(tzinfo=LOS_ANGELES).astimezone(UTC), **changes)


def local(moment: datetime) -> str:
    return moment.astimezone(LOS_ANGELES).isoformat(timespec="minutes")


def sent(decision: Decision) -> Send:
    assert isinstance(decision, Send), decision
    return decision


def deferred(decision: Decision) -> Defer:
    assert isinstance(decision, Defer), decision
    return decision


def suppressed(decision: Decision) -> Suppress:
    assert isinstance(decision, Suppress), decision
    return decision


def test_within_the_hours_it_is_sent_on_the_wanted_channel_and_must_arrive_before_they_end() -> None:
    send = sent(decide(facts()))

    assert (send.channel, local(send.before)) == (Channel.SMS, "2026-11-23T20:00-08:00")
    assert send.decision == (
        "Sent by SMS at Mon 2026-11-23 12:00, within 09:00-20:00 in America/Los_Angeles (the shop's zone)"
    )


@pytest.mark.parametrize("status", sorted(ENDS_TOUCHES))
def test_a_lead_that_answered_or_ended_gets_no_further_touch(status: LeadStatus) -> None:
    suppress = suppressed(decide(facts(status=status)))

    assert suppress.ends_touches
    assert suppress.decision == f"Not sent: the lead is {status.value.lower().replace('_', ' ')}"


@pytest.mark.parametrize("status", sorted(set(LeadStatus) - ENDS_TOUCHES))
def test_an_open_lead_gets_its_touch(status: LeadStatus) -> None:
    sent(decide(facts(status=status)))


def test_a_booked_lead_still_gets_its_reminder() -> None:
    reminder = facts(kind=MessageKind.REMINDER, touch_number=None, status=LeadStatus.BOOKED, channels=[Channel.SMS])

    assert sent(decide(reminder)).channel is Channel.SMS


def test_a_paused_lead_gets_no_touch() -> None:
    suppress = suppressed(decide(facts(paused=True)))

    assert (suppress.decision, suppress.ends_touches) == ("Not sent: the touches are paused", True)


def test_a_pause_does_not_hold_back_what_is_no_touch() -> None:
    sent(decide(facts(paused=True, kind=MessageKind.REPLY, touch_number=None)))


@pytest.mark.parametrize(
    ("changes", "reason", "ends"),
    [
        ({"addresses": {}}, "the lead has no address for it", True),
        ({"opted_out": BOTH}, "the person opted out", True),
        ({"demo_mode": True}, "demo mode is on and the address is not on the allow-list", True),
        ({"consented": frozenset()}, "there is no consent to further messages", False),
        ({"senders": frozenset()}, "the franchise has no account to send it from", False),
    ],
)
def test_without_an_open_channel_it_is_suppressed_with_the_reason_of_each(
    changes: dict[str, Any], reason: str, *, ends: bool
) -> None:
    suppress = suppressed(decide(facts(**changes)))

    assert suppress.decision == f"Not sent. SMS: {reason}; EMAIL: {reason}"
    assert suppress.ends_touches is ends


def test_without_any_channel_it_is_suppressed() -> None:
    assert suppressed(decide(facts(channels=[]))).decision == "Not sent. No channel is left"


def test_touches_go_on_while_one_channel_is_closed_for_now_only() -> None:
    mixed = facts(opted_out=frozenset({Channel.SMS}), consented=frozenset())

    assert not suppressed(decide(mixed)).ends_touches


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"addresses": {Channel.EMAIL: EMAIL}}, "the lead has no address for it"),
        ({"opted_out": frozenset({Channel.SMS})}, "the person opted out"),
        ({"consented": frozenset({Channel.EMAIL})}, "there is no consent to further messages"),
        ({"senders": frozenset({Channel.EMAIL})}, "the franchise has no account to send it from"),
        (
            {"demo_mode": True, "allowlist": ["*@example.com"]},
            "demo mode is on and the address is not on the allow-list",
        ),
    ],
)
def test_the_other_channel_takes_over_and_the_decision_says_why(changes: dict[str, Any], reason: str) -> None:
    send = sent(decide(facts(**changes)))

    assert send.channel is Channel.EMAIL
    assert send.decision.endswith(f"instead of SMS: {reason}")


def test_what_is_no_touch_keeps_to_its_channel() -> None:
    confirmation = facts(
        kind=MessageKind.CONFIRMATION, touch_number=None, channels=[Channel.SMS], opted_out={Channel.SMS}
    )

    assert suppressed(decide(confirmation)).decision == "Not sent. SMS: the person opted out"


def test_the_first_touch_answers_the_quote_and_needs_no_consent_of_its_own() -> None:
    assert sent(decide(facts(touch_number=1, consented=frozenset()))).channel is Channel.SMS
    assert isinstance(decide(facts(touch_number=2, consented=frozenset())), Suppress)


@pytest.mark.parametrize(
    ("allowlist", "allowed"),
    [
        ([PHONE], True),
        (["+1???55501??"], True),
        (["+1213555*"], True),
        (["+12135550102"], False),
        (["1213555*"], False),
        ([""], False),
        ([], False),
    ],
)
def test_demo_mode_contacts_the_allow_list_only(allowlist: list[str], *, allowed: bool) -> None:
    decision = decide(facts(demo_mode=True, allowlist=allowlist, channels=[Channel.SMS]))

    assert isinstance(decision, Send) is allowed


@pytest.mark.parametrize("entry", ["ADA@Example.com", "*@EXAMPLE.com", "ada@*"])
def test_the_allow_list_does_not_mind_capitals(entry: str) -> None:
    demo = facts(
        demo_mode=True, allowlist=[entry], channels=[Channel.EMAIL], addresses={Channel.EMAIL: "Ada@example.COM"}
    )

    assert sent(decide(demo)).channel is Channel.EMAIL


def test_a_suspended_franchise_waits_and_loses_nothing() -> None:
    wait = deferred(decide(facts(tenant_active=False, status=LeadStatus.BOOKED)))

    assert (wait.until, wait.decision) == (NOON + timedelta(hours=1), "Waiting: the franchise is suspended")


@pytest.mark.parametrize(
    ("now", "until"),
    [
        ("2026-11-23T23:00", "2026-11-24T09:00-08:00"),
        ("2026-11-23T20:00", "2026-11-24T09:00-08:00"),
        ("2026-11-23T08:59", "2026-11-23T09:00-08:00"),
        ("2027-03-13T23:00", "2027-03-14T09:00-07:00"),  # clocks go ahead in the night: ten hours, not eleven
        ("2026-10-31T23:00", "2026-11-01T09:00-08:00"),  # clocks go back in the night
    ],
)
def test_outside_the_hours_it_waits_for_them(now: str, until: str) -> None:
    wait = deferred(decide(at(now)))

    assert local(wait.until) == until
    assert "outside the contact hours 09:00-20:00 in America/Los_Angeles (the shop's zone)" in wait.decision


@pytest.mark.parametrize("now", ["2026-11-23T09:00", "2026-11-23T19:59"])
def test_the_hours_begin_sharp_and_end_just_before_their_end(now: str) -> None:
    sent(decide(at(now)))


def test_the_hours_end_by_the_wall_clock_on_a_day_with_a_change() -> None:
    assert local(sent(decide(at("2027-03-14T09:30"))).before) == "2027-03-14T20:00-07:00"


@pytest.mark.parametrize(
    ("now", "passes"),
    [("2026-11-23T08:00", True), ("2026-11-23T20:59", True), ("2026-11-23T07:59", False), ("2026-11-23T21:00", False)],
)
def test_instant_replies_answer_a_quote_from_eight_to_nine_at_night_and_never_outside(
    now: str, *, passes: bool
) -> None:
    assert isinstance(decide(at(now, touch_number=1, instant_replies=True)), Send) is passes


def test_instant_replies_are_for_the_first_touch_only() -> None:
    assert isinstance(decide(at("2026-11-23T20:30", instant_replies=True)), Defer)


@pytest.mark.parametrize("now", ["2026-11-23T07:30", "2026-11-23T21:30"])
@pytest.mark.parametrize("touch_number", [1, 2])
def test_hours_wider_than_the_law_has_them_do_not_count(now: str, touch_number: int) -> None:
    wide = QuietHours(time(6), time(23))

    assert isinstance(decide(at(now, window=wide, touch_number=touch_number, instant_replies=True)), Defer)


def test_hours_that_lie_wholly_outside_the_law_become_the_default() -> None:
    wait = deferred(decide(at("2026-11-23T22:00", window=QuietHours(time(21, 30), time(23)))))

    assert local(wait.until) == "2026-11-24T09:00-08:00"


def test_a_full_day_waits_until_the_oldest_of_it_is_a_day_old() -> None:
    recent = [NOON - timedelta(hours=2), NOON - timedelta(hours=20), NOON - timedelta(hours=1)]

    wait = deferred(decide(facts(sent=recent)))

    assert wait.until == NOON + timedelta(hours=4)
    assert wait.decision == "Waiting until Mon 2026-11-23 16:00: 3 messages within a day, at most 3"


def test_a_full_day_that_ends_at_night_waits_for_the_morning_after() -> None:
    recent = [NOON - timedelta(hours=hours) for hours in (1, 2, 3)]

    assert local(deferred(decide(facts(sent=recent, now=NOON + timedelta(hours=7)))).until).startswith("2026-11-24T09")


def test_what_was_sent_more_than_a_day_ago_does_not_count() -> None:
    sent(decide(facts(sent=[NOON - timedelta(days=1), NOON - timedelta(hours=2), NOON - timedelta(hours=3)])))


def in_states(*states: str) -> Whereabouts:
    return replace(AT_THE_SHOP, states=states, known_by="by the postal code")


def test_a_states_law_narrows_the_hours_and_the_decision_names_it() -> None:
    send = sent(decide(facts(place=in_states("CT", "CA"), window=QuietHours(time(8), time(21)))))

    assert local(send.before) == "2026-11-23T20:00-08:00"
    assert send.decision.endswith("within 09:00-20:00 in America/Los_Angeles (by the postal code; law of CT)")


def test_instant_replies_go_as_far_as_the_states_law() -> None:
    evening = at("2026-11-23T20:30", touch_number=1, instant_replies=True)

    assert isinstance(decide(evening), Send)
    assert isinstance(decide(replace(evening, place=in_states("FL"))), Defer)


def test_somebody_who_may_be_in_two_zones_is_written_to_when_both_allow_it() -> None:
    both = Whereabouts((ZoneInfo("America/New_York"), LOS_ANGELES), (), "by the area code")

    wait = deferred(decide(at("2026-11-23T17:00", place=both)))

    assert local(wait.until) == "2026-11-24T09:00-08:00"
    assert "in America/New_York and America/Los_Angeles (by the area code)" in wait.decision


def test_where_no_time_is_lawful_it_is_never_sent_and_the_touches_go_on() -> None:
    names = ("Pacific/Honolulu", "America/New_York", "Europe/Berlin", "Asia/Tokyo")
    anywhere = Whereabouts(tuple(map(ZoneInfo, names)), (), "by the area code")

    suppress = suppressed(decide(facts(place=anywhere)))

    assert suppress.decision.startswith("Not sent: there is no time to write that is allowed in Pacific/Honolulu and")
    assert not suppress.ends_touches


def test_a_state_that_allows_three_solicitations_a_day_overrides_a_larger_cap() -> None:
    recent = [NOON - timedelta(hours=hours) for hours in (1, 2, 3)]
    known = facts(daily_cap=20, sent=recent)

    assert isinstance(decide(known), Send)
    wait = deferred(decide(replace(known, place=in_states("FL"))))
    assert wait.decision.endswith("3 messages within a day, at most 3")


def test_a_full_week_waits_until_the_oldest_of_it_is_a_week_old() -> None:
    sent_before = [NOON - timedelta(days=days, hours=1) for days in (1, 3, 5)]

    wait = deferred(decide(facts(sent=sent_before, weekly_cap=3)))

    assert wait.until == NOON + timedelta(days=2, hours=-1)
    assert wait.decision.endswith("3 messages within a week, at most 3")
    sent(decide(facts(sent=sent_before, weekly_cap=4)))


@pytest.mark.parametrize("kind", sorted(MessageKind))
def test_caps_and_holidays_are_for_what_solicits(kind: MessageKind) -> None:
    solicits = kind in {MessageKind.TOUCH, MessageKind.WELCOME, MessageKind.AD_HOC}
    christmas = at("2026-12-25T12:00", kind=kind, skip_holidays=True)
    full = facts(kind=kind, sent=[NOON - timedelta(hours=1)] * 3)

    assert [isinstance(decide(known), Defer) for known in (christmas, full)] == [solicits, solicits]


@pytest.mark.parametrize("kind", sorted(MessageKind))
def test_while_a_person_has_the_conversation_what_the_product_says_by_itself_waits(kind: MessageKind) -> None:
    known = facts(kind=kind, person_has_it=True)

    assert isinstance(decide(known), Defer) is (kind in {MessageKind.TOUCH, MessageKind.WELCOME})


@pytest.mark.parametrize("kind", sorted(MessageKind))
def test_at_night_only_somebody_who_has_just_written_is_answered(kind: MessageKind) -> None:
    night = at("2026-11-23T23:00", kind=kind)
    asked = replace(night, wrote_at={Channel.SMS: night.now - timedelta(minutes=59)})
    long_ago = replace(night, wrote_at={Channel.SMS: night.now - timedelta(minutes=60)})

    assert isinstance(decide(night), Defer)
    assert isinstance(decide(long_ago), Defer)
    assert isinstance(decide(asked), Send) is (kind in {MessageKind.REPLY, MessageKind.CONFIRMATION})


def test_an_answer_at_night_must_arrive_within_the_hour_and_never_after_an_opt_out() -> None:
    night = at("2026-11-23T23:00", kind=MessageKind.REPLY, channels=[Channel.SMS])
    asked = replace(night, wrote_at={Channel.SMS: night.now - timedelta(minutes=1)})

    assert sent(decide(asked)).before == night.now + timedelta(hours=1)
    assert isinstance(decide(replace(asked, opted_out=BOTH)), Suppress)


@pytest.mark.parametrize("kind", sorted(MessageKind))
def test_what_everybody_is_owed_holds_for_every_kind(kind: MessageKind) -> None:
    assert isinstance(decide(facts(kind=kind, opted_out=BOTH)), Suppress)
    assert isinstance(decide(facts(kind=kind, demo_mode=True)), Suppress)
    assert isinstance(decide(facts(kind=kind, senders=frozenset())), Suppress)
    assert isinstance(decide(facts(kind=kind, tenant_active=False)), Defer)
    assert isinstance(decide(at("2026-11-23T23:00", kind=kind)), Defer)


def test_a_channel_whose_account_is_refused_is_passed_over_while_there_is_another() -> None:
    send = sent(decide(facts(refused=frozenset({Channel.SMS}))))

    assert send.channel is Channel.EMAIL
    assert send.decision.endswith("instead of SMS: its provider refuses the franchise's account")
    assert sent(decide(facts(refused=BOTH))).channel is Channel.SMS  # how else would it be found to work again


def on_whatsapp(**changes: Any) -> Facts:
    every = frozenset(Channel)
    channels = [Channel.WHATSAPP, Channel.SMS, Channel.EMAIL]
    addresses = {Channel.WHATSAPP: PHONE, Channel.SMS: PHONE, Channel.EMAIL: EMAIL}
    usual = {"channels": channels, "addresses": addresses, "senders": every, "consented": every}
    return facts(**{**usual, **changes})


def test_whatsapp_takes_free_text_within_a_day_of_the_persons_message_only() -> None:
    fresh = on_whatsapp(wrote_at={Channel.WHATSAPP: NOON - timedelta(hours=23, minutes=59)}, whatsapp_template="quote")
    late = replace(fresh, wrote_at={Channel.WHATSAPP: NOON - timedelta(hours=24)})

    assert (sent(decide(fresh)).channel, sent(decide(fresh)).template) == (Channel.WHATSAPP, None)
    assert (sent(decide(late)).channel, sent(decide(late)).template) == (Channel.WHATSAPP, "quote")


def test_without_a_template_the_next_channel_takes_over_from_whatsapp() -> None:
    send = sent(decide(on_whatsapp(wrote_at={Channel.SMS: NOON})))  # a text opens nothing there

    assert (send.channel, send.template) == (Channel.SMS, None)
    assert (
        "instead of WHATSAPP: more than 24 hours after the person's last message it takes a template" in send.decision
    )


def some_of(channels: frozenset[Channel]) -> st.SearchStrategy[frozenset[Channel]]:
    return st.frozensets(st.sampled_from(sorted(channels)))


minutes = st.integers(0, 23 * 60 + 59).map(lambda minute: time(minute // 60, minute % 60))
windows = st.tuples(minutes, minutes).filter(lambda pair: pair[0] < pair[1]).map(lambda pair: QuietHours(*pair))
worlds = st.builds(
    facts,
    now=st.datetimes(datetime(2026, 10, 25), datetime(2027, 3, 21), timezones=st.just(UTC)),  # noqa: DTZ001 - bounds
    kind=st.sampled_from(MessageKind),
    touch_number=st.integers(1, 13),
    addresses=st.fixed_dictionaries(
        {Channel.SMS: st.sampled_from([PHONE, None, ""]), Channel.EMAIL: st.sampled_from([EMAIL, None])}
    ),
    status=st.sampled_from(LeadStatus),
    paused=st.booleans(),
    opted_out=some_of(BOTH),
    consented=some_of(BOTH),
    place=st.sampled_from(
        [
            Whereabouts(tuple(map(ZoneInfo, names)), states, "stated")
            for names in (
                ["America/New_York"],
                ["America/Phoenix", "America/Denver"],
                ["Pacific/Honolulu"],
                ["America/Los_Angeles"],
            )
            for states in ((), ("TX",), ("RI", "FL"))
        ]
    ),
    window=windows,
    instant_replies=st.booleans(),
    tenant_active=st.booleans(),
    demo_mode=st.booleans(),
    allowlist=st.sampled_from([(), (PHONE,), ("*@example.com",), ("*",)]),
    senders=some_of(BOTH),
    daily_cap=st.integers(1, 3),
    weekly_cap=st.just(10),
    sent=st.lists(st.just(NOON), max_size=3),
)


@given(worlds)
def test_whatever_is_sent_may_be_sent(known: Facts) -> None:
    decision = decide(known)

    if isinstance(decision, Defer):
        assert decision.until > known.now
    if not isinstance(decision, Send):
        return
    wall = known.now.astimezone(known.place.zones[0])
    assert time(8) <= wall.time() < time(21)
    assert known.window.allows(wall) or known.instant_replies or not _lawful(known.window)
    assert known.now < decision.before <= known.now + timedelta(hours=13)
    assert decision.before.astimezone(known.place.zones[0]).time() <= time(21)
    assert decision.channel not in known.opted_out
    assert decision.channel in known.senders
    assert known.addresses[decision.channel]
    assert known.tenant_active
    if known.kind is MessageKind.TOUCH:
        assert known.status not in ENDS_TOUCHES
        assert not known.paused
        assert known.touch_number == 1 or decision.channel in known.consented
    if known.demo_mode:
        assert known.allowlist


def _lawful(window: QuietHours) -> bool:
    return max(window.opens, time(8)) < min(window.closes, time(21))


@given(worlds)
def test_a_deferred_message_is_not_deferred_for_the_hours_again(known: Facts) -> None:
    first = decide(replace(known, tenant_active=True, sent=()))

    if isinstance(first, Defer):
        assert isinstance(decide(replace(known, tenant_active=True, sent=(), now=first.until)), Send)


def test_what_confirms_an_opt_out_expires_with_its_five_minutes() -> None:
    late = NOON + timedelta(minutes=5)
    confirmation = facts(
        kind=MessageKind.REPLY,
        channels=[Channel.SMS],
        opted_out=frozenset({Channel.SMS}),
        confirms_opt_out=True,
        wrote_at={Channel.SMS: NOON},
        not_after=late,
    )

    send = sent(decide(confirmation))
    too_late = suppressed(decide(replace(confirmation, now=late)))
    held_up = suppressed(decide(replace(confirmation, tenant_active=False)))

    assert send.before == late
    assert too_late.decision == "Not sent: it was to go out before Mon 2026-11-23 12:05, and not later"
    assert held_up.decision == too_late.decision
