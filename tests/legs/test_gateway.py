import asyncio
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import WSMessage, WSMsgType

from bridge.call.events import LegAnswered, LegConnected, LegDialled, LegEnded, LegRinging
from bridge.call.model import EndReason, LegId, LegKind
from bridge.call.setup_timings import SetupTimings
from bridge.errors import CallNotFound, HandoverRefused, LegError, Unreachable
from bridge.legs.gateway import GatewayLeg, GatewayTimeouts
from bridge.wire.gateway import EngineCall, Phase, read_message
from bridge.wire.stream.media_format import WADIAL
from tests.support.waiting import until

LEG = LegId("leg")


class Socket:
    """A socket whose messages the test makes; None closes it."""

    def __init__(self):
        self.messages: asyncio.Queue[Any] = asyncio.Queue()

    def say(self, text):
        self.messages.put_nowait(WSMessage(WSMsgType.TEXT, text, None))

    def __aiter__(self):
        return self

    async def __anext__(self):
        message = await self.messages.get()
        if message is None:
            raise StopAsyncIteration
        return message

    async def send_bytes(self, data):
        pass


class Engine:
    """A gateway that does at once what the test says."""

    media = WADIAL

    def __init__(self):
        self.asked = []
        self.sockets = []
        self.refuses_socket = False
        self.dial_fails = None
        self.answer_fails = None
        self.hangup_fails = None

    async def dial(self):
        if self.dial_fails:
            raise self.dial_fails
        return "CA1"

    async def answer(self, call_id):
        self.asked.append(("answer", call_id))
        if self.answer_fails:
            raise self.answer_fails

    async def hangup(self, call_id):
        self.asked.append(("hangup", call_id))
        if self.hangup_fails:
            raise self.hangup_fails

    @asynccontextmanager
    async def socket(self, call_id):
        if self.refuses_socket:
            raise CallNotFound("no")
        socket = Socket()
        self.sockets.append(socket)
        yield socket

    def read(self, text):
        return read_message(text)


class Follower:
    """Remembers what it was asked."""

    def __init__(self):
        self.followed = {}
        self.forgotten = []
        self.left = []
        self.polls = 0
        self.seen = False

    def follow(self, call_id, leg):
        self.followed[call_id] = leg

    def mark_known(self, call_id):
        self.seen = True

    def forget(self, call_id, *, unwanted):
        self.followed.pop(call_id, None)
        self.forgotten.append((call_id, unwanted))

    def leave(self, call_id):
        self.followed.pop(call_id, None)
        self.left.append(call_id)

    def poll_now(self):
        self.polls += 1


class Life:
    """A leg at work."""

    def __init__(self, *, inbound=False, timeouts=None, gateway=None):
        made: Any = gateway or Engine()
        self.gateway = made
        self.follower = Follower()
        self.events = []
        self.leg = GatewayLeg(
            LEG,
            gateway=made,
            follower=self.follower,
            call="CA1" if inbound else made.dial,
            timeouts=timeouts or GatewayTimeouts(),
        )

    async def __aenter__(self):
        self.task = asyncio.get_running_loop().create_task(self.leg.run(self.events.append))
        await settle()
        return self

    async def __aexit__(self, *_):
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    def list(self, phase, *, inbound=False):
        self.leg.update(EngineCall("CA1", "15550107001", inbound, phase))


async def settle():
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.mark.virtual_time
async def test_a_call_that_we_dial_rings_and_is_answered_as_the_list_says():
    async with Life() as life:
        assert life.leg.kind is LegKind.GATEWAY
        life.list(Phase.CALLING)
        assert life.events == [LegDialled(LEG), LegConnected(LEG)]
        for phase in (Phase.RINGING, Phase.RINGING, Phase.ACTIVE, Phase.ACTIVE):
            life.list(phase)
        assert life.events[1:] == [LegConnected(LEG), LegRinging(LEG), LegAnswered(LEG)]
        assert life.follower.seen
        assert life.leg.statistics().setup == SetupTimings(
            dialled=0.0, socket=0.0, ringing=0.0, accepted=0.0
        )


@pytest.mark.parametrize(
    ("error", "reason"),
    [(Unreachable("no route"), EndReason.UNREACHABLE), (LegError("down"), EndReason.FAILED)],
)
@pytest.mark.virtual_time
async def test_a_dial_that_the_engine_refuses_ends_the_leg_with_its_error(error, reason):
    gateway = Engine()
    gateway.dial_fails = error
    async with Life(gateway=gateway) as life:
        await life.task
        assert life.events == [LegEnded(LEG, reason, error)]
        assert (gateway.asked, life.follower.forgotten) == ([], [])


