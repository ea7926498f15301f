"""Two agents call each other over loopback; tests/sip has the calls with programs of others."""

import asyncio
import logging
import socket
from ipaddress import ip_address

import pytest
from typing_extensions import override

from bridge.http.resolver import LookupFailed, Service
from bridge.sip.boundary import Credentials, DialogRules
from bridge.sip.events import (
    Answered,
    DigitSignalled,
    Ended,
    OfferAnswered,
    Offered,
    Refused,
    Ringing,
    TransferProgressed,
    TransferRequested,
)
from bridge.trunk.connections import IDLE_SECONDS
from bridge.trunk.dialog import ALTERNATE_SECONDS
from bridge.trunk.sockets import Tls
from bridge.trunk.tls import client_context, server_context
from bridge.trunk.trunk import TrunkAddress
from bridge.trunk.trunks import TrunkHealth
from tests.support.machine import free_port
from tests.support.servers.authority import Authority
from tests.support.sip.sip_agents import GUARDED, SDP, TRUSTED, sip_agent, trunk_to
from tests.support.waiting import until

OTHER_SDP = SDP.replace("40000", "40010")


async def connected(ours, theirs, **trunk):
    """Call, and return the notes of both sides once it is answered."""
    call = ours.call(trunk_to(theirs.port, **trunk))
    heard = await theirs.invited()
    heard.dialog.ring()
    await call.event(Ringing)
    heard.dialog.answer(OTHER_SDP)
    assert (await call.event(Answered)).sdp == OTHER_SDP
    return call, heard


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_a_call_rings_is_answered_and_ended(transport):
    async with sip_agent(None) as ours, sip_agent(transport, inbound=[TRUSTED]) as theirs:
        call, heard = await connected(ours, theirs, transport=transport)
        assert heard.invite.sdp == SDP
        assert (heard.invite.from_number, heard.invite.to_number) == ("+49301", "+4930123")
        assert heard.invite.trunks == {"trunk"}
        call.dialog.hang_up()
        await heard.event(Ended)
        await call.dialog.wait_closed()
        assert ours.agent.core.sizes["calls"] == theirs.agent.core.sizes["calls"] == 0
        assert not ours.agent._dialogs
        assert not theirs.agent._dialogs


async def test_both_sides_of_a_call_know_the_host_that_the_other_signals_from():
    async with sip_agent(None) as ours, sip_agent("udp", inbound=[TRUSTED]) as theirs:
        call, heard = await connected(ours, theirs)
        assert heard.dialog.signalling_host == "127.0.0.1"
        assert call.dialog.signalling_host == "127.0.0.1"
        call.dialog.hang_up()
        await call.dialog.wait_closed()
        assert call.dialog.signalling_host == ""


async def test_who_is_called_hangs_up_over_the_same_socket():
    async with sip_agent(None) as ours, sip_agent(inbound=[TRUSTED]) as theirs:
        call, heard = await connected(ours, theirs)
        heard.dialog.hang_up()
        await call.event(Ended)
        await heard.dialog.wait_closed()
        assert len(ours.sockets._datagrams) == 1


async def test_a_call_over_tls_has_a_verified_certificate(tmp_path):
    authority = Authority(tmp_path)
    issued = authority.issue(host="127.0.0.1")
    theirs_tls = Tls(server=server_context(cert=issued.tls_cert, key=issued.tls_key))
    trusting = Tls(client=client_context(ca=str(authority.path)))
    async with sip_agent("tls", inbound=[TRUSTED], tls=theirs_tls) as theirs:
        async with sip_agent(None, tls=trusting) as ours:
            call, heard = await connected(ours, theirs, transport="tls")
            heard.dialog.hang_up()
            await call.event(Ended)
        async with sip_agent(None) as ours:
            call = ours.call(trunk_to(theirs.port, transport="tls"))
            assert (await call.event(Refused)).code == 503


