"""Each test looks at the wake-ups of its own."""

from __future__ import annotations

import pytest

from tests.graphql.server import Api


@pytest.fixture(autouse=True)
def no_events_yet(api: Api) -> None:
    api.events.clear()
