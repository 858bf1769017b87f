"""Reads the expressions of policies, so that two ways of writing the same one compare as equal and nothing else does.

Postgres hands a policy back with parentheses, aliases and casts of its own. Both sides are parsed into a tree, in which only
what carries no meaning is gone: redundant parentheses, the alias of a sub-select's column, the cast of a string literal to
text, the case of unquoted names. The grammar is that of the templates; whatever is outside of it equals nothing but itself.
"""

from __future__ import annotations

import re

__all__ = ["Tree", "tree_of"]

Tree = tuple[object, ...]

_TOKEN = re.compile(r"""\s*('(?:[^']|'')*'|"[^"]+"|[A-Za-z_][\w.]*|\d+|::|\[\]|[(),=])""")
_WORD = re.compile(r"""[A-Za-z_"]""")


def tree_of(expression: str | None) -> Tree | None:
    """The meaning of `expression`; None for none."""
    if expression is None:
        return None
    try:
        return _Parser(_tokens(expression)).whole()
    except ValueError:
        return ("unread", expression)


def _tokens(expression: str) -> list[str]:
    tokens, place, text = [], 0, expression.strip()
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None:
            raise ValueError(f"no token of a policy template at {place}")
        token = match[1]
        tokens.append(token if token[0] in "'\"" else token.lower())
        place = match.end()
    return tokens


class _Parser:
    """Recursive descent, one method a level of precedence."""

    def __init__(self, tokens: list[str]) -> None:
        self._tokens = tokens
        self._place = 0

    def whole(self) -> Tree:
        tree = self._or()
        if self._place != len(self._tokens):
            raise ValueError(f"did not expect {self._peek()!r}")
        return tree

    def _peek(self) -> str:
        return self._tokens[self._place] if self._place < len(self._tokens) else ""

    def _take(self, *wanted: str) -> bool:
        """Step over these tokens if they come next."""
        found = self._tokens[self._place : self._place + len(wanted)] == list(wanted)
        self._place += len(wanted) if found else 0
        return found

    def _expect(self, token: str) -> None:
        if not self._take(token):
            raise ValueError(f"expected {token!r}, found {self._peek()!r}")

    def _or(self) -> Tree:
        terms = [self._and()]
        while self._take("or"):
            terms.append(self._and())
        return _joined("or", terms)

    def _and(self) -> Tree:
        terms = [self._comparison()]
        while self._take("and"):
            terms.append(self._comparison())
        return _joined("and", terms)

    def _comparison(self) -> Tree:
        left = self._cast()
        if self._take("is", "null"):
            return ("is null", left)
        if not self._take("="):
            return left
        if self._take("any", "("):
            right = self._or()
            self._expect(")")
            return ("= any", left, right)
        return ("=", left, self._cast())

    def _cast(self) -> Tree:
        tree = self._primary()
        while self._take("::"):
            kind = self._word() + ("[]" if self._take("[]") else "")
            tree = tree if tree[0] == "string" and kind == "text" else ("cast", tree, kind)
        return tree

    def _primary(self) -> Tree:
        if self._take("(", "select"):
            column: Tree = ("select", self._or())
            if self._take("as"):
                self._word()
            self._expect(")")
            return column
        if self._take("("):
            tree = self._or()
            self._expect(")")
            return tree
        if self._peek().startswith("'"):
            self._place += 1
            return ("string", self._tokens[self._place - 1])
        name = self._word()
        return ("call", name, *self._arguments()) if self._take("(") else ("name", name)

    def _arguments(self) -> list[Tree]:
        if self._take(")"):
            return []
        arguments = [self._or()]
        while self._take(","):
            arguments.append(self._or())
        self._expect(")")
        return arguments

    def _word(self) -> str:
        word = self._peek()
        if not _WORD.match(word):
            raise ValueError(f"expected a name, found {word!r}")
        self._place += 1
        return word


def _joined(operator: str, terms: list[Tree]) -> Tree:
    if len(terms) == 1:
        return terms[0]
    flat: list[object] = []
    for term in terms:
        flat.extend(term[1:] if term[0] == operator else [term])
    return (operator, *flat)
