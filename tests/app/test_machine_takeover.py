"""Calls go on at another machine after theirs has died: two bridges of one process that share a PostgreSQL database."""

from contextlib import asynccontextmanager
from dataclasses import dataclass

import msgspec
import numpy as np
import pytest
from aiohttp.test_utils import TestClient

from bridge.app import cluster
from bridge.call.model import EndReason
from bridge.cluster.leases import Leased
from bridge.cluster.timing import ClusterTiming
from bridge.errors import DatabaseLost
from bridge.node.handover import leave
from bridge.settings.model import Data, Sip
from bridge.stores.directory import FOLDER
from bridge.wire.call_event import EventType
from tests.calls.telephone.test_trunk import BRANCH, OFFICE, line, one, ringing
from tests.support.inprocess import BridgeServer, Client, built, settings
from tests.support.machine import free_port
from tests.support.peers.signalling import SignallingError
from tests.support.peers.stock_peer import StockPeer
from tests.support.waiting import until, until_answer

pytestmark = [pytest.mark.postgresql, pytest.mark.call]

ECHO = "15550100001"
TONE = (9000 * np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)).astype(np.int16)


@dataclass(slots=True)
class Machine:
    """One machine's bridge."""

    client: Client
    members: Leased

    async def die(self):
        """Renew no lease, and answer nobody."""

        async def look():
            raise DatabaseLost("the machine is dead")

        vars(self.members)["look"] = look

    def running(self, call_id):
        return self.client.bridge.manager.running(call_id)

    async def events(self, kind):
        log = self.client.bridge.events.log
        await log.flush()
        return [event for _, event in await log.read(0) if event.type == kind]


@asynccontextmanager
async def machine(url, folder, **changed):
    (folder / FOLDER).mkdir(parents=True)
    chosen = settings(**changed)
    chosen = msgspec.structs.replace(chosen, data=Data(dir=str(folder), url=url))
    members = await cluster.join(chosen, machine=folder.name, timing=ClusterTiming(heartbeat=0.25))
    bridge = built(chosen, None, members=members)
    cluster.attach(members, bridge)
    async with TestClient(BridgeServer(bridge.application)) as http:
        try:
            yield Machine(Client(bridge, http, data=folder), members)
        finally:
            await bridge.aclose()
            await bridge.release()
            await members.aclose()


@pytest.fixture
def url(postgres_server):
    """A database of its own for the test."""
    with postgres_server.database() as name:
        yield postgres_server.url(name)


async def talking(at, page):
    """Return a call in which a page hears the echo, its leg, and wait until others could go on with it."""
    call_id = await at.client.dial(ECHO)
    exchange = at.client.exchange(call_id)
    await page.call(exchange)
    await until(lambda: len(page.heard()) > 8000, timeout=20)
    await until(lambda: at.client.bridge.takeovers.is_portable(call_id), timeout=20)
    await at.client.bridge.events.database.flush()
    return call_id, exchange.leg_id


async def hears(page):
    before = len(page.heard())
    await until(lambda: len(page.heard()) > before + 8000, timeout=20)
    assert np.abs(page.heard()[before + 4000 :].astype(float)).max() > 1000


async def test_a_call_goes_on_at_another_machine_once_its_own_is_dead(url, tmp_path):
    async with (
        machine(url, tmp_path / "a") as dead,
        machine(url, tmp_path / "b") as other,
        StockPeer(TONE, repeat=True) as page,
        StockPeer(TONE, repeat=True) as again,
    ):
        call_id, leg_id = await talking(dead, page)
        await dead.client.data("/call/record/start", {"callId": call_id})

        async def recording_known():
            query = "SELECT snapshot FROM open_calls"
            database = dead.client.bridge.events.database
            [(found,)] = await database.read(lambda it: it.execute(query).fetchall())
            return b"recorder" in found

        await until_answer(recording_known, timeout=20)
        await dead.die()
        exchange = other.client.exchange(call_id, legID=leg_id)
        with pytest.raises(SignallingError) as refused:
            await again.call(exchange)
        assert refused.value.status == 503
        await until(lambda: other.running(call_id) is not None, timeout=20)
        await again.call(exchange)
        assert exchange.leg_id == leg_id
        await hears(again)
        [recovered] = await other.events(EventType.CALL_RECOVERED)
        assert recovered.data["cause"] == "machine"
        assert recovered.data["legs"] == {"kept": 1, "reconnecting": 1, "lost": 3}
        response = await other.client.post("/call/hangup", {"callId": call_id})
        assert response.status == 200
        [end] = await other.events(EventType.CALL_ENDED)
        assert (end.call.id, end.call.reason) == (call_id, "hangup")


