"""Legs that can pass between two nodes of one process, and do what the test says."""

import socket
from collections.abc import Mapping
from dataclasses import replace

import msgspec
from typing_extensions import override

from bridge.call.model import CallId, LegId, LegKind, LegStatistics, ReceivedAudio
from bridge.errors import HandoverRefused
from bridge.legs.base import Leg, PassedLeg
from bridge.node.handover import RestoreLeg
from bridge.node.runner import CallRunner
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


class WorkSnapshot(msgspec.Struct):
    done: int


class FakeWork:
    """A service's work for calls, with what is done to it."""

    def __init__(self) -> None:
        self.of: dict[str, int] = {}
        """How much has been done for each call."""
        self.refuses = ""
        """Whether `check` or `restore` refuses."""
        self.told: list[str] = []

    def check_movable(self, call_id: CallId, *, copy: bool = False) -> None:
        if self.refuses == "check":
            raise HandoverRefused("not now")

    def suspend(self, call_id: CallId) -> WorkSnapshot | None:
        self.told.append("suspend")
        return WorkSnapshot(self.of[call_id]) if call_id in self.of else None

    def resume(self, call_id: CallId) -> None:
        self.told.append("resume")

    def abandon(self, call_id: CallId) -> None:
        self.told.append("abandon")
        self.of.pop(call_id, None)

    def restore(self, runner: CallRunner, state: msgspec.Raw, legs: Mapping[LegId, Leg]) -> None:
        if self.refuses == "restore":
            raise HandoverRefused("not here")
        assert len(legs) == 2
        self.of[runner.facts.call_id] = msgspec.msgpack.decode(state, type=WorkSnapshot).done
