"""When the bots of a call begin, and when they are heard."""

import asyncio

import pytest
from typing_extensions import override

from bridge.audio.buffer.paced import PacedQueue
from bridge.audio.frame import FRAME_BYTES
from bridge.call import events
from bridge.call.bots.speech_gates import MEDIA
from bridge.call.limits import CallLimits
from bridge.call.machine import CallMachine
from bridge.call.model import Direction, LegId, LegKind, LegStatistics, Party, ReceivedAudio
from bridge.call.routing import Audience, LegRole
from bridge.legs.base import Leg
from bridge.node.speech.held_speech import FIRST_PACKET_SECONDS, LOOK_SECONDS, HeldSpeech
from tests.support.fake_leg import FakeLeg

pytestmark = pytest.mark.virtual_time

WORD = b"\x00\x10" * (FRAME_BYTES // 2)
BOT = LegRole(Party.NEAR)


class Bot(FakeLeg):
    """A leg that speaks from a queue."""

    def __init__(self, kind: LegKind = LegKind.SOCKET, name: str = "bot") -> None:
        super().__init__(name, kind)
        self.queue = PacedQueue()


class Far(FakeLeg):
    """A far party that has sent so many packets."""

    packets = 0

    @override
    def statistics(self) -> LegStatistics:
        return LegStatistics(received=ReceivedAudio(packets=self.packets))


class Call:
    """A call that rings, and its bots."""

    def __init__(self, kind: LegKind = LegKind.SIMULATOR) -> None:
        self.far = Far("far", kind)
        self.machine = CallMachine(
            direction=Direction.INBOUND, limits=CallLimits(60, 60, 60), now=0.0
        )
        self.speech = HeldSpeech(self.machine, lambda rows: None)
        self.add(self.far, LegRole(Party.FAR))

    def add(self, leg: Leg, role: LegRole = BOT) -> None:
        self.speech.join(leg, role, leg.source)
        self.handle(events.LegAdded(leg.leg_id, leg.kind, role))

    def handle(self, event: events.Event) -> None:
        self.machine.handle(event, asyncio.get_running_loop().time())
        self.speech.follow()

    def connect(self) -> None:
        self.handle(events.AnswerRequested())
        self.handle(events.LegConnected(self.far.leg_id))


async def test_a_bot_is_held_until_the_call_is_up():
    call, bot = Call(), Bot()
    call.add(bot)
    bot.queue.add(WORD)
    assert bot.queue.pull() is None
    call.connect()
    assert bot.queue.pull() == WORD


async def test_a_bot_that_comes_later_is_heard_at_once():
    call, bot = Call(), Bot()
    call.connect()
    call.add(bot)
    assert call.speech.gates.is_open(bot.leg_id)


async def test_what_the_far_party_does_not_hear_is_not_held():
    call, bot = Call(), Bot()
    call.add(bot, LegRole(Party.SERVICE, audience=Audience.HELD))
    assert call.speech.gates.is_open(bot.leg_id)


async def test_of_persons_only_those_that_are_machines_are_held():
    call, person, machine = Call(), FakeLeg("ann", LegKind.WEBRTC), FakeLeg("bo", LegKind.WEBRTC)
    call.add(person)
    call.add(machine, LegRole(Party.NEAR, machine=True))
    assert call.speech.gates.is_open(person.leg_id)
    assert not call.speech.gates.is_open(machine.leg_id)


async def test_a_far_party_with_rtp_hears_once_it_has_sent_a_packet():
    call, bot = Call(LegKind.SIP), Bot()
    call.add(bot)
    call.connect()
    await asyncio.sleep(0.5)
    assert not call.speech.gates.is_open(bot.leg_id)
    call.far.packets = 1
    await asyncio.sleep(1.5 * LOOK_SECONDS)
    assert call.speech.gates.is_open(bot.leg_id)


async def test_a_far_party_that_sends_nothing_is_spoken_to_all_the_same():
    call, bot = Call(LegKind.SIP), Bot()
    call.connect()
    await asyncio.sleep(FIRST_PACKET_SECONDS / 2)
    call.add(bot)
    await asyncio.sleep(FIRST_PACKET_SECONDS / 2 - LOOK_SECONDS)
    assert not call.speech.gates.is_open(bot.leg_id)
    await asyncio.sleep(2 * LOOK_SECONDS)
    assert call.speech.gates.is_open(bot.leg_id)


async def test_a_bot_that_the_bridge_starts_begins_when_nothing_holds_it():
    call, bot = Call(), Bot(LegKind.AGENT)
    call.add(bot)
    call.speech.gates.hold(bot.leg_id, "disclosure")
    begun = asyncio.create_task(call.speech.begin(bot))
    call.connect()
    await asyncio.sleep(0.1)
    assert not begun.done()
    call.speech.gates.release(bot.leg_id, "disclosure")
    await asyncio.wait_for(begun, 0.1)


async def test_a_bot_that_connects_by_itself_begins_at_once():
    call, bot = Call(), Bot(LegKind.SOCKET)
    call.add(bot)
    await asyncio.wait_for(call.speech.begin(bot), 0.1)


async def test_a_bot_that_is_held_again_is_heard_again():
    call, bot = Call(), Bot()
    call.add(bot)
    call.connect()
    call.speech.gates.hold(bot.leg_id, "disclosure")
    bot.queue.add(WORD)
    assert bot.queue.pull() is None
    call.speech.gates.release(bot.leg_id, "disclosure")
    assert bot.queue.pull() == WORD


async def test_what_is_never_heard_is_counted():
    call, bot = Call(), Bot()
    call.add(bot)
    bot.queue.add(50 * WORD)
    bot.queue.pull()
    call.speech.leave(bot.leg_id)
    assert bot.queue.held_dropped_seconds == pytest.approx(1.0)


async def test_a_leg_that_is_cancelled_before_it_begins_runs_to_free_what_it_has():
    call, bot = Call(), Bot(LegKind.STREAM)
    call.add(bot)

    async def live() -> None:
        await call.speech.begin(bot)
        await bot.run(lambda event: None)

    task = asyncio.create_task(live())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert bot.cancelled


async def test_an_ended_call_is_looked_at_no_more():
    call, bot = Call(LegKind.SIP), Bot()
    call.add(bot)
    call.connect()
    call.speech.close()
    await asyncio.sleep(2 * FIRST_PACKET_SECONDS)
    assert not call.speech.gates.is_open(bot.leg_id)


async def test_a_call_of_another_process_that_is_up_stays_so():
    call, bot = Call(LegKind.SIP), Bot()
    call.connect()
    speech = HeldSpeech(call.machine, lambda rows: None)
    speech.restore()
    speech.join(bot, BOT, bot.source)
    assert speech.gates.is_open(bot.leg_id)


async def test_a_bot_that_is_let_in_is_told_of_once():
    call, found = Call(), list[LegId]()
    speech = HeldSpeech(call.machine, lambda rows: None, found.append)
    bot = Bot()
    speech.join(bot, BOT, bot.source)
    speech.gates.hold(bot.leg_id, "disclosure")
    speech.gates.release(bot.leg_id, MEDIA)
    assert found == []
    speech.gates.release(bot.leg_id, "disclosure")
    assert found == [bot.leg_id]
