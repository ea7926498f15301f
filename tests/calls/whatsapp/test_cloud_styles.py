"""Calls at providers that stand in front of Meta's API, by settings alone."""

import pytest

from bridge.wire.cloud import SIGNATURE_HEADER, signature
from tests.calls.whatsapp.test_cloud import world
from tests.support.waiting import until, until_answer
from tests.support.whatsapp.graph_double import SECRET, USER
from tests.support.whatsapp.graph_style import DIALOG_360, KAPSO

pytestmark = pytest.mark.call


@pytest.mark.parametrize("style", [KAPSO, DIALOG_360])
async def test_calls_go_both_ways(style):
    async with world(style=style) as meta:
        ringing = await meta.graph.ring()
        call = await meta.call()
        await meta.client.data("/call/answer", {"callId": call["callId"]})
        await until(lambda: meta.graph.actions() == ["pre_accept", "accept"])
        await meta.graph.hang_up(ringing)
        await until_answer(lambda: gone(meta, call["callId"]))
        call_id = await meta.client.dial(USER)
        await meta.client.data("/call/hangup", {"callId": call_id})
        await until(lambda: meta.graph.actions()[-1] == "terminate")


@pytest.mark.parametrize("style", [KAPSO, DIALOG_360])
async def test_a_webhook_signed_in_metas_header_is_refused(style):
    body = b'{"entry":[]}'
    async with world(style=style) as meta:
        for header, status in ((SIGNATURE_HEADER, 401), (style.signature_header, 200)):
            headers = {header: signature(body, SECRET)}
            answer = await meta.client.http.post("/whatsapp/webhook", data=body, headers=headers)
            assert answer.status == status


async def gone(meta, call_id) -> bool:
    return bool(await meta.client.state(call_id) == "gone")
