"""The doors that anybody may knock at: public forms, pages and chats, before anybody is known.

Every public endpoint, by REST or GraphQL, asks in this order:

1. `limits.spend_by_address(address, READ or WRITE)` before anything is read: so much a minute for each client address. The
   address is the connection's, which uvicorn takes from `X-Forwarded-For` where FORWARDED_ALLOW_IPS says so.
2. `place = await places.find("a-slug or loc_…")`: the shop, unless its franchise is suspended (NOT_FOUND either way).
3. `place.check_origin(origin)`: a browser on somebody else's site is refused. No Origin header at all is no browser.
4. `limits.spend_by_place(place, READ or WRITE)`: so much a minute for each shop.

What it answers has the headers of `origins.answer_headers`; a browser's question beforehand (OPTIONS) is answered with
`origins.preflight_headers`. Both take what `place.allows(origin)` says or, where the place is not known (a preflight has no
body), `places.allows_anywhere(origin)`.
"""