async def test_a_call_is_held_resumed_transferred_and_sends_digits():
    async with sip_agent(None) as ours, sip_agent(inbound=[TRUSTED]) as theirs:
        call, heard = await connected(ours, theirs)
        call.dialog.reoffer(SDP)
        await heard.event(Offered)
        heard.dialog.answer(OTHER_SDP)
        await call.event(OfferAnswered)
        call.dialog.send_digit("5", 0.16)
        digit = await heard.event(DigitSignalled)
        assert (digit.digit, digit.seconds) == ("5", pytest.approx(0.16))
        call.dialog.refer("+4930999")
        assert (await heard.event(TransferRequested)).target == "+4930999"
        heard.dialog.notify_transfer(200)
        await until(
            lambda: any(e.code == 200 for e in call.events if isinstance(e, TransferProgressed))
        )
        call.dialog.refer("sip:<no uri>")
        await until(lambda: call.events[-1] == TransferProgressed(400, final=True))


async def test_a_call_that_is_given_up_while_it_rings_is_canceled():
    async with sip_agent(None) as ours, sip_agent(inbound=[TRUSTED]) as theirs:
        call = ours.call(trunk_to(theirs.port))
        heard = await theirs.invited()
        heard.dialog.ring()
        await call.event(Ringing)
        call.dialog.hang_up()
        assert (await heard.event(Ended)).canceled
        await call.dialog.wait_closed()


async def test_a_refusal_comes_with_its_code():
    async with sip_agent(None) as ours, sip_agent(inbound=[TRUSTED]) as theirs:
        call = ours.call(trunk_to(theirs.port))
        heard = await theirs.invited()
        heard.dialog.refuse(486)
        assert (await call.event(Refused)).code == 486


async def test_nobody_takes_calls_before_somebody_is_there_to():
    deaf = sip_agent(inbound=[TRUSTED], takes_calls=False)
    async with sip_agent(None) as ours, deaf as theirs:
        call = ours.call(trunk_to(theirs.port))
        assert (await call.event(Refused)).code == 480


async def test_who_knows_the_password_may_call():
    async with sip_agent(None) as ours, sip_agent(inbound=[GUARDED]) as theirs:
        right = ours.call(trunk_to(theirs.port, credentials=Credentials("carrier", "a secret")))
        heard = await theirs.invited()
        assert heard.invite is not None
        assert heard.invite.trunks == {"trunk"}
        heard.dialog.refuse(486)
        assert (await right.event(Refused)).code == 486
        for username, password in {"carrier": "wrong", "nobody": "a secret"}.items():
            wrong = ours.call(trunk_to(theirs.port, credentials=Credentials(username, password)))
            assert (await wrong.event(Refused)).code == 401
        assert (await ours.call(trunk_to(theirs.port)).event(Refused)).code == 401
        assert len(theirs.incoming) == 1


class Names:
    """A trunk with several hosts."""

    def __init__(self, *ports):
        self.ports = ports

    async def resolve(self, host):
        return [ip_address("127.0.0.1")]

    async def services(self, name):
        if name != "_sip._udp.trunk.test":
            raise LookupFailed("nothing", outcome="nothing")
        return [Service(n, 0, port, "host.test") for n, port in enumerate(self.ports)]


TRUNK = TrunkAddress(name="trunk", host="trunk.test")


async def test_the_next_host_is_dialled_where_the_first_refuses_datagrams():
    names = Names(free_port(), free_port())
    async with sip_agent(None, dns=names) as ours, sip_agent(inbound=[TRUSTED]) as theirs:
        names.ports = (names.ports[0], theirs.port)
        call = ours.call(TRUNK)
        heard = await theirs.invited()
        heard.dialog.refuse(486)
        assert (await call.event(Refused)).code == 486
        assert len(call.events) == 1


async def test_the_next_host_is_dialled_where_the_first_has_no_room():
    names = Names()
    full, free = sip_agent(inbound=[TRUSTED]), sip_agent(inbound=[TRUSTED])
    async with full as first, free as second, sip_agent(None, dns=names) as ours:
        names.ports = (first.port, second.port)
        call = ours.call(TRUNK)
        (await first.invited()).dialog.refuse(503)
        (await second.invited()).dialog.answer(OTHER_SDP)
        await call.event(Answered)
        again = ours.call(TRUNK)
        await second.invited(2)
        assert len(first.incoming) == 1
        again.dialog.hang_up()
        call.dialog.hang_up()


