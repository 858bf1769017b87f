"""Trusted documents: the operations our own pages send, known by the SHA-256 of their text.

Each is a file of `trusted/`: those of visitors (chat, booking) in `visitor/`, those of the dashboard in `staff/`; what several
of them select alike is a fragment in `fragments/`. The text is the document as GraphQL prints it, its fragments behind it, so
that generated clients come to the same hash. The manifest beside this file is made of them by
`lead-orchestrator schema documents` and is what a process reads.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from graphql import (
    DefinitionNode,
    DocumentNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    Visitor,
    parse,
    print_ast,
    validate,
    visit,
)

from lead_orchestrator.errors import BadInputError, ConfigurationError, ForbiddenError

__all__ = [
    "MANIFEST",
    "TrustedDocument",
    "TrustedDocuments",
    "made_manifest",
    "trusted_documents",
    "visitors_documents",
]

SOURCES = Path(__file__).with_name("trusted")
MANIFEST = Path(__file__).with_name("trusted_documents.json")
VISITOR, STAFF, FRAGMENTS = "visitor", "staff", "fragments"
_HASH_LENGTH = 64


@dataclass(frozen=True)
class TrustedDocument:
    """One operation; `audience` is `visitor` or `staff`."""

    name: str
    audience: str
    text: str


@dataclass(frozen=True)
class TrustedDocuments:
    """The listed documents by their hash (hexadecimal SHA-256)."""

    by_hash: Mapping[str, TrustedDocument]

    def resolved(self, request: dict[str, Any], *, visitor: bool) -> dict[str, Any]:
        """`request` with the text of the document that its hash names; a visitor's must be one that visitors may send.

        Raises:
            BadInputError: the hash is none, names nothing, or names another text than was sent.
            ForbiddenError: the document is not listed for visitors.
        """
        digest, query = _digest(request), request.get("query")
        listed = self.by_hash.get(digest) if digest is not None else None
        if digest is not None:
            if query is None:
                request = {**request, "query": self._known(digest, listed)}
            elif not isinstance(query, str) or _hash(query) != digest:
                raise BadInputError("the document is not the one that sha256Hash names", field=_FIELD)
        elif visitor:
            listed = self.by_hash.get(_hash(query)) if isinstance(query, str) else None
        if visitor and (listed is None or listed.audience != VISITOR):
            message = "visitors send trusted documents only: this one is not listed (see docs/api.md)"
            raise ForbiddenError(message, code="DOCUMENT_NOT_TRUSTED")
        return request

    def _known(self, digest: str, listed: TrustedDocument | None) -> str:
        if listed is None:
            message = f"no trusted document has the hash {digest}: send the document itself"
            raise BadInputError(message, code="PERSISTED_QUERY_NOT_FOUND", field=_FIELD)
        return listed.text


_FIELD = ("extensions", "persistedQuery", "sha256Hash")


@cache
def trusted_documents() -> TrustedDocuments:
    """Those of the manifest.

    Raises:
        ConfigurationError: it is missing or damaged.
    """
    try:
        listed = json.loads(MANIFEST.read_text())
        return TrustedDocuments({digest: TrustedDocument(**entry) for digest, entry in listed.items()})
    except (OSError, ValueError, TypeError, AttributeError):
        raise ConfigurationError(
            f"{MANIFEST.name} cannot be read: `lead-orchestrator schema documents` makes it"
        ) from None


def visitors_documents() -> Mapping[str, str]:
    """The hashes of the documents that visitors may send, by name."""
    return {one.name: digest for digest, one in trusted_documents().by_hash.items() if one.audience == VISITOR}


def made_manifest(schema: GraphQLSchema, sources: Path = SOURCES) -> str:
    """The manifest of the documents in `sources`, as JSON.

    Raises:
        BadInputError: one of them is not one valid, named operation.
    """
    paths = sorted(sources.glob("*/*.graphql"))
    fragments = [node for path in paths if path.parent.name == FRAGMENTS for node in _parsed(path).definitions]
    documents = [_read(schema, path, fragments) for path in paths if path.parent.name != FRAGMENTS]
    listed = {_hash(one.text): {"name": one.name, "audience": one.audience, "text": one.text} for one in documents}
    return json.dumps(dict(sorted(listed.items())), indent=2) + "\n"


def _read(schema: GraphQLSchema, path: Path, fragments: Sequence[DefinitionNode]) -> TrustedDocument:
    document = _with_fragments(_parsed(path), fragments)
    if wrong := validate(schema, document):
        raise BadInputError(f"{path.name} does not fit the schema: {wrong[0].message}")
    operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    if len(operations) != 1 or operations[0].name is None:
        raise BadInputError(f"{path.name} has {len(operations)} operations: write one, with a name")
    if path.parent.name not in (VISITOR, STAFF):
        raise BadInputError(f"{path.name} is in {path.parent.name}: put it into {VISITOR} or {STAFF}")
    return TrustedDocument(operations[0].name.value, path.parent.name, print_ast(document))


def _parsed(path: Path) -> DocumentNode:
    try:
        return parse(path.read_text())
    except GraphQLError as error:
        raise BadInputError(f"{path.name} is no document: {error.message}") from None


def _with_fragments(document: DocumentNode, fragments: Sequence[DefinitionNode]) -> DocumentNode:
    """The document and those of the fragments that it spreads, or that these do."""
    spread = _Spread()
    visit(document, spread)
    missing = [one for one in fragments if isinstance(one, FragmentDefinitionNode) and one.name.value in spread.names]
    found = DocumentNode(definitions=(*document.definitions, *missing))
    return found if not missing else _with_fragments(found, [one for one in fragments if one not in missing])


class _Spread(Visitor):
    """The names of the fragments that are spread."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def enter_fragment_spread(self, node: FragmentSpreadNode, *_: object) -> None:
        self.names.add(node.name.value)


def _digest(request: dict[str, Any]) -> str | None:
    extensions = request.get("extensions")
    persisted = extensions.get("persistedQuery") if isinstance(extensions, dict) else None
    if persisted is None:
        return None
    digest = persisted.get("sha256Hash") if isinstance(persisted, dict) and persisted.get("version") == 1 else None
    if not isinstance(digest, str) or len(digest) != _HASH_LENGTH or not digest.isascii() or not digest.isalnum():
        message = "persistedQuery is {version: 1, sha256Hash: <64 hexadecimal digits>} and nothing else"
        raise BadInputError(message, field=("extensions", "persistedQuery"))
    return digest.lower()


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
