"""The assistant's turn in a conversation: claimed, answered, and posted to what it answers, once.

Postgres is the truth. A conversation that is owed an answer says so in its row; whoever answers claims it by moving that moment ahead
by a lease, so that after a crash somebody else finds it. Nothing is posted unless the conversation is still what was answered.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID
from zoneinfo import ZoneInfo

from lead_orchestrator import metrics
from lead_orchestrator.chat import repository as chat_repository
from lead_orchestrator.chat.assistant import repository
from lead_orchestrator.chat.assistant.budget import Budgets, BudgetUsedUp
from lead_orchestrator.chat.assistant.context import Context, Contexts
from lead_orchestrator.chat.assistant.opting_out import opt_out
from lead_orchestrator.chat.assistant.prompt import PROMPT_VERSION, Shop, prompt
from lead_orchestrator.chat.assistant.setup import Setups
from lead_orchestrator.chat.assistant.speaking import Blocked, Listener, Nobody, Speaking, Voice
from lead_orchestrator.chat.assistant.talking import Run, talk
from lead_orchestrator.chat.conversations import Answer, Chats, Snapshot
from lead_orchestrator.chat.entries import locked_chat
from lead_orchestrator.chat.handoff import HandOff
from lead_orchestrator.chat.language import language_of
from lead_orchestrator.chat.models import ChatRole, ChatSession, ChatState, Reason
from lead_orchestrator.chat.responder import Heard, respond
from lead_orchestrator.chat.responder_words import SAYINGS
from lead_orchestrator.chat.tools.models import Bound
from lead_orchestrator.chat.tools.toolbox import Tools, scope_of
from lead_orchestrator.clock import app_now, both_nows
from lead_orchestrator.errors import NotFoundError
from lead_orchestrator.integrations.openai.client import OpenAIClient
from lead_orchestrator.integrations.openai.errors import ModelError
from lead_orchestrator.integrations.openai.models import Account
from lead_orchestrator.leads.service import Leads
from lead_orchestrator.log import get_logger
from lead_orchestrator.messaging.opt_out import classify
from lead_orchestrator.messaging.templates.defaults import Language
from lead_orchestrator.tenancy import repository as tenancy_repository
from lead_orchestrator.tenancy.sessions import Scope, Tenancy, WriteSession

__all__ = ["Assistant", "Became", "Done"]

_log = get_logger(__name__)

ANSWERED_WITHIN = 5 / 6  # of the lease
MOST_ATTEMPTS = 3
BATCH = 50


class Became(StrEnum):
    """What came of looking after a conversation."""

    NOT_OWED = "NOT_OWED"
    TOO_SOON = "TOO_SOON"
    ANSWERED = "ANSWERED"
    SUPERSEDED = "SUPERSEDED"
    HANDED_OVER = "HANDED_OVER"


@dataclass(frozen=True)
class Done:
    """`wait`: seconds until it is due. `lead_id`: something is to be sent to this lead."""

    became: Became
    wait: float = 0.0
    lead_id: UUID | None = None


@dataclass(frozen=True)
class _Outcome:
    """What to do with the conversation: say `text`, or give it to a person."""

    text: str = ""
    person: Reason | None = None


class Assistant:
    """Answers in conversations; `listener` is shown the words as they are written."""

    def __init__(
        self,
        tenancy: Tenancy,
        chats: Chats,
        hand_off: HandOff,
        leads: Leads,
        tools: Tools,
        client: OpenAIClient,
        setups: Setups,
        contexts: Contexts,
        *,
        lease: float,
    ) -> None:
        self._tenancy = tenancy
        self._chats = chats
        self._hand_off = hand_off
        self._leads = leads
        self._tools = tools
        self._client = client
        self._setups = setups
        self._contexts = contexts
        self._lease = lease
        self._budgets = Budgets(tenancy)
        self.listener: Listener = Nobody()

    def prepare(self) -> None:
        """Load what the first answer would wait for."""
        self._client.prepare()

    async def due(self, tenant_id: UUID) -> Sequence[UUID]:
        """The conversations that are owed an answer now."""
        async with self._tenancy.read(_service(tenant_id)) as session:
            return await repository.due_chats(session, BATCH)

    async def answer(self, tenant_id: UUID, chat_id: UUID) -> Done:
        """Answer the customer, if an answer is owed and its time has come."""
        claimed = await self._claim(tenant_id, chat_id)
        if isinstance(claimed, Done):
            return claimed
        run, message_id = claimed
        voice = Voice(self.listener, chat_id, message_id)
        await voice.listener.typing(chat_id, ChatRole.ASSISTANT)
        speaking = self._speaking(run, voice)
        outcome = await self._outcome(run, speaking)
        try:
            done = await self._conclude(run, speaking, outcome)
        except NotFoundError:  # it was erased meanwhile
            return Done(Became.SUPERSEDED)
        metrics.ANSWERS.labels(done.became.value).inc()
        return done

    async def _claim(self, tenant_id: UUID, chat_id: UUID) -> Done | tuple[Run, UUID]:
        async with self._tenancy.write(_service(tenant_id)) as session:
            chat = await chat_repository.get_for_update(session, chat_id)
            if chat is None or chat.state != ChatState.ASSISTANT or chat.answer_due_at is None:
                return Done(Became.NOT_OWED)
            _, now = await both_nows(session)
            wait = (chat.answer_due_at - now).total_seconds()
            if wait > 0:
                return Done(Became.TOO_SOON, wait)
            repository.lease(chat, self._lease)
            await session.flush()
            context = await self._contexts.of(session, chat)
            snapshot = Snapshot.of(chat, context.messages)
            if not snapshot.awaits_answer:
                chat.answer_due_at = None
                return Done(Became.NOT_OWED)
            run = await self._run(session, chat, snapshot, context)
            return run, await repository.new_id(session)

    async def _run(self, session: WriteSession, chat: ChatSession, snapshot: Snapshot, context: Context) -> Run:
        """What the answer starts from; the language is what the customer writes by now."""
        tenant_id = session.scope.tenant_id
        location = await tenancy_repository.location(session, snapshot.location_id)
        if location is None:
            raise RuntimeError("a conversation's location is not in the session's scope")
        written = [one.text for one in snapshot.messages if one.role == ChatRole.USER]
        known: Language = "es" if chat.language == "es" else "en"
        language = language_of(written, known)
        chat.language = language
        bound = Bound(
            tenant_id=tenant_id,
            location_id=snapshot.location_id,
            chat_id=snapshot.chat_id,
            turn=snapshot.turn,
            lead_id=snapshot.lead_id,
            language=language,
            name=snapshot.visitor_name,
            phone=snapshot.visitor_phone,
        )
        box = self._tools.bound(bound, context.memory)
        local = (await app_now(session)).astimezone(ZoneInfo(location.timezone))
        shop = Shop(location.name, location.timezone, location.address, location.phone)
        return Run(snapshot, await self._setups.of(session), shop, box, local)

    def _speaking(self, run: Run, voice: Voice) -> Speaking:
        system = prompt(run.shop, run.local, run.box.bound.language, run.setup.instructions)
        return Speaking(voice, lambda: run.evidence, "\n".join(text for _, text in run.written), system, run.today)

    async def _outcome(self, run: Run, speaking: Speaking) -> _Outcome:
        if any(classify(text).stops for text in run.asked.splitlines()):
            return await self._opted_out(run)
        if not run.setup.enabled:
            return _Outcome(person=Reason.FAILURE)
        if run.snapshot.answer_attempts >= MOST_ATTEMPTS:
            return _Outcome(person=Reason.FAILURE)
        try:
            async with asyncio.timeout(self._lease * ANSWERED_WITHIN):
                if run.setup.account is None:
                    return await self._by_rules(run)
                return await self._by_model(run, run.setup.account, speaking)
        except TimeoutError:
            return _Outcome(person=Reason.FAILURE)

    async def _by_model(self, run: Run, account: Account, speaking: Speaking) -> _Outcome:
        try:
            person = await talk(self._client, account, self._budgets, run, speaking.private, speaking)
        except ModelError as error:
            _log.warning("model_failed", chat_id=str(run.snapshot.chat_id), code=error.code)
            metrics.MODEL_FAILURES.labels(error.code).inc()
            return await self._by_rules(run)
        except BudgetUsedUp as used_up:
            _log.warning("assistant_budget_used_up", chat_id=str(run.snapshot.chat_id), whose=used_up.whose)
            return _Outcome(person=Reason.BUDGET)
        except Blocked as blocked:
            _log.warning("answer_blocked", chat_id=str(run.snapshot.chat_id), why=blocked.why)
            metrics.BLOCKED.labels(blocked.why).inc()
            return _Outcome(person=Reason.GUARD)
        return _Outcome(speaking.text.strip(), person)

    async def _by_rules(self, run: Run) -> _Outcome:
        heard = Heard(run.shop.name, run.today, run.written, run.answered, run.asked)
        reply = await respond(heard, run.box)
        return _Outcome(reply.text, reply.person)

    async def _opted_out(self, run: Run) -> _Outcome:
        """Suppressed first, answered after; the model is not asked."""
        why = next(reading.why for text in run.asked.splitlines() if (reading := classify(text)).stops)
        async with self._tenancy.write(_service(run.box.bound.tenant_id)) as session:
            await opt_out(session, self._leads, run.box.bound, why)
        return _Outcome(SAYINGS[run.box.bound.language]["opted_out"].format(shop=run.shop.name))

    async def _conclude(self, run: Run, speaking: Speaking, outcome: _Outcome) -> Done:
        """Post the answer or give the conversation away; what was shown of another answer is taken back."""
        bound, shown = run.box.bound, speaking.text
        async with self._tenancy.write(scope_of(bound)) as session:
            if outcome.person is not None:
                if shown:
                    await self._chats.retract(session, bound.chat_id, speaking.voice.message_id)
                return await self._give_away(session, run, outcome.person)
            if shown and shown.strip() != outcome.text:
                await self._chats.retract(session, bound.chat_id, speaking.voice.message_id)
                shown = ""
            answer = Answer(
                outcome.text, run.slots, run.services, message_id=speaking.voice.message_id if shown else None
            )
            posted = await self._chats.post_answer(session, run.snapshot, answer)
        if posted is None:
            return Done(Became.SUPERSEDED)
        _log.info(
            "chat_answered",
            chat_id=str(bound.chat_id),
            by="model" if shown else "rules",
            prompt=f"{PROMPT_VERSION}.{run.setup.prompt_version}",
        )
        return Done(Became.ANSWERED, lead_id=bound.lead_id)

    async def _give_away(self, session: WriteSession, run: Run, reason: Reason) -> Done:
        """Hand over what was to be answered, unless something was said or done since: that is looked at anew."""
        chat, _ = await locked_chat(session, run.snapshot.chat_id)
        if chat.turn != run.snapshot.turn:
            return Done(Became.SUPERSEDED)
        handed = await self._hand_off.hand_over(session, chat.id, reason)
        return Done(Became.HANDED_OVER if handed else Became.SUPERSEDED, lead_id=run.box.bound.lead_id)


def _service(tenant_id: UUID) -> Scope:
    return Scope.service(tenant_id, "assistant")