async def test_a_machine_that_was_only_paused_leaves_what_goes_on_elsewhere_without_a_word(
    url, tmp_path
):
    async with (
        machine(url, tmp_path / "a") as paused,
        machine(url, tmp_path / "b") as other,
        StockPeer(TONE, repeat=True) as page,
    ):
        call_id, _ = await talking(paused, page)
        await paused.die()
        await until(lambda: other.running(call_id) is not None, timeout=20)
        vars(paused.members).pop("look")
        await paused.members.look()
        assert paused.members.fenced.is_set()
        await paused.client.bridge.aclose(reason=EndReason.NODE_LOST)
        assert (
            page.connection.connectionState == "connected"
        )  # no close_notify: it looks for its call itself
        assert await other.events(EventType.CALL_ENDED) == []
        assert other.running(call_id).live


async def test_a_call_that_was_taken_over_a_moment_ago_is_not_taken_over_again(url, tmp_path):
    async with (
        machine(url, tmp_path / "a") as first,
        machine(url, tmp_path / "b") as second,
        StockPeer(TONE, repeat=True) as page,
    ):
        call_id, _ = await talking(first, page)
        await first.die()
        await until(lambda: second.running(call_id) is not None, timeout=20)
        async with machine(url, tmp_path / "c") as third:
            await second.die()

            async def ended():
                return bool(await third.events(EventType.CALL_ENDED))

            await until_answer(ended, timeout=20)
            [end] = await third.events(EventType.CALL_ENDED)
            assert (end.call.id, end.call.reason) == (call_id, "node_lost")
            assert third.running(call_id) is None


@asynccontextmanager
async def telephoning(url, tmp_path, *, inbound, transport="udp", **sip):
    """Let a page at a machine talk with a telephone, and run another machine of the same line."""
    ports = [free_port() for _ in range(3)]
    office = line(OFFICE, ports[2], transport, **sip)

    def at(name, port):
        listen = Sip(listen=[f"{transport}:127.0.0.1:{port}"])
        return machine(url, tmp_path / name, lines={"office": office}, sip=listen)

    async with (
        one(BRANCH, ports[2], ports[0], transport) as branch,
        at("a", ports[0]) as dead,
        at("b", ports[1]) as other,
        StockPeer(TONE, repeat=True) as page,
        StockPeer(TONE, repeat=True) as phone,
    ):
        if inbound:
            there = await branch.dial(OFFICE, channel="pstn")
            call_id = (await ringing(dead.client))["callId"]
            await dead.client.data("/call/answer", {"callId": call_id})
        else:
            call_id = await dead.client.dial(BRANCH, channel="pstn")
            there = (await ringing(branch))["callId"]
            await branch.data("/call/answer", {"callId": there})
        await dead.client.until_state(call_id, "active")
        exchange = dead.client.exchange(call_id)
        await page.call(exchange)
        await phone.call(branch.exchange(there))
        await hears(page)
        await hears(phone)
        yield dead, other, branch, call_id, there, exchange.leg_id, phone


async def kill(at, call_id):
    """Let a machine die, whose media and signalling end too."""
    await until(lambda: at.client.bridge.takeovers.is_portable(call_id), timeout=20)
    await at.client.bridge.events.database.flush()
    await at.die()
    await leave(at.client.bridge.manager, lambda _: True)


@pytest.mark.parametrize("inbound", [True, False], ids=["they rang us", "we rang them"])
async def test_a_telephone_talks_with_the_machine_that_takes_its_call_over(url, tmp_path, inbound):
    async with (
        telephoning(url, tmp_path, inbound=inbound, takeover=True) as found,
        StockPeer(TONE, repeat=True) as again,
    ):
        dead, other, branch, call_id, there, leg_id, phone = found
        await kill(dead, call_id)
        await until(lambda: other.running(call_id) is not None, timeout=20)
        await again.call(other.client.exchange(call_id, legID=leg_id))
        await hears(again)
        await hears(phone)
        [recovered] = await other.events(EventType.CALL_RECOVERED)
        assert recovered.data["legs"] == {"kept": 0, "reconnecting": 2, "lost": 0}
        runner = other.running(call_id)
        await branch.data("/call/hangup", {"callId": there})
        await until(lambda: not runner.live, timeout=20)
        [end] = await other.events(EventType.CALL_ENDED)
        assert (end.call.id, end.call.reason) == (call_id, "remote_hangup")


async def test_a_telephone_whose_trunk_takes_no_other_machine_is_lost(url, tmp_path):
    async with telephoning(url, tmp_path, inbound=False) as (dead, other, _, call_id, *_):
        await dead.client.bridge.events.database.flush()
        assert not dead.client.bridge.takeovers.is_portable(call_id)
        await dead.die()

        async def ended():
            return bool(await other.events(EventType.CALL_ENDED))

        await until_answer(ended, timeout=20)
        [end] = await other.events(EventType.CALL_ENDED)
        assert (end.call.id, end.call.reason) == (call_id, "node_lost")
