"""The abuse corpus: requests that must be refused before they cost anything, and how."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from graphql import get_introspection_query

__all__ = ["FLOOD", "JSON", "REQUESTS", "SUBSCRIBE", "SUBSCRIBES", "Abuse"]

JSON = "application/json"
FLOOD, SUBSCRIBE, SUBSCRIBES = "1,000 subscribes", "subscription { leadEvents { cursor } }", 1_000
TOO_COMPLEX, BAD, REFUSED = "QUERY_TOO_COMPLEX", "BAD_USER_INPUT", 400


@dataclass(frozen=True)
class Abuse:
    """One request and the refusal it must get: an HTTP status, and the code of every error."""

    name: str
    body: bytes
    code: str
    status: int = 200
    method: str = "POST"
    content_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)


def _document(name: str, document: str, code: str, status: int = 200, **request: object) -> Abuse:
    return Abuse(name, json.dumps({"query": document, **request}).encode(), code, status)


def _body(name: str, body: bytes, status: int = REFUSED, **rest: str) -> Abuse:
    return Abuse(name, body, BAD, status, **rest)  # type: ignore[arg-type]  # the texts are method and content_type


def _nested(levels: int, first: str = "") -> str:
    """leads → messages → lead → messages …"""
    inner = "id"
    for _ in range(levels):
        inner = f"messages{first} {{ edges {{ node {{ lead {{ {inner} }} }} }} }}"
    return f"{{ leads{first} {{ edges {{ node {{ {inner} }} }} }} }}"


_GOOD = '{"query": "{ leads { totalCount } }"}'
_DOUBLING = " ".join(f"fragment F{n} on Lead {{ ...F{n + 1} ...F{n + 1} }}" for n in range(60))
_CHAIN = " ".join(f"fragment F{n} on Lead {{ a{n}: name ...F{n + 1} }}" for n in range(200))
_COST_BOMB = (
    "query Bomb($n: Int!) { leads(first: $n) { edges { node { messages(first: $n) { edges { node { id } } }"
    " timeline(first: $n) { edges { node { cursor } } } } } } }"
)
_HIDDEN_BOMB = (
    "query Bomb($n: Int = 100, $no: Boolean!) { leads(first: $n) { edges { node { ...M @skip(if: $no) } } } }"
    " fragment M on Lead { messages(first: $n) { edges { node { id } } } }"
)
_ALIASED_BOMB = (
    "{ "
    + " ".join(
        f"a{n}: leads(first: 100) {{ edges {{ node {{ messages {{ edges {{ node {{ id }} }} }} }} }} }}"
        for n in range(25)
    )
    + " }"
)
_MUTATION = 'mutation { pauseTouches(leadId: "lead_0") { errors { code } } }'

REQUESTS = (
    _document("deep", _nested(5), TOO_COMPLEX),
    _document("deeper than the stack", "{ a" * 600 + "}" * 600, TOO_COMPLEX),
    _document("a list nested beyond the parser", "{ nodes(ids: " + "[" * 900 + "]" * 900 + ") { id } }", TOO_COMPLEX),
    _document("alias bomb", "{ " + " ".join(f"a{n}: leads {{ totalCount }}" for n in range(400)) + " }", TOO_COMPLEX),
    _document("more tokens than are read", "{ viewer { " + "role " * 20_000 + "} }", TOO_COMPLEX),
    _document("cost bomb", _COST_BOMB, TOO_COMPLEX, variables={"n": 100}),
    _document("cost bomb by defaults and directives", _HIDDEN_BOMB, TOO_COMPLEX, variables={"no": False}),
    _document("cost bomb of aliases", _ALIASED_BOMB, TOO_COMPLEX),
    _document("leads → messages → lead → messages", _nested(2, "(first: 100)"), TOO_COMPLEX),
    _document(
        "fragments that double",
        f"{{ leads {{ edges {{ node {{ ...F0 }} }} }} }} {_DOUBLING} fragment F60 on Lead {{ id }}",
        TOO_COMPLEX,
    ),
    _document(
        "a chain of fragments",
        f"{{ leads {{ edges {{ node {{ ...F0 }} }} }} }} {_CHAIN} fragment F200 on Lead {{ id }}",
        TOO_COMPLEX,
    ),
    _document(
        "a fragment that spreads itself", "{ leads { edges { node { ...A } } } } fragment A on Lead { id ...A }", BAD
    ),
    _document(
        "fragments in a circle",
        "{ leads { edges { node { ...A } } } } fragment A on Lead { ...B } fragment B on Lead { ...A }",
        BAD,
    ),
    _document("introspection", get_introspection_query(), BAD),
    _document("introspection of one type", '{ __type(name: "Lead") { fields { name } } leads { totalCount } }', BAD),
    _document("a guessed name", "{ lead_s { totalCount } leads { totalCount } }", BAD),
    _document(
        "a page that is too large",
        "query($n: Int) { leads(first: $n) { edges { node { id } } } }",
        BAD,
        variables={"n": 101},
    ),
    _document(
        "a page of a huge number",
        "query($n: Int) { leads(first: $n) { edges { node { id } } } }",
        BAD,
        variables={"n": 10**300},
    ),
    _document("a page below nothing", "{ leads(first: -1) { edges { node { id } } } }", BAD),
    _document(
        "NUL in a variable", "query($s: String) { locations(search: $s) { totalCount } }", BAD, variables={"s": "a\0b"}
    ),
    _document("NUL in a literal", '{ locations(search: "a\\u0000b") { totalCount } }', BAD),
    _document(
        "half a surrogate pair",
        "query($s: String) { locations(search: $s) { totalCount } }",
        BAD,
        variables={"s": "\ud800"},
    ),
    _document("half a surrogate pair in a literal", '{ locations(search: "\\uD800") { totalCount } }', BAD),
    _document(
        "variables nested deep",
        "query($s: JSON) { leads { totalCount } }",
        BAD,
        variables={"s": json.loads("[" * 60 + "]" * 60)},
    ),
    _document("a subscription over HTTP", "subscription { leadEvents { cursor } }", BAD),
    _document(
        "a hash that is none",
        "{ leads { totalCount } }",
        BAD,
        extensions={"persistedQuery": {"version": 1, "sha256Hash": "../../etc"}},
    ),
    _document(
        "another document's hash",
        "{ leads { totalCount } }",
        BAD,
        extensions={"persistedQuery": {"version": 1, "sha256Hash": "0" * 64}},
    ),
    _body("a batch", f"[{_GOOD}, {_GOOD}]".encode()),
    _body("a batch of a thousand", f"[{', '.join([_GOOD] * 1000)}]".encode()),
    _body("malformed JSON", b'{"query": "{ leads'),
    _body("brackets without end", b"[" * 100_000),
    _body("objects without end", b'{"a":' * 20_000),
    _body("no UTF-8", b'{"query": "\xff\xfe"}'),
    _body("NUL bytes", b"\0" * 1000),
    _body(
        "a number of 5,000 digits", b'{"query": "{ leads { totalCount } }", "variables": {"x": ' + b"9" * 5000 + b"}}"
    ),
    _body("no number", b'{"query": "{ leads { totalCount } }", "variables": {"x": NaN}}'),
    _body("a key that is twice there", b'{"query": "{ viewer { role } }", "query": "{ leads { totalCount } }"}'),
    _body("a document that is no text", b'{"query": ["{ leads { totalCount } }"]}'),
    _body("10 MB", b'{"query": "' + b" " * 10_000_000 + b'{ leads { totalCount } }"}', 413),
    _body("a form", b"query=%7B+leads+%7B+totalCount+%7D+%7D", 415, content_type="application/x-www-form-urlencoded"),
    _body("plain text", _GOOD.encode(), 415, content_type="text/plain"),
    _body("plain text that says it is JSON", _GOOD.encode(), 415, content_type="text/plain; x=application/json"),
    _body("a document as it is", b"{ leads { totalCount } }", 415, content_type="application/graphql"),
    _body(
        "a multipart form of another site",
        b'--x\r\ncontent-disposition: form-data; name="operations"\r\n\r\n' + _GOOD.encode() + b"\r\n--x--\r\n",
        415,
        content_type="multipart/form-data; boundary=x",
    ),
    _body("a mutation by GET", _MUTATION.encode(), 405, method="GET"),
    _body("a query by GET", _GOOD.encode(), 405, method="GET"),
    _body("PUT", _GOOD.encode(), 405, method="PUT"),
)
