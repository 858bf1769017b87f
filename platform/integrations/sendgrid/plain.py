"""What a mail says that has no plain text beside its HTML."""

from __future__ import annotations

import re
from html.parser import HTMLParser

__all__ = ["plain_text"]

_HIDDEN = frozenset({"head", "style", "script", "title", "blockquote"})  # a blockquote is what the mail answers
_LINES = frozenset({"br", "p", "div", "tr", "li", "h1", "h2", "h3", "h4", "h5", "h6", "table", "ul", "ol", "hr"})

_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)  # for one that does not end the parser takes quadratic time
_LONGEST, _DEEPEST = 200_000, 50  # anybody may write a mail, and it must not take long to be read


def plain_text(html: str) -> str:
    """The words of the mail line by line, without markup and without what it quotes."""
    reader = _Reader()
    reader.feed(_COMMENT.sub("", html)[:_LONGEST])
    reader.close()
    lines = (" ".join(line.split()) for line in "".join(reader.parts).split("\n"))
    return "\n".join(line for line in lines if line)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._hidden: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002 - the parser's signature
        if tag in _HIDDEN and len(self._hidden) < _DEEPEST:
            self._hidden.append(tag)
        elif tag in _LINES:
            self.parts.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag in self._hidden:
            while self._hidden.pop() != tag:
                pass
        elif tag in _LINES:
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.parts.append(data.replace("\n", " "))  # a new line of the source is a space
