"""Refusals of the media socket; `tests/calls/streams/test_sockets.py` is about its audio and texts."""

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.support.clients.pcm_client import url_of
from tests.support.clients.vendor import ECHO
from tests.support.inprocess import KEY

pytestmark = pytest.mark.usefixtures("nodes")


async def test_another_session_has_no_such_call(client):
    call_id = await client.dial(ECHO)
    url = url_of(client.http, f"/api/v1/sessions/other/calls/{call_id}/media")
    with pytest.raises(InvalidStatus) as refused:
        async with connect(url, additional_headers=KEY):
            pass
    assert refused.value.response.status_code == 404
