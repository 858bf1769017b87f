"""Webhooks as no honest sender posts them; each mutation says which answers are right."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256

from tests.webhooks.server import signed_headers

__all__ = ["MUTATIONS", "Genuine", "Post", "mutated"]

HUGE = 256 * 1024 + 1
ACCEPTED, REFUSED, UNREADABLE, TOO_LARGE = 202, 401, 400, 413


@dataclass(frozen=True)
class Genuine:
    """What ShopMonkey tells: the payload of one change, and who signs it."""

    payload: Mapping[str, object]
    secret: str
    other_secret: str
    other_location: str

    @property
    def body(self) -> bytes:
        return json.dumps(self.payload, ensure_ascii=False, separators=(",", ":")).encode()

    def with_row(self, **columns: object) -> bytes:
        row = self.payload["data"]
        assert isinstance(row, dict)
        return replace(self, payload={**self.payload, "data": {**row, **columns}}).body


@dataclass(frozen=True)
class Post:
    """One request; `answers` are the status codes that are right for it."""

    kind: str
    body: bytes
    headers: Mapping[str, str]
    answers: frozenset[int]


def mutated(chance: random.Random, genuine: Genuine) -> Post:
    """A mutation, chosen by chance, of a genuine webhook."""
    name, mutation = chance.choice(list(MUTATIONS.items()))
    body, headers, answers = mutation(chance, genuine)
    return Post(name, body, headers, frozenset(answers))


_Result = tuple[bytes, Mapping[str, str], set[int]]
_Mutation = Callable[[random.Random, Genuine], _Result]


def _signed(genuine: Genuine, body: bytes, answers: set[int]) -> _Result:
    return body, signed_headers(body, genuine.secret), answers


def _intact(_: random.Random, genuine: Genuine) -> _Result:
    return _signed(genuine, genuine.body, {ACCEPTED})


def _replayed(_: random.Random, genuine: Genuine) -> _Result:
    headers = signed_headers(genuine.body, genuine.secret, webhook_id=f"wh_{sha256(genuine.body).hexdigest()}")
    return genuine.body, headers, {ACCEPTED}


def _bad_signature(chance: random.Random, genuine: Genuine) -> _Result:
    headers = signed_headers(genuine.body, genuine.secret)
    signature = list(headers["webhook-signature"])
    place = chance.randrange(3, len(signature) - 3)
    signature[place] = "A" if signature[place] != "A" else "B"
    return genuine.body, {**headers, "webhook-signature": "".join(signature)}, {REFUSED}


def _one_byte(chance: random.Random, genuine: Genuine) -> _Result:
    """One byte of the signed body is another: what it then says decides who may refuse it."""
    body = bytearray(genuine.body)
    place = chance.randrange(len(body))
    body[place] ^= 1 << chance.randrange(7)
    return bytes(body), signed_headers(genuine.body, genuine.secret), {REFUSED, UNREADABLE, ACCEPTED}


def _stale(chance: random.Random, genuine: Genuine) -> _Result:
    off = chance.choice((-1, 1)) * chance.randint(320, 10**8)
    return genuine.body, signed_headers(genuine.body, genuine.secret, timestamp=int(time.time()) - off), {REFUSED}


def _shifted(chance: random.Random, genuine: Genuine) -> _Result:
    """An old delivery with a fresh timestamp, which its signature does not cover."""
    headers = signed_headers(genuine.body, genuine.secret, timestamp=int(time.time()) - chance.randint(400, 10**6))
    return genuine.body, {**headers, "webhook-timestamp": str(int(time.time()))}, {REFUSED}


def _truncated(chance: random.Random, genuine: Genuine) -> _Result:
    cut = genuine.body[: chance.randrange(len(genuine.body))]
    return _signed(genuine, cut, {UNREADABLE})


def _huge(chance: random.Random, genuine: Genuine) -> _Result:
    return _signed(genuine, genuine.body + b" " * (HUGE - len(genuine.body) + chance.randrange(100)), {TOO_LARGE})


def _encoded(chance: random.Random, genuine: Genuine) -> _Result:
    body = genuine.body.decode().encode(chance.choice(("utf-16", "utf-32", "latin-1")))
    return _signed(genuine, body, {UNREADABLE})


def _their_location(_: random.Random, genuine: Genuine) -> _Result:
    """Our order under another tenant's location, signed with our secret."""
    return _signed(genuine, genuine.with_row(locationId=genuine.other_location), {REFUSED})


