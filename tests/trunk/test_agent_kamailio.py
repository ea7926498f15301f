"""Kamailio as a carrier: a registrar and proxy with digest, over UDP, TCP and TLS."""

import asyncio
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bridge.sip.boundary import Credentials
from bridge.sip.events import Answered, Ended, Refused
from bridge.trunk.admission import InboundTrunk
from bridge.trunk.sockets import Tls
from bridge.trunk.tls import client_context
from bridge.trunk.trunk import TrunkAddress
from bridge.trunk.trunks import TrunkHealth
from tests.support.machine import free_port
from tests.support.servers.authority import Authority
from tests.support.sip.kamailio import running_kamailio
from tests.support.sip.sip_agents import SDP, sip_agent
from tests.support.waiting import until

pytestmark = pytest.mark.kamailio

CONFIGURATION = Path(__file__).parent / "kamailio" / "carrier.cfg"
UP = TrunkHealth(reachable=True, registered=True)


class Carrier:
    """A running kamailio, and the accounts there."""

    def __init__(self, folder):
        self.udp, self.tls = free_port(), free_port()
        self.authority = Authority(folder)
        self.authority.issue(host="127.0.0.1")
        self.trusting = Tls(client=client_context(ca=str(self.authority.path)))
        text = CONFIGURATION.read_text()
        for old, new in {
            "UDP_PORT": str(self.udp),
            "TLS_PORT": str(self.tls),
            "FOLDER": str(folder),
        }.items():
            text = text.replace(old, new)
        self.configuration = text

    def account(self, user, transport="udp", *, password="a secret", **more):
        return TrunkAddress(
            name=user,
            host="127.0.0.1",
            port=self.tls if transport == "tls" else self.udp,
            transport=transport,
            domain="127.0.0.1",
            credentials=Credentials(user, password),
            register_seconds=60,
            **more,
        )

    def agent(self, user, transport="udp"):
        """An agent that listens nowhere: the carrier calls it over the socket it registered by."""
        trunk = InboundTrunk(name=user)
        return sip_agent(None, inbound=[trunk], tls=self.trusting)


@pytest.fixture(scope="module")
def carrier(tmp_path_factory):
    folder = tmp_path_factory.mktemp("carrier")
    made = Carrier(folder)
    with running_kamailio(folder, made.configuration, tcp_port=made.udp):
        yield made


@asynccontextmanager
async def registered(carrier, user, transport="udp"):
    async with carrier.agent(user) as agent:
        agent.agent.trunks.keep(carrier.account(user, transport))
        await agent.health(user, UP)
        yield agent


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
async def test_a_call_goes_from_one_account_to_another_and_is_ended_by_either(carrier, transport):
    async with (
        registered(carrier, "alice", transport) as alice,
        registered(carrier, "bob", transport) as bob,
    ):
        for number, ended_by_caller in enumerate((True, False), start=1):
            call = alice.call(carrier.account("alice", transport), "bob")
            heard = await bob.invited(number)
            assert heard.invite is not None
            assert heard.invite.trunks == {"bob"}
            heard.dialog.answer(SDP)
            await call.event(Answered)
            first, second = (call, heard) if ended_by_caller else (heard, call)
            first.dialog.hang_up()
            await second.event(Ended)
            await first.dialog.wait_closed()
        assert alice.counted.messages["in", "INVITE", 407] == 2


async def test_an_account_that_is_gone_is_unregistered(carrier):
    async with registered(carrier, "carol"):
        pass
    async with registered(carrier, "alice") as alice:
        call = alice.call(carrier.account("alice"), "carol")
        assert (await call.event(Refused)).code == 404


async def test_a_wrong_password_registers_nobody_and_calls_nobody(carrier):
    wrong = carrier.account("alice", password="guess")
    async with carrier.agent("alice") as agent:
        agent.agent.trunks.keep(wrong)
        await until(lambda: agent.agent.trunks.health("alice").registered is False)
        assert agent.agent.trunks.health("alice").code == 401
        assert (await agent.call(wrong, "bob").event(Refused)).code == 407
        assert agent.counted.messages["out", "REGISTER", 0] == 2


async def test_a_carrier_whose_certificate_nobody_knows_is_not_spoken_to(carrier):
    account = carrier.account("alice", "tls")
    async with sip_agent(None) as agent:
        agent.agent.trunks.keep(account)
        await until(lambda: agent.agent.trunks.health("alice").reachable is False)
        assert "certificate" in agent.agent.trunks.health("alice").last_error
        assert (await agent.call(account, "bob").event(Refused)).code == 503
        assert not agent.counted.messages


async def test_a_call_is_canceled_through_the_proxy(carrier):
    async with registered(carrier, "alice") as alice, registered(carrier, "bob") as bob:
        call = alice.call(carrier.account("alice"), "bob")
        heard = await bob.invited()
        heard.dialog.ring()
        await asyncio.sleep(0.05)
        call.dialog.hang_up()
        assert (await heard.event(Ended)).canceled
        await call.dialog.wait_closed()


async def test_an_account_whose_connection_is_cut_is_called_again_soon(carrier):
    async with registered(carrier, "alice") as alice, registered(carrier, "bob", "tcp") as bob:
        for stream in bob.sockets._connections._streams.values():
            stream.abort()
        before = bob.counted.messages["in", "REGISTER", 200]
        await until(lambda: bob.counted.messages["in", "REGISTER", 200] > before)
        call = alice.call(carrier.account("alice"), "bob")
        (await bob.invited()).dialog.refuse(486)
        assert (await call.event(Refused)).code == 486
