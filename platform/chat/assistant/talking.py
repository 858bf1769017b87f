"""The conversation with the model within one answer: it speaks, calls tools, and speaks from what they said."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from lead_orchestrator.chat.assistant.budget import Budgets, estimate
from lead_orchestrator.chat.assistant.models import Setup
from lead_orchestrator.chat.assistant.prompt import Shop
from lead_orchestrator.chat.assistant.speaking import Speaking
from lead_orchestrator.chat.conversations import Snapshot
from lead_orchestrator.chat.guard.evidence import Evidence, united
from lead_orchestrator.chat.models import ChatRole, Reason, Spoken
from lead_orchestrator.chat.tools.definitions import TOOLS
from lead_orchestrator.chat.tools.models import Called
from lead_orchestrator.chat.tools.toolbox import Toolbox
from lead_orchestrator.integrations.openai.client import OpenAIClient
from lead_orchestrator.integrations.openai.errors import ModelBusy, ModelRefused
from lead_orchestrator.integrations.openai.models import Account, Ended, Said, ToolCall, Wanted

__all__ = ["MOST_CALLS", "Run", "history", "talk"]

MOST_CALLS = 6
"""Of the model within one answer."""

MOST_TOOL_CALLS, MOST_TOKENS, CALL_SECONDS = 4, 600, 12.0
LONGEST_HISTORY = 24_000
Wire = dict[str, object]


@dataclass(frozen=True)
class Run:
    """All that one answer starts from; `local` is the shop's wall time."""

    snapshot: Snapshot
    setup: Setup
    shop: Shop
    box: Toolbox
    local: datetime

    @property
    def today(self) -> date:
        return self.local.date()

    @property
    def evidence(self) -> Evidence:
        """What may be said by now."""
        return united([self.box.memory.evidence, Evidence(texts=self.shop.texts)])

    @property
    def slots(self) -> list[dict[str, object]] | None:
        """The times that were offered in this turn, as a message keeps them."""
        found = [call.handles[one["slot"]] for call in self._calls("free_slots") for one in call.result["free"]]
        return [
            {
                "startsAt": one["starts_at"],
                "endsAt": one["ends_at"],
                "localStart": one["local_start"],
                "token": one["token"],
            }
            for one in found
        ] or None

    @property
    def services(self) -> list[UUID] | None:
        """The services that were shown in this turn."""
        calls = self._calls("search_services")
        return [
            UUID(call.handles[one["service"]]["service"]) for call in calls for one in call.result["services"]
        ] or None

    def _calls(self, name: str) -> list[Called]:
        """The last such call of this turn, if there was one."""
        found = [call for call in self.box.memory.during(self.snapshot.turn) if call.name == name and call.succeeded]
        return found[-1:]

    @property
    def written(self) -> list[tuple[int, str]]:
        """What the customer wrote, by version."""
        return [(one.version, one.text) for one in self.snapshot.messages if one.role == ChatRole.USER]

    @property
    def answered(self) -> list[str]:
        return [one.text for one in self.snapshot.messages if one.role == ChatRole.ASSISTANT]

    @property
    def asked(self) -> str:
        """What waits for an answer."""
        last = max((one.version for one in self.snapshot.messages if one.role in _ANSWERS), default=0)
        return "\n".join(text for version, text in self.written if version > last)


_ANSWERS = (ChatRole.ASSISTANT, ChatRole.STAFF)


async def talk(
    client: OpenAIClient, account: Account, budgets: Budgets, run: Run, system: str, speaking: Speaking
) -> Reason | None:
    """Have the model answer; what may be said is in `speaking`. A reason says that a person is to take over.

    Raises:
        ModelError: there is no answer, or half of one.
        BudgetUsedUp: before a call that must not be made.
        Blocked: it said what must not be said.
    """
    messages: list[Wire] = [
        {"role": "system", "content": system},
        *history(run.snapshot.messages, run.box.memory.calls),
    ]
    for _ in range(MOST_CALLS):
        ended = await _listen(client, account, budgets, run, messages, speaking)
        if not ended.tool_calls:
            return None if speaking.text.strip() else Reason.FAILURE
        messages += await _use(ended.tool_calls, run.box)
        if run.box.wants_person:
            return Reason.ASKED
    return Reason.FAILURE


async def _listen(
    client: OpenAIClient, account: Account, budgets: Budgets, run: Run, messages: Sequence[Wire], speaking: Speaking
) -> Ended:
    counted = await budgets.count(run.box.bound, run.setup, estimate(messages, TOOLS, MOST_TOKENS))
    wanted = Wanted(messages, TOOLS, MOST_TOKENS, CALL_SECONDS)
    try:
        async with aclosing(client.stream(account, wanted)) as parts:
            async for part in parts:
                if isinstance(part, Said):
                    await speaking.hear(part.text)
                else:
                    await budgets.settle(counted, counted.tokens if part.tokens is None else part.tokens)
                    await speaking.end(cut=part.cut)
                    return part
    except (ModelBusy, ModelRefused):
        await budgets.settle(counted, 0)  # it was not taken
        raise
    raise RuntimeError("a stream ended without its end")


async def _use(calls: Sequence[ToolCall], box: Toolbox) -> list[Wire]:
    """Call the tools in turn; what they say is added to the conversation."""
    taken = calls[:MOST_TOOL_CALLS]
    asked = [
        {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
        for call in taken
    ]
    answers: list[Wire] = [{"role": "assistant", "content": None, "tool_calls": asked}]
    for call in taken:
        result = await box.call(call.name, call.arguments)
        answers.append({"role": "tool", "tool_call_id": call.id, "content": _json(result)})
        await asyncio.sleep(0)
    return answers


def history(messages: Sequence[Spoken], calls: Sequence[Called]) -> list[Wire]:
    """The conversation as the protocol has it: what was said, and after each turn the tools that were called in it. The oldest is
    left out where it is too long."""
    entries: list[tuple[tuple[int, int], list[Wire]]] = [
        ((one.version, 0), [_message(one)]) for one in messages if one.role != ChatRole.SYSTEM
    ]
    entries += [((call.turn, 1 + number), _call(number, call)) for number, call in enumerate(calls)]
    kept: list[list[Wire]] = []
    length = 0
    for _, wire in sorted(entries, key=lambda entry: entry[0], reverse=True):
        length += len(_json(wire))
        if kept and length > LONGEST_HISTORY:
            break
        kept.append(wire)
    return [one for wire in reversed(kept) for one in wire]


def _message(message: Spoken) -> Wire:
    return {"role": "user" if message.role == ChatRole.USER else "assistant", "content": message.text}


def _call(number: int, call: Called) -> list[Wire]:
    name = f"call_{number}"
    asked = {"id": name, "type": "function", "function": {"name": call.name, "arguments": _json(call.arguments)}}
    return [
        {"role": "assistant", "content": None, "tool_calls": [asked]},
        {"role": "tool", "tool_call_id": name, "content": _json(call.result)},
    ]


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, default=_plain)


def _plain(value: object) -> object:
    return dict(value) if isinstance(value, Mapping) else str(value)
