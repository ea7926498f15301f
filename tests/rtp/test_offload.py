"""Which sinks can be offloaded."""

import asyncio
from contextlib import asynccontextmanager

from bridge.audio.frame import SILENCE, Frame
from bridge.call.model import LegId
from bridge.legs.simulator import CONTACTS, Behaviour, SimulatedContact
from bridge.rtp.offload import SinkMode
from bridge.rtp.offloadable import Passing, offloadable_owner


class Sender:
    """What `offloadable_owner` looks for."""

    def __init__(self, *, offloadable):
        self.offloadable = offloadable

    def offload(self, mode, epoch):
        """Offload nothing."""

    def push(self, frame, now):
        """Take a frame."""


def test_a_bound_method_belongs_to_its_sender():
    sender = Sender(offloadable=True)
    assert offloadable_owner(sender.push) is sender


def test_a_sender_without_a_transport_that_leases_is_none():
    assert offloadable_owner(Sender(offloadable=False).push) is None


def test_functions_and_methods_of_other_objects_have_no_owner():
    assert offloadable_owner(print) is None
    assert offloadable_owner([].append) is None
    assert offloadable_owner(lambda frame, now: None) is None
    assert offloadable_owner(None) is None


def contact(behaviour):
    number = next(one.number for one in CONTACTS.values() if one.behaviour is behaviour)
    return SimulatedContact(LegId("leg"), number, inbound=False, ring_seconds=0, speech=SILENCE)


@asynccontextmanager
async def living(leg):
    connected = asyncio.Event()
    task = asyncio.create_task(
        leg.run(lambda event: connected.set() if "Connected" in type(event).__name__ else None)
    )
    await connected.wait()
    yield
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


class Offloading:
    """A sender whose stream can be offloaded."""

    offloadable = True

    def __init__(self):
        self.asked = []

    def push(self, frame, now):
        pass

    def offload(self, mode, epoch, codec=None):
        self.asked.append((mode, epoch, codec))
        return "the sender's offload"


async def test_frames_may_pass_the_echo_by_the_offload_of_the_stream_it_goes_to():
    leg, sender = contact(Behaviour.ECHO), Offloading()
    async with living(leg):
        assert offloadable_owner(leg.push) is None
        leg.source.attach(sender.push)
        owner = offloadable_owner(leg.push)
        assert isinstance(owner, Passing)
        assert owner.offload(SinkMode.FRAMES, "epoch") == "the sender's offload"
    assert sender.asked == [(SinkMode.FRAMES, "epoch", None)]
    assert offloadable_owner(leg.push) is None


async def test_frames_that_have_passed_the_echo_count_both_ways_with_their_level():
    leg = contact(Behaviour.ECHO)
    async with living(leg):
        leg.push(Frame(SILENCE, 0, "epoch"), 0.0)
        leg.passed(49, -23.5)
        statistics = leg.statistics()
    assert (statistics.sent.packets, statistics.received.frames) == (50, 49)
    assert statistics.sent.level_dbov == statistics.received.level_dbov == -23.5


async def test_no_other_contact_passes_frames_on():
    leg = contact(Behaviour.TALK)
    async with living(leg):
        assert offloadable_owner(leg.push) is None
