"""Meta's error codes in our words; Meta's own texts can quote the customer's number.

The same codes come in an answer to a send and, later, in a `failed` status.
"""

from __future__ import annotations

__all__ = [
    "AMBIGUOUS",
    "BUSY",
    "CREDENTIALS",
    "NO_SUCH_OBJECT",
    "OPTED_OUT",
    "WINDOW_CLOSED",
    "is_about_credentials",
    "sentence",
]

WINDOW_CLOSED = 131047  # more than 24 hours since the customer wrote: only a template may be sent
OPTED_OUT = 131050
AMBIGUOUS = frozenset({1})  # Meta: "invalid request or possible server error"
BUSY = frozenset({2, 4, 80007, 130429, 131000, 131016, 131048, 131056, 133004})
CREDENTIALS = frozenset({0, 3, 10, 102, 190, 368, 131005, 131030, 131031, 131037, 131042, 131045, 133010})
NO_SUCH_OBJECT = (100, 33)  # code and subcode: the phone number id is not this token's
_PERMISSIONS = range(200, 300)

_SENTENCES = {
    0: "WhatsApp does not accept the access token",
    3: "the WhatsApp app lacks a permission to send",
    10: "the WhatsApp app lacks a permission to send",
    100: "WhatsApp could not use the message as it is",
    102: "WhatsApp does not accept the access token",
    190: "the WhatsApp access token is wrong, expired or revoked",
    368: "WhatsApp has blocked the account for breaking its policies",
    130472: "WhatsApp did not deliver the message because of an experiment on the recipient's number",
    130497: "the WhatsApp account may not write to the recipient's country",
    131005: "the WhatsApp access token may not do this",
    131008: "the message lacks something that WhatsApp requires",
    131009: "WhatsApp could not use the message as it is",
    131021: "the recipient is the sending number itself",
    131026: "WhatsApp cannot reach the recipient: not on WhatsApp, or not with current terms and app",
    131030: "a WhatsApp test number may write to listed numbers only",
    131031: "the WhatsApp account is locked",
    131037: "the WhatsApp number's display name is not approved",
    131042: "the WhatsApp account's payment method does not work",
    131045: "the WhatsApp number is not registered",
    131047: "the customer has not written for 24 hours, so WhatsApp takes only a template",
    131049: "WhatsApp held the message back so that the recipient gets fewer business messages",
    131050: "the recipient has stopped this business's messages on WhatsApp",
    131051: "WhatsApp does not take this type of message",
    132000: "the number of values does not fit the WhatsApp template",
    132001: "WhatsApp knows no approved template of this name and language",
    132005: "the WhatsApp template is too long with these values",
    132007: "the WhatsApp template breaks WhatsApp's content policy",
    132012: "a value does not fit the WhatsApp template",
    132015: "WhatsApp has paused the template because of its quality",
    132016: "WhatsApp has disabled the template because of its quality",
    133010: "the WhatsApp number is not registered",
}


def is_about_credentials(code: int | None, subcode: int | None = None) -> bool:
    """The tenant's account, token or number is at fault, so its other messages will fail too."""
    return code is not None and (code in CREDENTIALS or code in _PERMISSIONS or (code, subcode) == NO_SUCH_OBJECT)


def sentence(code: int | None, status: int | None = None) -> str:
    """What a WhatsApp error means, safe to store and to show; `status` is the answer's, if there was one."""
    if code is None:
        return "WhatsApp refused the message" if status is None else f"WhatsApp refused the message (HTTP {status})"
    if code in _PERMISSIONS:
        return "the WhatsApp app lacks a permission to send"
    return _SENTENCES.get(code, f"WhatsApp refused the message (error {code})")
