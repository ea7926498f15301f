"""The field `after` of every operation that ends a call: then it ends once its last words have been heard."""

import pytest

from bridge.settings.model import Console
from tests.support.inprocess import Client, running, settings
from tests.support.waiting import until

pytestmark = pytest.mark.virtual_time

ECHO = "15550100001"
BEARER = {"Authorization": "Bearer demo"}
CONSOLE = {"Authorization": "Bearer console-key-of-the-operator"}
AFTER = {"after": "speech"}

ROUTES = {
    "native": ("POST", "/call/hangup", lambda call: {"callId": call} | AFTER),
    "wago": ("POST", "/call/end", lambda call: {"callID": call} | AFTER),
    "zuckzapgo": (
        "POST",
        "/call/terminate",
        lambda call: {"call_id": call, "call_from": ECHO} | AFTER,
    ),
    "wadial": ("POST", "/api/v1/sessions/demo/calls/{call}/end?after=speech", None),
    "wavix": ("DELETE", "/v1/call/{call}?after=speech", None),
    "chirp": ("POST", "/v1/calls/{call}/commands", lambda call: {"type": "hangup"} | AFTER),
    "console": ("POST", "/console/api/calls/{call}/hangup?after=speech", None),
}


async def test_a_call_is_hung_up_after_speech_by_every_route():
    chosen = settings(console=Console(keys=["console-key-of-the-operator"]))
    async with running(chosen) as client:
        for route in ROUTES:
            await _hang_up(client, route)
        await until(lambda: not client.bridge.manager.calls())


async def _hang_up(client: Client, route: str) -> None:
    """Begin a call and hang it up by a route: it waits for its last words."""
    method, path, body = ROUTES[route]
    call_id = await client.dial(ECHO)
    await client.until_state(call_id, "active")
    [runner] = [one for one in client.bridge.manager.calls() if one.facts.call_id == call_id]
    headers = CONSOLE if route == "console" else BEARER
    request = client.http.request(
        method, path.format(call=call_id), json=body and body(call_id), headers=headers
    )
    async with request as answer:
        assert answer.status == 200, (route, await answer.text())
    assert runner.machine.hangs_up_by is not None, route
