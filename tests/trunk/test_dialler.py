"""An outbound call tries one address of its trunk after the other."""

import asyncio
from ipaddress import ip_address
from typing import Any

import pytest

from bridge.http.resolver import LookupFailed
from bridge.sip.boundary import Target
from bridge.sip.events import Refused
from bridge.trunk.dialler import NEXT_SECONDS, SipDialler
from bridge.trunk.dialog import AgentDialog
from bridge.trunk.targets import SipTargets
from bridge.trunk.trunk import OutboundCall, TrunkAddress
from tests.support.sip.sip_agent_double import AgentDouble

pytestmark = pytest.mark.virtual_time

TRUNK = TrunkAddress(name="carrier", host="trunk.test", port=5060)
FIRST, SECOND = "192.0.2.1", "192.0.2.2"


class Names:
    """Knows the trunk's addresses."""

    def __init__(self):
        self.addresses = [FIRST, SECOND]

    async def resolve(self, host):
        if not self.addresses:
            raise LookupFailed("nothing", outcome="nothing")
        return [ip_address(text) for text in self.addresses]

    async def services(self, name):
        raise LookupFailed("nothing", outcome="nothing")


class Dialling:
    """A dialler, one dialog of its, and what the dialog reports."""

    def __init__(self):
        self.names = Names()
        self.agent = AgentDouble()
        self.core = self.agent.notes
        self.dialogs: dict[Any, Any] = {}
        self.targets = self.agent.targets = SipTargets(self.names, now=self.agent.now)
        self.responded: list[str] = []
        self.dialler = SipDialler(
            self.agent, self.targets, self.dialogs, on_response=self.responded.append
        )
        self.events: list[Any] = []
        self.dialog = AgentDialog(
            self.agent, dial=lambda dialog, sdp: self.dialler.start(dialog, TRUNK, CALL, sdp)
        )
        self.dialog.on_event = self.events.append

    async def invite(self):
        self.dialog.invite("v=0")
        await self.settle()

    async def settle(self):
        for _ in range(10):
            await asyncio.sleep(0)

    @property
    def hosts(self):
        return [request.target.host for request in self.core.dialled]


CALL = OutboundCall(number="+4930123", caller="+49301")


@pytest.fixture
async def dialling():
    made = Dialling()
    yield made
    await made.dialler.aclose()


async def test_the_first_address_is_dialled_once(dialling):
    await dialling.invite()
    dialling.dialog.invite("v=0")
    await dialling.settle()
    (request,) = dialling.core.dialled
    assert request.target == Target("udp", FIRST, 5060)
    assert request.uri == "sip:+4930123@trunk.test:5060"
    assert request.sdp == "v=0"
    assert dialling.dialogs == {dialling.dialog.current: dialling.dialog}


async def test_an_address_that_cannot_be_connected_to_is_passed_over(dialling):
    dialling.agent.refusing.add(FIRST)
    await dialling.invite()
    assert dialling.hosts == [SECOND]
    found = await dialling.targets.find(None, TRUNK.host, TRUNK.port)
    assert [target.host for target in found] == [SECOND, FIRST]


async def test_where_none_can_be_reached_the_call_is_refused(dialling):
    dialling.agent.refusing |= {FIRST, SECOND}
    await dialling.invite()
    assert [event.code for event in dialling.events] == [503]
    await dialling.dialog.wait_closed()


async def test_a_trunk_without_an_address_refuses_the_call(dialling):
    dialling.names.addresses = []
    await dialling.invite()
    assert isinstance(dialling.events[0], Refused)
    assert dialling.events[0].code == 503


async def test_the_next_address_is_dialled_after_one_that_cannot_serve_the_call(dialling):
    await dialling.invite()
    assert dialling.dialler.dial_next(dialling.dialog)
    await dialling.settle()
    assert dialling.hosts == [FIRST, SECOND]
    assert not dialling.dialler.dial_next(dialling.dialog)
    assert dialling.events == []


async def test_a_silent_address_is_given_up_for_the_next(dialling):
    await dialling.invite()
    await asyncio.sleep(NEXT_SECONDS + 0.1)
    assert dialling.hosts == [FIRST, SECOND]
    assert dialling.core.told[0][:2] == ("hang_up", "00-1")
    assert list(dialling.dialogs) == ["00-2"]
    await asyncio.sleep(60)
    assert dialling.hosts == [FIRST, SECOND]


async def test_an_address_that_gave_a_sign_is_waited_for(dialling):
    await dialling.invite()
    dialling.dialler.heard(Target("udp", FIRST, 5060))
    await asyncio.sleep(60)
    assert dialling.hosts == [FIRST]


async def test_a_call_that_rings_stays_where_it_is(dialling):
    await dialling.invite()
    dialling.dialler.done(dialling.dialog)
    await asyncio.sleep(60)
    assert dialling.hosts == [FIRST]
    assert not dialling.dialler.dial_next(dialling.dialog)


async def test_a_call_that_is_hung_up_meanwhile_is_dialled_no_further(dialling):
    dialling.dialog.invite("v=0")
    dialling.dialog.hang_up()
    await dialling.settle()
    await dialling.dialog.wait_closed()
    assert dialling.hosts == []
    assert dialling.events == []


async def test_nothing_is_kept_of_calls_that_are_over(dialling):
    await dialling.invite()
    dialling.dialler.done(dialling.dialog)
    assert not dialling.dialler._attempts
    assert not dialling.dialler._waiting


async def test_a_call_hung_up_while_its_address_is_silent_leaves_nothing_behind(dialling):
    await dialling.invite()
    dialled = dialling.dialog.current
    dialling.dialog.hang_up()
    await asyncio.sleep(NEXT_SECONDS + 0.1)
    assert list(dialling.dialogs) == [dialled]  # its `Closed` is still to come
    dialling.dialler.done(dialling.dialog)
    assert not dialling.dialler._attempts
    assert not dialling.dialler._waiting
    assert [told[0] for told in dialling.core.told].count("hang_up") == 1


async def test_a_trunk_that_answers_a_call_is_reported_once(dialling):
    await dialling.invite()
    for _ in range(2):
        dialling.dialler.heard(Target("udp", FIRST, 5060))
    assert dialling.responded == ["carrier"]
