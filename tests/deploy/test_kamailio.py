"""The example for kamailio, run between carriers and two bridges."""

import asyncio
import socket
from contextlib import asynccontextmanager

import pytest

from bridge.settings.model import Line, LineSip, Sip
from bridge.sip.boundary import Credentials
from bridge.sip.events import Answered, Ended, Refused
from bridge.trunk.sockets import Tls
from bridge.trunk.tls import client_context, server_context
from tests.support.inprocess import running, settings
from tests.support.machine import free_port
from tests.support.servers.authority import Authority
from tests.support.sip.kamailio import running_kamailio, shipped
from tests.support.sip.sip_agents import SDP, TRUSTED, sip_agent, trunk_to
from tests.support.waiting import until_answer

pytestmark = pytest.mark.kamailio

STRANGER, CARRIER, INTERNAL = "127.0.0.1", "127.0.0.2", "127.0.0.10"
BRIDGES = ("127.0.0.11", "127.0.0.12")
NUMBER = "4930123456"
OFFER = SDP.replace("RTP/AVP 0", "RTP/AVP 8 0")
PASSWORD = "the password of the carrier"


class Edge:
    """A running proxy, where it is, and what its carrier trusts."""

    def __init__(self, folder, bridge_ports):
        self.public, self.tls = free_port(), free_port()
        self.internal, self.carrier = free_port(INTERNAL), free_port()
        authority = Authority(folder)
        issued = authority.issue(host="127.0.0.1")
        self.outside = Tls(
            client=client_context(ca=str(authority.path)),
            server=server_context(cert=issued.tls_cert, key=issued.tls_key),
        )
        bridges = zip(BRIDGES, bridge_ports, strict=True)
        self.configuration = shipped(
            folder,
            {
                "!udp:192.0.2.10:5060!": f"!udp:127.0.0.1:{self.public}!",
                "!tcp:192.0.2.10:5060!": f"!tcp:127.0.0.1:{self.public}!",
                "!tls:192.0.2.10:5061!": f"!tls:127.0.0.1:{self.tls}!",
                "!udp:10.0.0.10:5060!": f"!udp:{INTERNAL}:{self.internal}!",
                "sip.carrier.example:5061": f"127.0.0.1:{self.carrier}",
            },
            dispatcher="".join(f"1 sip:{host}:{port} 8 0\n" for host, port in bridges),
            address=f"1 {CARRIER} 32 0\n",
        )
        for old, new in {
            "calls.example.key": "key.pem",
            "calls.example.pem": "cert.pem",
            "/etc/ssl/certs/ca-certificates.crt": str(authority.path),
        }.items():
            path = folder / "tls.cfg"
            text = path.read_text()
            assert old in text
            path.write_text(text.replace(old, new))


@pytest.fixture(scope="module")
def ports():
    return [free_port(host) for host in BRIDGES]


@pytest.fixture(scope="module")
def edge(tmp_path_factory, ports):
    folder = tmp_path_factory.mktemp("edge")
    made = Edge(folder, ports)
    password = {"SIP_PASSWORD": PASSWORD}
    with running_kamailio(folder, made.configuration, tcp_port=made.public, environment=password):
        yield made


@asynccontextmanager
async def bridges(ports):
    """Two agents where the proxy expects the bridges."""
    first = sip_agent(inbound=[TRUSTED], host=BRIDGES[0], port=ports[0])
    second = sip_agent(inbound=[TRUSTED], host=BRIDGES[1], port=ports[1])
    async with first as one, second as other:
        yield one, other


async def any_call(*agents):
    """Wait until one of the agents is called; return it and the call."""
    async with asyncio.timeout(5):
        while True:
            for agent in agents:
                if agent.incoming:
                    return agent, agent.incoming.pop()
            await asyncio.sleep(0.005)


async def test_calls_of_a_carrier_go_to_both_bridges_and_stay_there(edge, ports):
    async with bridges(ports) as both, sip_agent(host=CARRIER) as carrier:
        reached = set()
        for number in range(6):
            call = carrier.call(trunk_to(edge.public), "+4930123")
            bridge, heard = await any_call(*both)
            reached.add(bridge)
            assert heard.invite.to_number == "+4930123"
            heard.dialog.answer(SDP)
            await call.event(Answered)
            first, second = (call, heard) if number % 2 else (heard, call)
            first.dialog.hang_up()
            await second.event(Ended)
            await first.dialog.wait_closed()
        assert len(reached) == 2


async def test_a_bridge_without_room_is_passed_over(edge, ports):
    async with bridges(ports) as both, sip_agent(host=CARRIER) as carrier:
        call = carrier.call(trunk_to(edge.public))
        full, refused = await any_call(*both)
        refused.dialog.refuse(503)
        other, heard = await any_call(*(bridge for bridge in both if bridge is not full))
        heard.dialog.answer(SDP)
        await call.event(Answered)
        call.dialog.hang_up()
        await heard.event(Ended)
        assert other is not full


