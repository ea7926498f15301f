"""What calls over real providers leave in the log at debug level: each step, and nobody's data."""

import logging
from contextlib import contextmanager

import pytest
from typing_extensions import override

from bridge.log import JsonFormatter
from tests.calls.whatsapp.test_cloud import world
from tests.calls.whatsapp.test_gateway import NUMBER, bridged, gone, ringing
from tests.support.two_nodes import one_node_only
from tests.support.waiting import until
from tests.support.whatsapp.gateway_double import DOUBLES
from tests.support.whatsapp.gateway_double import TOKEN as ENGINE_TOKEN
from tests.support.whatsapp.graph_double import SECRET, TOKEN, USER, VERIFY

# The log is that of this process.
pytestmark = [pytest.mark.call, one_node_only]


@contextmanager
def written():
    """All that the bridge logs meanwhile, as it would be written."""
    lines: list[str] = []
    formatter = JsonFormatter()

    class Keep(logging.Handler):
        @override
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(formatter.format(record))

    bridge, handler = logging.getLogger("bridge"), Keep()
    level = bridge.level
    bridge.addHandler(handler)
    bridge.setLevel(logging.DEBUG)
    try:
        yield lines
    finally:
        bridge.removeHandler(handler)
        bridge.setLevel(level)


async def test_metas_calls_are_followed_by_action_and_webhook_without_numbers_keys_or_sdp():
    with written() as lines:
        async with world() as here:
            call = await here.graph.ring()
            found = await here.call()
            await here.client.data("/call/answer", {"callId": found["callId"]})
            await until(lambda: "accept" in call.actions)
            await here.graph.hang_up(call)
            await until(lambda: not list(here.client.bridge.manager.calls()))
            dialled = await here.client.dial(USER)
            await until(lambda: any('"kind": "answer"' in line for line in lines))
            await here.client.data("/call/hangup", {"callId": dialled})
            await until(lambda: "terminate" in here.graph.actions())
        log = "\n".join(lines)
    for action in ("pre_accept", "accept", "connect", "terminate"):
        assert f'"event": "whatsapp.request", "action": "{action}"' in _without_ids(lines), action
    for kind in ("ring", "terminate", "answer"):
        assert f'"kind": "{kind}", "outcome": "taken"' in log, kind
    secrets = [USER, TOKEN, SECRET, VERIFY, call.wacid, "a=ice-", "a=fingerprint", "v=0"]
    assert [secret for secret in secrets if secret in log] == []


@pytest.mark.parametrize("dialect", sorted(DOUBLES))
async def test_a_gateways_calls_are_followed_without_numbers_or_keys(dialect):
    with written() as lines:
        async with bridged(dialect) as (engine, client):
            call_id = await client.dial(NUMBER)
            await until(lambda: engine.only.opened == 1)
            await client.data("/call/hangup", {"callId": call_id})
            await gone(client, call_id)
            engine.ring("15550107777")
            call = await ringing(client)
            await client.data("/call/answer", {"callId": call["callId"]})
            await until(lambda: any("gateway.call_changed" in line for line in lines))
        log = "\n".join(lines)
    for step in (
        "gateway.request",
        "gateway.call_changed",
        "gateway.inbound_call",
        "event.published",
    ):
        assert f'"event": "{step}"' in log, step
    secrets = [NUMBER, "15550107777", ENGINE_TOKEN]
    assert [secret for secret in secrets if secret in log] == []


def _without_ids(lines: list[str]) -> str:
    """The lines with their event and what is told of it alone."""
    return "\n".join(
        '"event": "whatsapp.request", "action": ' + line.split('"action": ')[1]
        for line in lines
        if "whatsapp.request" in line
    )
