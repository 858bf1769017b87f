"""What customers text, what Twilio itself does about their keywords, and what it posts."""

from __future__ import annotations

import time
import uuid
from typing import Literal
from urllib.parse import urlencode

from lead_orchestrator.errors import BadInputError
from lead_orchestrator.sandbox.context import Sandbox
from lead_orchestrator.sandbox.courier import Delivery
from lead_orchestrator.sandbox.signatures import sign_twilio_request
from lead_orchestrator.sandbox.twilio_resources import E164, address_fields, segments
from lead_orchestrator.sandbox.world import Message, StatusStep, TwilioAccount

__all__ = ["form_delivery", "new_sid", "receive_text"]

MAX_BODY = 1600
OPT_OUT_WORDS = {"STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT"}
OPT_IN_WORDS = {"START", "YES", "UNSTOP"}
HELP_WORDS = {"HELP", "INFO"}
Keyword = Literal["STOP", "START", "HELP"]
ANSWERS: dict[Keyword, str] = {
    "STOP": "You have successfully been unsubscribed. You will not receive any more messages from this number. "
    "Reply START to resubscribe.",
    "START": "You have successfully been re-subscribed to messages from this number. Reply HELP for help. "
    "Reply STOP to unsubscribe. Msg&Data Rates May Apply.",
    "HELP": "Reply STOP to unsubscribe. Msg&Data Rates May Apply.",
}


async def receive_text(sandbox: Sandbox, *, customer: str, number: str, body: str) -> Message:
    """A customer texts one of our numbers: Twilio acts on a keyword first, and posts the text to the number's URL.

    Raises:
        BadInputError: no account rents `number`, or a value is missing.
    """
    found = sandbox.world.number(number)
    if found is None:
        raise BadInputError(f"to is {number!r}: no Twilio account of the sandbox has this number")
    if not E164.fullmatch(customer):
        raise BadInputError(f"the customer's number is {customer!r}: write it as +13105550123")
    if not 0 < len(body.strip()) <= MAX_BODY:
        raise BadInputError("body must have 1 to 1600 characters: write the text that the customer sends")
    account, rented = found
    message = _message(account, "inbound", to=number, sender=customer, body=body, status="received")
    await sandbox.accept(message)
    keyword = await _act_on_keyword(sandbox, account, message)
    if rented.sms_url:
        fields = {**address_fields(message), "Body": body, "NumMedia": "0", "NumSegments": segments(body)}
        fields |= {"SmsStatus": "received", "FromCountry": "US", "ToCountry": "US"}
        if keyword and sandbox.world.quirks.advanced_opt_out:
            fields["OptOutType"] = keyword
        subject = f"inbound {message.id}"
        sandbox.courier.send(form_delivery(account, "twilio_inbound", subject, rented.sms_url, fields))
    return message


async def _act_on_keyword(sandbox: Sandbox, account: TwilioAccount, text: Message) -> Keyword | None:
    """The keyword, once it has its effect and Twilio's answer is on the phone."""
    world, customer, number = sandbox.world, text.sender, text.to
    keyword = _keyword(text.body, opted_out=world.has_opted_out(customer, number))
    if keyword is None or not world.quirks.twilio_opt_out:
        return None
    if keyword == "STOP":
        if world.has_opted_out(customer, number):
            return keyword  # it has been confirmed before
        world.opt_out(customer, number)
    elif keyword == "START":
        world.opt_in(customer, number)
    answer = _message(account, "outbound", to=customer, sender=number, body=ANSWERS[keyword], status="delivered")
    answer.automatic = True
    await sandbox.accept(answer)
    return keyword


def _keyword(body: str, *, opted_out: bool) -> Keyword | None:
    """A single word alone counts; YES and START mean something only to who has opted out."""
    word = body.strip().upper()
    if word in OPT_OUT_WORDS:
        return "STOP"
    if word in HELP_WORDS:
        return "HELP"
    return "START" if word in OPT_IN_WORDS and opted_out else None


def _message(
    account: TwilioAccount,
    direction: Literal["inbound", "outbound"],
    *,
    to: str,
    sender: str,
    body: str,
    status: str,
) -> Message:
    now = time.time()
    return Message(
        id=new_sid("SM"),
        channel="SMS",
        direction=direction,
        account=account.sid,
        company=account.company,
        to=to,
        sender=sender,
        accepted_at=round(now * 1000),
        body=body,
        steps=[StatusStep(status, now)],
    )


def form_delivery(account: TwilioAccount, channel: str, subject: str, url: str, fields: dict[str, str]) -> Delivery:
    """A form that Twilio posts, signed with the account's token."""
    headers = {
        "Content-Type": "application/x-www-form-urlencoded; charset=UTF-8",
        "User-Agent": "TwilioProxy/1.1",
        "X-Twilio-Signature": sign_twilio_request(account.auth_token, url, fields.items()),
        "I-Twilio-Idempotency-Token": str(uuid.uuid4()),
    }
    return Delivery(channel, subject, url, urlencode(fields).encode(), lambda _attempt: headers)


def new_sid(prefix: str) -> str:
    return prefix + uuid.uuid4().hex
