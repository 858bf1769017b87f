"""Mails as they leave: the text with what the law wants under it, and the same in HTML."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, field
from functools import cache
from itertools import takewhile
from string import Template

from css_inline import CSSInliner

from lead_orchestrator.leads.models import Lead
from lead_orchestrator.tenancy.links import LinkSigner
from lead_orchestrator.tenancy.models import Location

__all__ = ["Letterhead", "as_html", "as_text"]

_URL = re.compile(r"https?://[^\s<>\"]*[^\s<>\".,;:!?)]")
_LONGEST_PART = 24
_PREVIEW = 120


@dataclass(frozen=True)
class Letterhead:
    """Whom a mail is from, and the links every mail has; `preferences_link` is left out where there is none."""

    shop_name: str = ""
    shop_address: str = ""
    unsubscribe_link: str = field(default="", repr=False)
    preferences_link: str | None = field(default=None, repr=False)

    @classmethod
    def of(cls, lead: Lead, location: Location, links: LinkSigner) -> Letterhead:
        """That of a mail to this lead."""
        leave = links.unsubscribe(lead.tenant_id, lead.id)
        return cls(location.name, location.address or "", leave, f"{leave}/choices")


def as_text(text: str, head: Letterhead) -> str:
    """The text, with the shop's name and address and the way out under it unless the writer put them there."""
    if not head.unsubscribe_link or head.unsubscribe_link in text:
        return text
    shop = "\n".join(part for part in (head.shop_name, head.shop_address) if part)
    parts = [text.rstrip(), *([shop] if shop and shop not in text else [])]
    return "\n\n".join([*parts, f"Don't want these e-mails? Unsubscribe: {head.unsubscribe_link}"])


def as_html(subject: str, text: str, head: Letterhead) -> str:
    """The text in the shop's layout: paragraphs, lists and links; its own last lines become the layout's footer."""
    paragraphs = _without_footer(text.strip(), head)
    links = [_link(head.unsubscribe_link, "Unsubscribe")] if head.unsubscribe_link else []
    links += [_link(head.preferences_link, "Choose what we send")] if head.preferences_link else []
    return _layout().substitute(
        subject=html.escape(subject),
        preview=html.escape(" ".join(_URL.sub("", text).split())[:_PREVIEW]),
        shop=html.escape(head.shop_name),
        address=html.escape(head.shop_address).replace("\n", "<br>"),
        content="".join(f'<p style="{_PARAGRAPH}">{_lines(paragraph)}</p>' for paragraph in paragraphs),
        links=" &nbsp;·&nbsp; ".join(links),
    )


def _without_footer(text: str, head: Letterhead) -> list[str]:
    paragraphs = [part for part in re.split(r"\n[ \t]*\n", text) if part.strip()]
    if head.unsubscribe_link:
        paragraphs = [part for part in paragraphs if head.unsubscribe_link not in part]
    shop = {line.strip() for line in (head.shop_name, *head.shop_address.splitlines())}
    while len(paragraphs) > 1 and all(line.strip() in shop for line in paragraphs[-1].splitlines()):
        paragraphs.pop()
    return paragraphs


def _lines(paragraph: str) -> str:
    return "<br>".join(_linked(line) for line in paragraph.strip().splitlines())


def _linked(line: str) -> str:
    written, end = "", 0
    for found in _URL.finditer(line):
        written += html.escape(line[end : found.start()]) + _link(found[0], _short(found[0]))
        end = found.end()
    return written + html.escape(line[end:])


def _short(url: str) -> str:
    """The address as far as a person reads it: what is a token is left out."""
    shown = url.partition("://")[2].rstrip("/")
    host, *path = shown.split("/")
    readable = [host, *takewhile(lambda part: len(part) <= _LONGEST_PART, path)]
    return shown if "/".join(readable) == shown else "/".join([*readable, "…"])


def _link(url: str, words: str) -> str:
    return f'<a href="{html.escape(url)}" style="{_ANCHOR}">{html.escape(words)}</a>'


_PARAGRAPH = "margin:0 0 18px 0;"
_ANCHOR = "color:#0b57d0;text-decoration:underline;"

# Tables and inlined styles, as mail programs want them; what they leave of the style sheet fits phones and dark screens.
_SOURCE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><meta name="supported-color-schemes" content="light dark">
<title>$subject</title><style>
body { margin: 0; padding: 0; background-color: #eef1f5; -webkit-text-size-adjust: 100%; }
.page { width: 100%; background-color: #eef1f5; }
.outside { padding: 32px 12px; }
.card { width: 100%; max-width: 600px; background-color: #ffffff; border-radius: 12px; }
.head { padding: 26px 36px 0 36px; }
.head span { display: inline-block; padding-bottom: 14px; border-bottom: 3px solid #0b57d0; color: #1c2330; }
.head span { font: bold 20px/1.3 -apple-system, "Segoe UI", Roboto, Helvetica, Arial, sans-serif; }
.body { padding: 26px 36px 14px 36px; color: #1c2330; }
.body { font: 16px/1.6 -apple-system, "Segoe UI", Roboto, Helvetica, Arial, sans-serif; }
.foot { width: 100%; max-width: 600px; }
.foot td { padding: 20px 36px; color: #5b6472; text-align: center; }
.foot td { font: 13px/1.6 -apple-system, "Segoe UI", Roboto, Helvetica, Arial, sans-serif; }
.preview { display: none; max-height: 0; overflow: hidden; opacity: 0; }
@media (max-width: 480px) {
  .outside { padding: 0 !important; } .card { border-radius: 0 !important; }
  .head, .body, .foot td { padding-left: 22px !important; padding-right: 22px !important; }
}
@media (prefers-color-scheme: dark) {
  body, .page { background-color: #12161d !important; } .card { background-color: #1c222c !important; }
  .head span, .body { color: #e6eaf0 !important; } .foot td { color: #a3adbb !important; } a { color: #8ab4f8 !important; }
}
</style></head><body>
<div class="preview">$preview</div>
<table role="presentation" class="page" cellpadding="0" cellspacing="0" border="0"><tr><td class="outside" align="center">
<table role="presentation" class="card" cellpadding="0" cellspacing="0" border="0">
<tr><td class="head"><span>$shop</span></td></tr>
<tr><td class="body">$content</td></tr>
</table>
<table role="presentation" class="foot" cellpadding="0" cellspacing="0" border="0">
<tr><td><strong>$shop</strong><br>$address<br><br>$links</td></tr>
</table>
</td></tr></table>
</body></html>
"""


@cache
def _layout() -> Template:
    """Inlined once: what is filled in has its styles with it."""
    inliner = CSSInliner(keep_at_rules=True, load_remote_stylesheets=False)
    return Template(inliner.inline(_SOURCE))
