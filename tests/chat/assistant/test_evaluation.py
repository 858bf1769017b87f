"""The evaluation set in short: offline it is deterministic, and nothing good is blocked."""

from __future__ import annotations

from collections import Counter

from lead_orchestrator.bench.evaluation import conversations, hold
from tests.stack import Stack


def test_there_are_fifty_conversations_with_every_outcome() -> None:
    expected = Counter(one.expect for one in conversations())

    assert sum(expected.values()) == 50
    assert set(expected) == {"booked", "handed over", "opted out", "price quoted", "times offered", "hours told"}
    assert len({one.name for one in conversations()}) == 50


async def test_conversations_come_to_what_is_expected_and_no_good_answer_is_blocked(stack: Stack) -> None:
    location = next(iter(stack.locations.values()))

    judged = [await hold(stack.services, stack.tenant_id, location, one) for one in conversations()[::4]]

    assert [(one.conversation.name, one.became, one.missing, one.said) for one in judged if not one.as_expected] == []
    assert sum(one.blocked for one in judged) == 0


async def test_without_a_model_rules_come_to_the_same(stack: Stack) -> None:
    location = next(iter(stack.locations.values()))
    await stack.fault("openai", "bad_credentials")

    judged = [await hold(stack.services, stack.tenant_id, location, one) for one in conversations()[1::4]]

    assert [(one.conversation.name, one.became, one.missing, one.said) for one in judged if not one.as_expected] == []
