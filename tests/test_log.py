"""What a log line says, and what it never says."""

from __future__ import annotations

import io
import json
import logging
import re
import traceback
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from lead_orchestrator.log import configure_logging, get_logger
from lead_orchestrator.tenancy.secrets import SecretBox
from lead_orchestrator.tenancy.sessions import Tenancy
from tests.factories import MadeTenant, make_tenant

WORDS = "My number is the one you know"


async def refused(tenancy: Tenancy, tenant: MadeTenant) -> DBAPIError:
    """The error of a value that the driver refuses, which quotes the value."""
    with pytest.raises(DBAPIError) as caught:
        async with tenancy.read(tenant.scope) as session:
            await session.execute(text("SELECT CAST(:words AS integer)"), {"words": WORDS})
    return caught.value


@pytest.mark.parametrize("foreign", [False, True])
async def test_an_error_is_told_by_its_kind_and_its_place_and_not_by_its_words(
    tenancy: Tenancy, secret_box: SecretBox, *, foreign: bool
) -> None:
    error = await refused(tenancy, await make_tenant(tenancy, secret_box))
    assert WORDS in "".join(traceback.format_exception(error))
    stream = io.StringIO()
    configure_logging("INFO", stream=stream)

    try:
        raise error
    except DBAPIError:
        logger: Any = logging.getLogger("some.library") if foreign else get_logger(__name__)
        logger.exception("job_failed")

    [line] = [json.loads(written) for written in stream.getvalue().splitlines()]
    assert line["error"].startswith("DBAPIError")
    assert "DataError" in line["error"]
    assert re.fullmatch(r"[\w.]+:\d+ \w+", line["where"][-1])
    assert WORDS not in stream.getvalue()
