"""Why a socket is closed, in numbers that the client library graphql-ws understands.

It gives up on 4400, 4401, 4406, 4409, 4429 and most of 1000-1999, and comes back after 1001, 1012, 1013, 4403 and 4408.
"""

from __future__ import annotations

from enum import IntEnum

__all__ = ["Close"]


class Close(IntEnum):
    POLICY = 1008
    TOO_LARGE = 1009
    INTERNAL = 1011
    TRY_AGAIN = 1013
    BAD_MESSAGE = 4400
    UNAUTHORIZED = 4401
    TOKEN_ENDED = 4403
    SUBPROTOCOL = 4406
    INIT_TIMEOUT = 4408
    DUPLICATE_ID = 4409
    SECOND_INIT = 4429