@pytest.mark.virtual_time
async def test_a_call_that_rings_us_is_answered_when_we_say_so():
    async with Life(inbound=True) as life:
        life.list(Phase.RINGING, inbound=True)
        await settle()
        assert (life.gateway.asked, life.events) == ([], [])
        life.leg.answer()
        await settle()
        assert life.gateway.asked == [("answer", "CA1")]
        assert life.events == [LegConnected(LEG)]


@pytest.mark.virtual_time
async def test_a_ring_that_somebody_else_takes_ends_without_hanging_up_their_call():
    async with Life(inbound=True) as life:
        life.list(Phase.ACTIVE, inbound=True)
        await life.task
        assert life.events == [LegEnded(LEG, EndReason.REMOTE_HANGUP)]
        assert life.gateway.asked == []


@pytest.mark.parametrize(
    ("error", "reason", "told"),
    [
        (CallNotFound("gone"), EndReason.REMOTE_HANGUP, False),
        (LegError("down"), EndReason.FAILED, True),
    ],
)
@pytest.mark.virtual_time
async def test_a_ring_that_cannot_be_answered_ends(error, reason, told):
    gateway = Engine()
    gateway.answer_fails = error
    async with Life(inbound=True, gateway=gateway) as life:
        life.leg.answer()
        await life.task
        assert life.events == [LegEnded(LEG, reason, error if told else None)]


@pytest.mark.parametrize(
    ("phases", "hint", "waited", "reason"),
    [
        ((Phase.ACTIVE,), "", False, EndReason.REMOTE_HANGUP),
        ((Phase.RINGING,), "", False, EndReason.REJECTED),
        ((Phase.RINGING,), "reject", True, EndReason.REJECTED),
        ((Phase.RINGING,), "", True, EndReason.NO_ANSWER),
    ],
)
@pytest.mark.virtual_time
async def test_a_call_that_is_listed_no_more_has_ended(phases, hint, waited, reason):
    async with Life(timeouts=GatewayTimeouts(no_answer=0.0 if waited else 60.0)) as life:
        for phase in phases:
            life.list(phase)
        life.leg.note_event(hint)
        life.leg.update(None)
        await life.task
        assert life.events[-1] == LegEnded(LEG, reason)
        assert life.gateway.asked == []
        assert life.follower.forgotten == [("CA1", False)]


@pytest.mark.virtual_time
async def test_the_sockets_word_ends_the_call_too():
    async with Life() as life:
        life.list(Phase.ACTIVE)
        life.gateway.sockets[0].say('{"type":"ended"}')
        await life.task
        assert life.events[-1] == LegEnded(LEG, EndReason.REMOTE_HANGUP)


@pytest.mark.virtual_time
async def test_the_socket_tells_of_the_answer():
    async with Life() as life:
        life.gateway.sockets[0].say('{"type":"call_state","call":{"state":"active"}}')
        await until(lambda: LegAnswered(LEG) in life.events)


@pytest.mark.virtual_time
async def test_sound_in_another_format_ends_the_call():
    async with Life() as life:
        life.gateway.sockets[0].say('{"type":"ready","media":{"sampleRate":48000}}')
        await life.task
        assert life.events[-1] == LegEnded(LEG, EndReason.FAILED)
        assert life.gateway.asked == [("hangup", "CA1")]


@pytest.mark.virtual_time
async def test_a_socket_that_closes_is_opened_again_and_the_list_is_asked():
    async with Life() as life:
        life.list(Phase.ACTIVE)
        life.gateway.sockets[0].messages.put_nowait(None)
        await until(lambda: len(life.gateway.sockets) == 2)
        assert life.follower.polls == 1
        assert life.events[1:] == [LegConnected(LEG), LegAnswered(LEG)]


@pytest.mark.virtual_time
async def test_an_answered_call_without_a_socket_is_given_up():
    gateway = Engine()
    gateway.refuses_socket = True
    async with Life(gateway=gateway, timeouts=GatewayTimeouts(socket=0.05)) as life:
        await settle()
        assert not life.task.done()
        life.list(Phase.ACTIVE)
        await life.task
        assert life.events[1:] == [LegAnswered(LEG), LegEnded(LEG, EndReason.MEDIA_TIMEOUT)]
        assert gateway.asked == [("hangup", "CA1")]