class Names2(Names):
    """A trunk with hosts of different addresses."""

    @override
    async def resolve(self, host):
        return [ip_address("127.0.0.1"), ip_address("127.0.0.3")]


async def test_another_address_of_the_trunk_may_end_a_call_and_a_strangers_may_not():
    names = Names2()
    async with sip_agent(inbound=[TRUSTED]) as theirs, sip_agent(dns=names) as ours:
        names.ports = (theirs.port,)
        call = ours.call(TRUNK)
        (await theirs.invited()).dialog.answer(OTHER_SDP)
        await call.event(Answered)
        assert call.dialog.current is not None
        name = ours.agent.core.dialog_name(call.dialog.current)
        assert await answer(ours.port, bye(name), "127.0.0.66") == b"481"
        assert ours.counted.drops == {"foreign": 1}
        assert await answer(ours.port, bye(name), "127.0.0.3") == b"200"
        await call.event(Ended)


def bye(name):
    """Return a BYE of the far side of a dialog."""
    call_id, far, near = name.split(";")
    return (
        "BYE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;rport;branch=z9hG4bKbye\r\n"
        f"Max-Forwards: 70\r\nFrom: <sip:a@b>;tag={far}\r\nTo: <sip:a@b>;tag={near}\r\n"
        f"Call-ID: {call_id}\r\nCSeq: 70000 BYE\r\nContent-Length: 0\r\n\r\n"
    ).encode()


async def answer(port, message, source):
    """Send a datagram from an address of loopback, and return the code of the response."""
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.bind((source, 0))
        peer.setblocking(False)
        peer.connect(("127.0.0.1", port))
        await loop.sock_sendall(peer, message)
        async with asyncio.timeout(5):
            return (await loop.sock_recv(peer, 65536)).split()[1]


async def test_a_trunk_whose_hosts_are_all_gone_refuses_the_call():
    async with sip_agent(None, dns=Names(free_port(), free_port())) as ours:
        call = ours.call(TRUNK)
        assert (await call.event(Refused)).code == 503
        await call.dialog.wait_closed()
        assert not ours.agent._dialogs


async def test_a_trunk_is_found_reachable_and_lost():
    async with sip_agent(None) as ours:
        async with sip_agent(inbound=[TRUSTED]) as theirs:
            trunk = trunk_to(theirs.port, options_seconds=0.05)
            ours.agent.trunks.keep(trunk)
            await ours.health("trunk", TrunkHealth(reachable=True))
        await ours.health("trunk", TrunkHealth(reachable=False, last_error="no address responds"))


async def test_calls_are_ended_when_the_agent_is():
    async with sip_agent(inbound=[TRUSTED]) as theirs:
        async with sip_agent(None) as ours:
            _, heard = await connected(ours, theirs)
        await heard.event(Ended)


async def test_too_many_messages_of_one_address_are_dropped_and_counted():
    async with sip_agent(None) as ours, sip_agent(inbound=[GUARDED], per_second=1.0) as theirs:
        calls = [ours.call(trunk_to(theirs.port)) for _ in range(5)]
        await until(lambda: theirs.counted.drops["rate"] >= 3)
        for call in calls:
            call.dialog.hang_up()


async def test_messages_are_counted_by_method_and_code():
    async with sip_agent(None) as ours, sip_agent(inbound=[TRUSTED]) as theirs:
        call, _ = await connected(ours, theirs)
        call.dialog.hang_up()
        await call.dialog.wait_closed()
        assert ours.counted.messages["out", "INVITE", 0] == 1
        assert ours.counted.messages["in", "INVITE", 200] == 1
        assert theirs.counted.messages["in", "BYE", 0] == 1


