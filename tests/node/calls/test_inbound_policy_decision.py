"""The time that a server has to decide about a call that rings its line."""

import pytest

from bridge.call.model import CallId, LineName
from bridge.errors import SettingsError
from bridge.node.calls.inbound_policy import Actions, DecisionRule, Decisions
from bridge.node.lines import InboundAction
from bridge.settings.model import Line, load
from tests.support.clients.event_stream import listening
from tests.support.inprocess import running, settings
from tests.support.published import call_event
from tests.support.two_nodes import nodes as nodes
from tests.support.waiting import until

pytestmark = pytest.mark.usefixtures("nodes")

ECHO = "15550100001"
LINE, CALL, OTHER = LineName("demo"), CallId("00A"), CallId("00B")


def with_decision(default: str, seconds: float = 0.2):
    line = Line(keys=["demo"], decision_seconds=seconds, decision_default=default)  # type: ignore[arg-type]
    return settings(lines={"demo": line})


async def rung(client) -> str:
    return str((await client.data("/simulator/incoming", {"from": ECHO}))["callId"])


@pytest.mark.parametrize(
    ("default", "then"), [("accept", "call.answered"), ("reject", "call.ended")]
)
async def test_a_call_that_nobody_decides_about_is_decided_after_a_notice(default, then):
    async with running(with_decision(default)) as client:
        call_id = await rung(client)
        async with listening(client, f"/call/{call_id}/events") as stream:
            due = await stream.until_type("call.decision_due")
            assert due["data"] == {"seconds": 0.1, "default": default}
            assert due["call"]["state"] == "ringing"
            decided = await stream.until_type(then)
        if default == "reject":
            assert decided["data"]["reason"] == "rejected"


async def test_a_call_rings_on_by_default():
    async with running(with_decision("ring")) as client:
        call_id = await rung(client)
        async with listening(client, f"/call/{call_id}/events") as stream:
            await stream.until_type("call.decision_due")
        assert await client.state(call_id) == "ringing"


async def test_a_call_that_nobody_decides_about_goes_to_voicemail():
    async with running(with_decision("voicemail")) as client:
        call_id = await rung(client)
        async with listening(client, f"/call/{call_id}/events") as stream:
            due = await stream.until_type("call.decision_due")
            assert due["data"]["default"] == "voicemail"
            joined = await stream.until_type("leg.joined")
            assert joined["data"]["kind"] == "voicemail"
            await stream.until_type("call.answered")


class Calls:
    """Takes what a `Manager` is asked."""

    def __init__(self) -> None:
        self.published: list[str] = []
        self.requested: list[str] = []
        self.at_voicemail: list[str] = []

    def live(self, line: str, call_id: str) -> str:
        return call_id

    def publish(self, kind: str, line: str, call_id: str, data: object) -> None:
        self.published.append(call_id)

    def request(self, line: str, call_id: str, wanted: object) -> None:
        self.requested.append(call_id)


@pytest.mark.parametrize("decided", ["call.answered", "call.ended"])
async def test_nothing_waits_for_a_call_that_was_decided_about(decided):
    calls = Calls()
    rules = {LINE: DecisionRule(0.02, InboundAction.REJECT)}
    actions = Actions(calls, calls.at_voicemail.append)  # type: ignore[arg-type]
    decisions = Decisions(calls, rules, actions)  # type: ignore[arg-type]
    for call_id in (CALL, OTHER):
        decisions.start(LINE, call_id)
    decisions.on_event(call_event(decided, CALL))
    await until(lambda: calls.requested == [OTHER])
    assert calls.published == [OTHER]


@pytest.mark.parametrize("seconds", ["0.0", "-1.0", "nan"])
def test_a_time_that_cannot_be_is_refused(seconds, tmp_path):
    path = tmp_path / "bridge.toml"
    path.write_text(f'[lines.demo]\nkeys = ["{32 * "k"}"]\ndecision_seconds = {seconds}\n')
    with pytest.raises(SettingsError, match=r"lines\.demo\.decision_seconds"):
        load({}, path)