@pytest.mark.virtual_time
async def test_cancellation_hangs_up_and_tells_nothing_more():
    async with Life() as life:
        life.list(Phase.ACTIVE)
        before = list(life.events)
        life.task.cancel()
        await asyncio.gather(life.task, return_exceptions=True)
        assert life.gateway.asked == [("hangup", "CA1")]
        assert life.follower.forgotten == [("CA1", True)]
        assert life.events == before


@pytest.mark.virtual_time
async def test_a_hangup_that_fails_is_left_to_the_follower():
    gateway = Engine()
    gateway.hangup_fails = LegError("down")
    async with Life(gateway=gateway) as life:
        life.task.cancel()
        await asyncio.gather(life.task, return_exceptions=True)
        assert life.task.cancelled()
        assert life.follower.forgotten == [("CA1", True)]


@pytest.mark.virtual_time
async def test_a_leg_that_never_ran_hangs_up_once():
    life = Life(inbound=True)
    await life.leg.aclose()
    await life.leg.aclose()
    assert life.gateway.asked == [("hangup", "CA1")]


async def talking(life):
    life.list(Phase.ACTIVE)
    await settle()
    return life


@pytest.mark.virtual_time
async def test_a_leg_moves_once_it_is_answered_and_connected():
    async with Life() as life:
        with pytest.raises(HandoverRefused):
            life.leg.check_movable()
        await talking(life)
        life.leg.check_movable()
        life.leg.suspend()
        with pytest.raises(HandoverRefused):
            life.leg.check_movable()


@pytest.mark.virtual_time
async def test_a_leg_that_passes_tells_the_gateway_and_the_store_nothing():
    async with Life() as life:
        await talking(life)
        told = list(life.events)
        life.leg.suspend()
        life.leg.update(None)
        life.gateway.sockets[0].messages.put_nowait(None)
        await settle()
        await life.leg.abandon()
        life.task.cancel()
        await asyncio.gather(life.task, return_exceptions=True)
        assert (life.events, life.gateway.asked) == (told, [])
        assert (life.follower.left, life.follower.forgotten) == (["CA1"], [])
        assert len(life.gateway.sockets) == 1


@pytest.mark.virtual_time
async def test_what_happens_to_a_suspended_leg_is_noticed_once_it_goes_on():
    async with Life() as life:
        await talking(life)
        life.leg.suspend()
        life.gateway.sockets[0].say('{"type":"ended"}')
        await settle()
        assert not life.task.done()
        life.leg.resume()
        await life.task
        assert life.follower.polls == 1
        assert life.events[-1] == LegEnded(LEG, EndReason.REMOTE_HANGUP)


@pytest.mark.parametrize("inbound", [False, True])
@pytest.mark.virtual_time
async def test_a_restored_leg_opens_a_socket_and_goes_on_counting(inbound):
    async with Life(inbound=inbound) as life:
        if inbound:
            life.leg.answer()
        await talking(life)
        life.gateway.sockets[0].messages.put_nowait(WSMessage(WSMsgType.BINARY, bytes(3840), None))
        await settle()
        snapshot, sockets = life.leg.suspend()
        before = life.leg.statistics()
        other = Life(inbound=True, gateway=life.gateway)
        other.leg.restore(snapshot)
        assert (sockets, other.leg.statistics().setup) == ([], before.setup)
        assert other.leg.statistics().received.packets == before.received.packets == 1
        other.leg.check_movable()
        async with other:
            other.list(Phase.ACTIVE, inbound=inbound)
            await settle()
            assert (len(life.gateway.sockets), other.events) == (2, [])
            assert other.follower.seen
            other.leg.update(None)
            await other.task
            assert other.events == [LegEnded(LEG, EndReason.REMOTE_HANGUP)]
            assert life.gateway.asked == [("answer", "CA1")][: int(inbound)]
        life.leg.resume()


@pytest.mark.virtual_time
async def test_a_copy_is_made_while_the_leg_goes_on_and_asks_the_gateway_nothing():
    async with Life() as life:
        with pytest.raises(HandoverRefused):
            life.leg.copy()
        await talking(life)
        copy = life.leg.copy()
        life.leg.check_movable()
        assert copy == life.leg.suspend()[0]
        assert life.follower.polls == 0