def _their_secret(_: random.Random, genuine: Genuine) -> _Result:
    return genuine.body, signed_headers(genuine.body, genuine.other_secret), {REFUSED}


def _their_order(_: random.Random, genuine: Genuine) -> _Result:
    """Another tenant claims our order as its own, under its own location and secret: it cannot fetch it."""
    body = genuine.with_row(locationId=genuine.other_location)
    return body, signed_headers(body, genuine.other_secret), {ACCEPTED}


def _invented(chance: random.Random, genuine: Genuine) -> _Result:
    """A signed order that does not exist."""
    return _signed(genuine, genuine.with_row(id=f"invented-{chance.randrange(10**9)}"), {ACCEPTED})


def _lying(chance: random.Random, genuine: Genuine) -> _Result:
    """A signed hint about a real order that says something else than the truth."""
    lie = chance.choice(
        (
            {"deleted": True},
            {"authorized": True, "paid": True},
            {"authorized": False, "paid": False, "invoiced": False, "deleted": False, "messageCount": 0},
            {"customerId": "somebody-else"},
            {"name": "New Quote - forged", "appointmentDates": []},
            {"updatedDate": "1999-01-01T00:00:00.000Z", "meta": {"version": chance.randrange(100)}},
            {"updatedDate": "2999-01-01T00:00:00.000Z", "meta": {"version": chance.randrange(10**9)}},
        )
    )
    return _signed(genuine, genuine.with_row(**lie), {ACCEPTED})


def _other_operation(chance: random.Random, genuine: Genuine) -> _Result:
    operation = chance.choice(("INSERT", "UPDATE", "DELETE", "delete", "", "\u0000", "X" * 400))
    return _signed(genuine, replace(genuine, payload={**genuine.payload, "operation": operation}).body, {ACCEPTED})


def _other_shape(chance: random.Random, genuine: Genuine) -> _Result:
    shape = chance.choice(
        ({"table": "customer"}, {"data": None}, {"data": [genuine.payload["data"]]}, {"table": None}, {"data": "text"})
    )
    return _signed(genuine, replace(genuine, payload={**genuine.payload, **shape}).body, {ACCEPTED})


def _odd_id(chance: random.Random, genuine: Genuine) -> _Result:
    ids: tuple[object, ...] = (
        "\u0000",
        "a\u0000b",
        "x" * 5000,
        7,
        True,
        None,
        [],
        {},
        "../customer",
        "%2e%2e",
        "'; --",
        " ",
    )
    return _signed(genuine, genuine.with_row(id=chance.choice(ids)), {ACCEPTED})


def _missing_header(chance: random.Random, genuine: Genuine) -> _Result:
    headers = signed_headers(genuine.body, genuine.secret)
    del headers[chance.choice(("webhook-id", "webhook-timestamp", "webhook-signature"))]
    return genuine.body, headers, {REFUSED}


def _nested(chance: random.Random, genuine: Genuine) -> _Result:
    depth = chance.choice((5_000, 20_000))
    return _signed(genuine, b'{"data":' * depth + b"1" + b"}" * depth, {UNREADABLE})


def _unknown_location(chance: random.Random, genuine: Genuine) -> _Result:
    return _signed(genuine, genuine.with_row(locationId=f"unknown-{chance.randrange(20)}"), {ACCEPTED})


MUTATIONS: dict[str, _Mutation] = {
    "intact": _intact,
    "replayed": _replayed,
    "bad signature": _bad_signature,
    "one byte changed": _one_byte,
    "stale": _stale,
    "shifted timestamp": _shifted,
    "truncated": _truncated,
    "huge": _huge,
    "wrong encoding": _encoded,
    "another tenant's location": _their_location,
    "another tenant's secret": _their_secret,
    "another tenant's order": _their_order,
    "invented": _invented,
    "lying": _lying,
    "other operation": _other_operation,
    "other shape": _other_shape,
    "odd id": _odd_id,
    "missing header": _missing_header,
    "nested": _nested,
    "unknown location": _unknown_location,
}
