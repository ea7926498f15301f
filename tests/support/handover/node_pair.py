"""Two nodes of one process with made-up legs: one has a call, the other takes it over."""

import os

from bridge.call import events
from bridge.call.model import CallId, LegId, LegKind, Party
from bridge.call.routing import LegRole
from bridge.node.handover import Adoption, CallServices, Handover
from tests.support.fake_node import NUMBER, ONE, Node
from tests.support.handover.moving_legs import FakeWork, MovingLeg, Restorer
from tests.support.waiting import until

FAR, NEAR = LegId("far"), LegId("near")


class NodePair:
    """The node that has a call, and the one that is to take it."""

    def __init__(self) -> None:
        self.old, self.new = Node(), Node()
        self.restorer = Restorer()
        self.works = (FakeWork(), FakeWork())
        self.marked: tuple[set[CallId], set[CallId]] = (set(), set())
        self.handover = Handover(
            self.old.manager, CallServices({"work": self.works[0]}, {"marked": self.marked[0]})
        )
        self.adoption = Adoption(
            self.new.manager,
            CallServices({"work": self.works[1]}, {"marked": self.marked[1]}),
            self.restorer.all(),
        )
        self.legs: list[MovingLeg] = []
        self.far, self.near = self.leg(FAR, LegKind.SIMULATOR), self.leg(NEAR)

    def leg(self, name: str, kind: LegKind = LegKind.WEBRTC) -> MovingLeg:
        self.legs.append(MovingLeg(name, kind))
        return self.legs[-1]

    async def talk(self):
        """Return a call in which both parties talk."""
        runner = await self.old.manager.receive(ONE, NUMBER, self.far)
        runner.add_leg(self.near, LegRole(Party.NEAR))
        await until(lambda: self.far.running and self.near.running)
        self.near.emit(events.LegConnected(NEAR))
        runner.dispatch(events.AnswerRequested())
        self.far.emit(events.LegConnected(FAR))
        return runner

    def offer(self, call_id):
        """Suspend a call; return its snapshot, and duplicates of its descriptors as they arrive."""
        snapshot, descriptors = self.handover.suspend(call_id)
        return snapshot, [os.dup(one) for one in descriptors]

    async def move(self, call_id):
        snapshot, descriptors = self.offer(call_id)
        assert self.adoption.adopt(snapshot, descriptors) == call_id
        await self.handover.abandon(call_id)
        return self.new.manager.running(call_id)

    async def aclose(self) -> None:
        """End all calls, and free what their legs have."""
        await self.old.manager.aclose()
        await self.new.manager.aclose()
        await self.adoption.aclose()
        for leg in (*self.legs, *self.restorer.legs):
            leg.close()