async def test_no_number_stands_in_the_log_of_a_call(caplog):
    caplog.set_level(logging.DEBUG)
    async with sip_agent(None) as ours, sip_agent(inbound=[TRUSTED]) as theirs:
        call, _ = await connected(ours, theirs)
        call.dialog.hang_up()
        await call.dialog.wait_closed()
    assert "sip.sent" in caplog.text
    text = "".join(str(record.__dict__) for record in caplog.records)
    assert "4930123" not in text
    assert "49301" not in text


async def test_ids_of_dialogs_name_the_node_that_owns_the_call():
    async with sip_agent(None, node=3) as ours, sip_agent(inbound=[TRUSTED]) as theirs:
        call, _ = await connected(ours, theirs)
        assert str(call.dialog.current).startswith("03-")


async def test_a_stranger_gets_no_answer_to_what_cannot_be_read():
    async with sip_agent(inbound=[GUARDED]) as theirs:
        loop = asyncio.get_running_loop()
        got: list[bytes] = []

        class Stranger(asyncio.DatagramProtocol):
            @override
            def datagram_received(self, data, addr):
                got.append(data)

        transport, _ = await loop.create_datagram_endpoint(
            Stranger, remote_addr=("127.0.0.1", theirs.port)
        )
        good = (
            b"OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;rport;branch=z9hG4bK1\r\n"
            b"Max-Forwards: 70\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:a@b>\r\nCall-ID: 1\r\n"
            b"CSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
        )
        for data in (good.replace(b"Call-ID: 1\r\n", b""), b"\0" * 99, b"INVITE\r\n\r\n", good):
            transport.sendto(data)
        await until(lambda: got)
        assert len(got) == 1
        assert got[0].startswith(b"SIP/2.0 401 ")
        assert theirs.counted.drops == {"malformed": 2}  # NULs are a keep-alive
        transport.close()


@pytest.mark.virtual_time
async def test_the_connection_of_a_call_is_not_closed_for_want_of_messages():
    async with (
        sip_agent(None) as ours,
        sip_agent("tcp", inbound=[TRUSTED]) as theirs,
    ):
        call, heard = await connected(ours, theirs, transport="tcp")
        await asyncio.sleep(IDLE_SECONDS + 100)
        opened = [one.sockets.connections for one in (ours, theirs)]
        assert [len(each) for each in opened] == [1, 1]
        heard.dialog.hang_up()
        await call.event(Ended)
        await heard.dialog.wait_closed()
        await asyncio.sleep(IDLE_SECONDS + 100)
        assert [len(each) for each in opened] == [0, 0]


async def test_bye_reaches_a_caller_whose_connection_has_ended_over_one_to_its_server():
    rules = DialogRules(host="caller.example")
    async with sip_agent("tcp") as ours, sip_agent("tcp", inbound=[TRUSTED]) as theirs:
        call, heard = await connected(ours, theirs, transport="tcp", rules=rules)
        await heard.dialog.find_alternate(trunk_to(ours.port, transport="tcp"))
        invited = heard.invite.invitation.source
        stream = theirs.sockets.connections.find(invited.connection)
        assert stream is not None
        stream.abort()
        await until(lambda: theirs.sockets.connections.find(invited.connection) is None)
        heard.dialog.hang_up()
        await call.event(Ended)
        await heard.dialog.wait_closed()


@pytest.mark.virtual_time
async def test_a_way_for_the_bye_is_looked_for_until_the_call_has_ended():
    async with sip_agent(None) as ours, sip_agent("tcp", inbound=[TRUSTED]) as theirs:
        call, heard = await connected(ours, theirs, transport="tcp")
        nowhere = trunk_to(free_port("127.0.0.1"), transport="tcp")
        looking = asyncio.create_task(heard.dialog.find_alternate(nowhere))
        await asyncio.sleep(3 * ALTERNATE_SECONDS)
        assert not looking.done()
        call.dialog.hang_up()
        await heard.event(Ended)
        await asyncio.wait_for(looking, 2 * ALTERNATE_SECONDS)
