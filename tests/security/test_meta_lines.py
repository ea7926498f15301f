"""Meta's webhooks: what one line's app signs acts on that line's calls, never on another's."""

import json
from typing import Any

import pytest

from bridge.providers.cloud.inbox import HELD_CALLS
from bridge.settings.model import Line, Net, WhatsApp
from bridge.wire.cloud import SIGNATURE_HEADER, signature
from tests.support.inprocess import running, settings
from tests.support.waiting import until
from tests.support.whatsapp.graph_double import TOKEN, USER, GraphDouble
from tests.support.whatsapp.graph_webhooks import BUSINESS, NUMBER_ID, SECRET

pytestmark = pytest.mark.call

ATTACKER_NUMBER, ATTACKER_SECRET = "111", "the-attackers-app-secret"
METADATA = {"phone_number_id": ATTACKER_NUMBER}


def line(key: str, number_id: str, secret: str, graph: GraphDouble) -> Line:
    return Line(
        keys=[key],
        numbers=[BUSINESS],
        whatsapp=WhatsApp(
            provider="cloud",
            phone_number_id=number_id,
            access_token=TOKEN,
            app_secret=secret,
            verify_token="v",
            base_url=graph.url,
        ),
    )


@pytest.fixture
async def world():
    """A bridge with the victim's line and the attacker's, and Meta for both."""
    async with GraphDouble() as graph:
        lines = {
            "victim": line("victims-key", NUMBER_ID, SECRET, graph),
            "attacker": line("attackers-key", ATTACKER_NUMBER, ATTACKER_SECRET, graph),
        }
        chosen = settings(lines=lines, net=Net(allow=["127.0.0.0/8"]))
        async with running(chosen) as client:
            graph.webhook = str(client.http.make_url("/whatsapp/webhook"))
            yield client, graph


async def attack(client, wacid: str, *, number: str = ATTACKER_NUMBER, **said: Any) -> int:
    """Post what the attacker signs of a call, as his own number or as the victim's."""
    call = {"id": wacid, "from": USER, "to": BUSINESS, "timestamp": "1790000000", **said}
    kind = "calls" if "event" in said else "statuses"
    value = {"metadata": {"phone_number_id": number}, kind: [{"type": "call", **call}]}
    return await post(client, value)


async def post(client, value: dict[str, Any]) -> int:
    """Post what the attacker signs."""
    entry = {"id": "1", "changes": [{"field": "calls", "value": value}]}
    body = json.dumps({"object": "whatsapp_business_account", "entry": [entry]}).encode()
    headers = {SIGNATURE_HEADER: signature(body, ATTACKER_SECRET)}
    async with client.http.post("/whatsapp/webhook", data=body, headers=headers) as answer:
        return int(answer.status)


TERMINATE = {"event": "terminate", "direction": "USER_INITIATED", "status": "COMPLETED"}
REJECTED = {"status": "REJECTED", "recipient_id": USER}
ANSWER = {
    "event": "connect",
    "direction": "BUSINESS_INITIATED",
    "session": {"sdp_type": "answer", "sdp": "v=0\r\n"},
}


@pytest.mark.parametrize("said", [TERMINATE, REJECTED, ANSWER])
@pytest.mark.parametrize("number", [ATTACKER_NUMBER, NUMBER_ID])
async def test_another_lines_app_cannot_end_or_answer_a_call(world, said, number):
    client, graph = world
    call = await graph.ring()
    await until(lambda: list(client.bridge.manager.calls()))
    [runner] = client.bridge.manager.calls()
    assert await attack(client, call.wacid, number=number, **said) == 200
    assert runner.live
    assert runner.machine.state == "ringing"
    # What Meta itself tells of the call is still heard: it is no duplicate of the attacker's.
    await graph.hang_up(call)
    await until(lambda: not runner.live)


async def test_another_lines_app_cannot_take_a_calls_id_before_it_rings(world):
    client, graph = world
    wacid = "wacid.NEXT"
    await attack(client, wacid, **TERMINATE)
    offer = {"event": "connect", "direction": "USER_INITIATED"}
    await attack(client, wacid, **offer, session={"sdp_type": "offer", "sdp": "v=0\r\n"})
    await graph.ring(id=wacid)
    await until(lambda: any(run.facts.line == "victim" for run in client.bridge.manager.calls()))


async def test_a_flood_of_strange_events_of_one_line_drops_nothing_of_another(world):
    client, graph = world
    # Of a call that Meta tells of before it has answered our request for it.
    early = {"id": "wacid.EARLY", "type": "call", "status": "RINGING", "recipient_id": USER}
    await graph.tell({"metadata": {"phone_number_id": NUMBER_ID}, "statuses": [early]})
    strange = [early | {"id": f"wacid.{number}"} for number in range(HELD_CALLS + 10)]
    assert await post(client, {"metadata": METADATA, "statuses": strange}) == 200
    inboxes = client.bridge.lines.cloud.calls.inboxes
    assert [event.wacid for event in inboxes["victim"].held()] == ["wacid.EARLY"]
    assert len(inboxes["attacker"].held()) == HELD_CALLS
