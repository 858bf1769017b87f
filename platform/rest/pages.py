"""How a page for a customer looks: one column, no script, nothing loaded from elsewhere, kept by no cache and no search engine."""

from __future__ import annotations

import html
import re
import secrets
from collections.abc import Mapping, Sequence
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from lead_orchestrator.errors import BadInputError
from lead_orchestrator.tenancy.public.languages import Language, preferred_language

__all__ = ["HEADERS", "form_fields", "language", "page"]

_LONGEST_FORM = 4_096
_MOST_FIELDS = 500
_ORIGIN = re.compile(r"https?://[a-z0-9.:\[\]-]+")

_PAGE = """<!doctype html>
<html lang="{language}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex, nofollow"><meta name="color-scheme" content="light dark">
<title>{title}</title><style>{style}</style></head>
<body><main>{kicker}<h1>{title}</h1>{body}</main>{script}</body></html>"""

_STYLE = """
:root { --ink: #1c2330; --soft: #5a6475; --line: #d9dee7; --card: #fff; --ground: #f4f6fa; --accent: #0b57d0; --good: #12652f;
  --good-ground: #e4f5e9; --bad: #a3201a; --bad-ground: #fdeceb }
@media (prefers-color-scheme: dark) { :root { --ink: #e6eaf0; --soft: #a3adbd; --line: #2f3847; --card: #1a202b; --ground: #11151c;
  --accent: #8ab4f8; --good: #a6e3b8; --good-ground: #173524; --bad: #ffb4ab;
  --bad-ground: #43201d } }
* { box-sizing: border-box }
body { font: 1.06rem/1.6 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; margin: 0; padding: clamp(1rem, 8vh, 6rem) 1rem;
  color: var(--ink); background: var(--ground) }
main { max-width: 34rem; margin: 0 auto; padding: clamp(1.25rem, 5vw, 2.25rem); background: var(--card); border: 1px solid var(--line);
  border-radius: 1rem }
h1 { font-size: 1.55rem; line-height: 1.25; margin: 0 0 .6rem; text-wrap: balance }
h2 { font-size: 1.1rem; margin: 0 0 .3rem }
p { margin: 0 0 1rem } p:last-child { margin-bottom: 0 }
a { color: var(--accent) }
section { border-top: 1px solid var(--line); margin-top: 1.6rem; padding-top: 1.4rem }
fieldset { border: 0; margin: 0 0 1.2rem; padding: 0 } legend { padding: 0; margin-bottom: .4rem; color: var(--soft) }
.channel { display: grid; grid-template-columns: auto 1fr; gap: 0 .8rem; align-items: start; padding: .8rem .2rem;
  border-bottom: 1px solid var(--line) }
.channel:last-child { border-bottom: 0 }
.channel input { width: 1.25rem; height: 1.25rem; margin: .2rem 0 0; accent-color: var(--accent) }
.channel label { font-weight: 600 }
.channel small { grid-column: 2; color: var(--soft); font-size: .92rem; overflow-wrap: anywhere }
.buttons { display: flex; flex-wrap: wrap; gap: .7rem }
button { font: inherit; font-weight: 600; min-height: 2.9rem; padding: .55rem 1.3rem; border-radius: .6rem; cursor: pointer;
  border: 2px solid var(--accent); background: var(--accent); color: var(--card) }
button.plain { background: transparent; color: var(--accent) }
:focus-visible { outline: 3px solid #ffb300; outline-offset: 2px }
.kicker { color: var(--soft); font-size: .95rem; margin: 0 0 .4rem }
.field { margin: 0 0 1rem } .field label { display: block; font-weight: 600; margin-bottom: .25rem }
small { color: var(--soft); font-weight: 400; font-size: .9rem }
input, textarea { font: inherit; color: inherit; background: var(--card); border: 1px solid var(--soft); border-radius: .6rem;
  padding: .55rem .8rem }
form > input:not([type=hidden]), .field input, .field textarea, form > textarea { display: block; width: 100%; min-height: 2.9rem;
  margin: 0 0 1.2rem } .field input, .field textarea { margin: 0 }
[aria-invalid] { border-color: var(--bad) }
fieldset > small { display: block; margin: 0 0 .6rem }
.choice { display: grid; grid-template-columns: auto 1fr; gap: 0 .8rem; align-items: start; padding: .8rem .9rem; margin: 0 0 .6rem;
  border: 1px solid var(--line); border-radius: .6rem; cursor: pointer }
.choice:has(input:checked) { border-color: var(--accent); box-shadow: inset 0 0 0 1px var(--accent) }
.choice input { width: 1.25rem; height: 1.25rem; margin: .2rem 0 0; accent-color: var(--accent) }
.choice b { display: block; font-weight: 600 } .choice small { display: block }
.choice.small { font-size: .92rem; margin: 0 0 1.2rem }
.hidden, .trap { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap }
details { border-bottom: 1px solid var(--line); padding: .2rem 0 }
summary { cursor: pointer; font-weight: 600; padding: .7rem 0 }
.slots { display: grid; grid-template-columns: repeat(auto-fill, minmax(6.2rem, 1fr)); gap: .5rem; padding: .2rem 0 1rem }
.slot { background: transparent; color: var(--accent); padding: .4rem .2rem; min-height: 2.75rem; border-width: 1px;
  font-size: .95rem; white-space: nowrap;
  font-variant-numeric: tabular-nums }
.slot:hover { background: var(--accent); color: var(--card) }
form + p, form + form { margin-top: 1.2rem }
.optional { margin: -.3rem 0 .8rem }
a.button { display: inline-block; font-weight: 600; padding: .6rem 1.3rem; border-radius: .6rem; background: var(--accent);
  color: var(--card); text-decoration: none }
[role=alert] { background: var(--bad-ground); color: var(--bad); border-radius: .6rem; padding: .7rem 1rem; margin: .2rem 0 1.2rem }
[role=status] { background: var(--good-ground); color: var(--good); border-radius: .6rem; padding: .7rem 1rem; margin: .9rem 0 1.2rem }
"""

HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",  # the token in the address goes nowhere else
    "X-Robots-Tag": "noindex, nofollow",
    "X-Content-Type-Options": "nosniff",
    "Vary": "Accept-Language",
}


def page(
    title: str,
    body: str,
    *,
    language: str = "en",
    status: int = 200,
    kicker: str | None = None,
    frames: Sequence[str] = (),
    script: str | None = None,
) -> Response:
    """`title` is plain text, as is the `kicker` above it; `body` is HTML whose values are escaped already.

    `frames` are the sites that may show the page within theirs. `script` is one of ours, which the page does without.
    """
    nonce = secrets.token_urlsafe(12) if script else None
    text = _PAGE.format(
        title=html.escape(title),
        body=body,
        language=language,
        style=_STYLE,
        kicker=f'<p class="kicker">{html.escape(kicker)}</p>' if kicker else "",
        script=f'<script nonce="{nonce}">{script}</script>' if script else "",
    )
    headers = {**HEADERS, "Content-Language": language, "Content-Security-Policy": _policy(frames, nonce)}
    return HTMLResponse(text, status_code=status, headers=headers)


def _policy(frames: Sequence[str], nonce: str | None) -> str:
    """Unless `frames` says who may, nobody shows the page in a frame under a button of theirs."""
    sites = [site for site in frames if _ORIGIN.fullmatch(site)]
    ancestors = " ".join(["'self'", *sites]) if sites else "'none'"
    script = f" script-src 'nonce-{nonce}';" if nonce else ""
    return f"default-src 'none'; style-src 'unsafe-inline';{script} form-action 'self'; base-uri 'none'; frame-ancestors {ancestors}"


def language(request: Request) -> Language:
    """`en` or `es`, whichever the browser would rather have."""
    return preferred_language(request.headers.get("accept-language"))


async def form_fields(request: Request, largest: int = _LONGEST_FORM) -> Mapping[str, list[str]]:
    """The fields of a form as browsers send it without a script, of `largest` bytes at most.

    Raises:
        BadInputError: it is larger than any form of ours.
    """
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > largest:
            raise BadInputError(f"a form has at most {largest} bytes", code="TOO_LARGE")
    text = body.decode("utf-8", "replace")
    try:
        return parse_qs(text, keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError:
        raise BadInputError(f"a form has at most {_MOST_FIELDS} fields", code="TOO_LARGE") from None
