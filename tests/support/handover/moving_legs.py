"""Legs that can pass between two nodes of one process, and do what the test says."""

import socket
from dataclasses import replace

import msgspec
from typing_extensions import override

from bridge.call.model import LegKind, LegStatistics, ReceivedAudio
from bridge.errors import HandoverRefused
from bridge.legs.base import PassedLeg
from bridge.node.handover import RestoreLeg
from tests.support.fake_leg import FakeLeg


class MovingSnapshot(msgspec.Struct):
    digits: str
    packets: int


class MovingLeg(FakeLeg):
    """Has one socket, and counts what is done to it."""

    def __init__(self, name: str, kind: LegKind = LegKind.WEBRTC) -> None:
        super().__init__(name, kind)
        self.packets = 0
        self.refuses = ""
        """Whether `check` or `suspend` refuses."""
        self.done: list[str] = []
        self.socket, self.party = socket.socketpair()

    def check_movable(self) -> None:
        if self.refuses == "check":
            raise HandoverRefused("not now")

    def suspend(self) -> tuple[MovingSnapshot, list[socket.socket]]:
        if self.refuses == "suspend":
            raise HandoverRefused("not now")
        self.done.append("suspend")
        return MovingSnapshot(self.digits, self.packets), [self.socket]

    def resume(self) -> None:
        self.done.append("resume")

    async def abandon(self) -> None:
        self.done.append("abandon")
        self.socket.close()

    def close(self) -> None:
        self.socket.close()
        self.party.close()

    @override
    def statistics(self) -> LegStatistics:
        received = ReceivedAudio(packets=self.packets, frames=self.packets, level_dbov=-20.0)
        return replace(super().statistics(), received=received)


class Restorer:
    """Makes the legs that another node passes, unless it is to refuse those of a kind."""

    def __init__(self) -> None:
        self.legs: list[MovingLeg] = []
        self.refuses: LegKind | None = None

    def all(self) -> dict[LegKind, RestoreLeg]:
        return {kind: self._of(kind) for kind in (LegKind.WEBRTC, LegKind.SIMULATOR)}

    def _of(self, kind: LegKind) -> RestoreLeg:
        def restore(passed: PassedLeg) -> MovingLeg:
            if kind is self.refuses:
                raise HandoverRefused("not here")
            snapshot = passed.read(MovingSnapshot)
            leg = MovingLeg(passed.leg_id, kind)
            leg.close()
            [leg.socket] = passed.sockets
            leg.digits, leg.packets = snapshot.digits, snapshot.packets
            self.legs.append(leg)
            return leg

        return restore