async def test_a_stranger_needs_the_password_and_cannot_say_who_it_is(edge, ports):
    async with bridges(ports) as both, sip_agent(None, tls=edge.outside) as stranger:
        trunk = {"port": edge.tls, "transport": "tls"}
        assert (await stranger.call(trunk_to(**trunk)).event(Refused)).code == 401
        wrong = trunk_to(**trunk, credentials=Credentials("carrier", "guess"))
        assert (await stranger.call(wrong).event(Refused)).code == 401
        right = trunk_to(**trunk, credentials=Credentials("carrier", PASSWORD))
        call = stranger.call(right, asserted=True)
        _, heard = await any_call(*both)
        assert heard.invite.invitation.asserted_user == ""
        assert "authorization" not in heard.invite.invitation.headers
        heard.dialog.answer(SDP)
        await call.event(Answered)
        heard.dialog.hang_up()
        await call.event(Ended)


async def test_a_bridge_calls_the_carrier_over_tls(edge, ports):
    outside = sip_agent("tls", inbound=[TRUSTED], tls=edge.outside, port=edge.carrier)
    async with bridges(ports) as (bridge, _), outside as carrier:
        call = bridge.call(trunk_to(edge.internal, host=INTERNAL, domain="sip.carrier.example"))
        heard = await carrier.invited()
        assert heard.invite is not None
        assert heard.invite.invitation.source.transport == "tls"
        heard.dialog.answer(SDP)
        await call.event(Answered)
        heard.dialog.hang_up()
        await call.event(Ended)


def bridge_at(host, port, edge):
    """The settings of a bridge behind the proxy, as its configuration describes them."""
    trunk = LineSip(
        trunk=f"sip:{INTERNAL}:{edge.internal};transport=udp",
        realm="sip.carrier.example",
        allow_prefixes=["+49"],
    )
    return settings(
        lines={"office": Line(keys=["demo"], numbers=[NUMBER], sip=trunk)},
        sip=Sip(listen=[f"udp:{host}:{port}"], trusted=[f"{INTERNAL}/32"]),
    )


async def ringing(*clients):
    """Return a bridge where a call rings, and the call; None if there is none."""
    for client in clients:
        for call in await client.calls():
            if call["state"] == "ringing":
                return client, call["callId"]
    return None


async def test_two_bridges_take_a_carriers_calls_and_make_their_own(edge, ports):
    outside = sip_agent("tls", inbound=[TRUSTED], tls=edge.outside, port=edge.carrier)
    first, second = (
        running(bridge_at(host, port, edge)) for host, port in zip(BRIDGES, ports, strict=True)
    )
    async with first as one, second as other, outside as carrier, sip_agent(host=CARRIER) as caller:
        calls = [caller.call(trunk_to(edge.public), f"+{NUMBER}", sdp=OFFER) for _ in range(2)]
        for _ in calls:
            client, call_id = await until_answer(lambda: ringing(one, other))
            await client.data("/call/answer", {"callId": call_id})
            await client.until_state(call_id, "active")
        for call in calls:
            assert "m=audio" in (await call.event(Answered)).sdp
            call.dialog.hang_up()
            await call.dialog.wait_closed()
        body = {"phone": "4940654321", "channel": "pstn"}
        dialled = asyncio.create_task(one.data("/call/dial", body))
        heard = await carrier.invited()
        heard.dialog.refuse(486)
        call_id = (await dialled)["callId"]
        await one.until_state(call_id, "gone")
        assert (await one.quality(call_id))["endReason"] == "busy"


async def test_a_flood_is_answered_no_more(edge):
    options = (
        "OPTIONS sip:x@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.3:{port};branch=z9hG4bK{n}\r\n"
        "Max-Forwards: 70\r\nFrom: <sip:a@b>;tag={n}\r\nTo: <sip:x@127.0.0.1>\r\nCall-ID: {n}\r\n"
        "CSeq: 1 OPTIONS\r\nUser-Agent: a flood\r\nContent-Length: 0\r\n\r\n"
    )
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as flood:
        flood.bind(("127.0.0.3", 0))
        flood.connect(("127.0.0.1", edge.public))
        flood.settimeout(0.3)
        for number in range(300):
            flood.send(options.format(port=flood.getsockname()[1], n=number).encode())
        answers = 0
        try:
            while flood.recv(4096):
                answers += 1
        except TimeoutError:
            pass
        assert 0 < answers <= 200
        flood.send(options.format(port=flood.getsockname()[1], n="again").encode())
        with pytest.raises(TimeoutError):
            flood.recv(4096)
