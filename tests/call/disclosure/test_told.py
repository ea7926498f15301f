"""Nobody hears a machine before they have been told: whatever happens in a call, in any order."""

from collections import defaultdict
from itertools import count
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.audio.frame import FRAME_BYTES
from bridge.call import events, journal
from bridge.call.disclosure.statement import Statement
from bridge.call.disclosure.told import Disclosure
from bridge.call.disclosure_wording import Wording
from bridge.call.journal import Journal
from bridge.call.limits import CallLimits
from bridge.call.machine import CallMachine
from bridge.call.model import Direction, EndReason, LegId, LegKind, Party, State
from bridge.call.routing import Audience, LegRole, Subscription
from bridge.errors import BridgeError
from tests.support.examples import examples

FRAMES = 4
"""Of a disclosure."""
VOICE = b"\x00\x30\x00\xd0" * (FRAME_BYTES // 4)
ROADS = {
    "agent": (
        LegKind.AGENT,
        LegRole(Party.SERVICE, Subscription.INBOUND, machine=True, discloses=True),
    ),
    "stream": (
        LegKind.STREAM,
        LegRole(Party.SERVICE, Subscription.INBOUND, machine=True, discloses=True),
    ),
    "socket": (
        LegKind.SOCKET,
        LegRole(Party.NEAR, Subscription.INBOUND, machine=True, discloses=True),
    ),
    "webrtc": (LegKind.WEBRTC, LegRole(Party.NEAR, machine=True, discloses=True)),
}
"""What a machine can be; LiveKit's are WebRTC legs, vendors' streams and sockets are those two."""
FAR_KINDS = (LegKind.SIMULATOR, LegKind.WHATSAPP, LegKind.GATEWAY, LegKind.SIP)
FIRST = LegId("far")
WORDING = Wording(text_hash="ab", language="en")


class Call:
    """A call as its node runs it, tick by tick, and what each of its persons has heard."""

    def __init__(self, kind: LegKind) -> None:
        self.now = 0.0
        self.machine = CallMachine(
            direction=Direction.INBOUND, limits=CallLimits(900, 900, 900), now=0.0
        )
        self.journal = Journal()
        self.numbers = count()
        self.saying: tuple[LegId, Statement] | None = None
        self.heard: dict[LegId, int] = defaultdict(int)
        """How many frames of the disclosure that is being said each has heard, without one between that they have not."""
        self.knows: set[LegId] = set()
        """Who has heard a whole one."""
        self.handle(events.LegAdded(FIRST, kind, LegRole(Party.FAR)))

    def handle(self, event: events.Event) -> None:
        try:
            done = self.machine.handle(event, self.now)
        except BridgeError:
            return
        self.journal.note(event, self.now, acted=bool(done))
        self.follow()

    def follow(self) -> None:
        """Do as `node.disclosure.disclosures` does after each event."""
        legs = self.machine.legs
        if self.saying is not None and self.saying[0] not in legs.records:
            self.saying = None
        if self.saying is not None and not legs.disclosure.listeners(self.saying[0]):
            self.end()
        elif self.saying is None and (due := self.machine.untold()):
            leg_id = LegId(f"said{next(self.numbers)}")
            self.saying = leg_id, Statement(bytes(FRAME_BYTES * FRAMES))
            self.heard.clear()
            role = LegRole(Party.SERVICE, Subscription.INBOUND, Audience.ALL, only_to=due)
            self.handle(events.LegAdded(leg_id, LegKind.PLAYBACK, role))

    def end(self) -> None:
        if self.saying is not None:
            (leg_id, _), self.saying = self.saying, None
            self.handle(events.LegEnded(leg_id, EndReason.HANGUP))

    def tick(self, *, talks: bool = False) -> None:
        """Pass 20 ms; the callers speak in it, or not."""
        self.now += 0.02
        if self.machine.state is State.ENDED:
            return
        rows = self.machine.routes().rows
        for person, row in rows.items():
            if self.is_person(person) and any(self.discloses(one) for one in row):
                assert person in self.knows, "a machine is heard by somebody who does not know"
        if self.saying is None:
            return
        leg_id, statement = self.saying
        if talks:
            statement.hear(VOICE, self.now)
        interrupted = statement.interrupted
        frame = statement.pull(self.now)
        if frame is None and interrupted and not statement.over:
            self.heard.clear()
        for person in {*self.heard, *rows}:
            hears = frame is not None and leg_id in rows.get(person, ())
            missed = frame is not None and not hears
            self.heard[person] = 0 if missed else self.heard[person] + hears
            if self.heard[person] == FRAMES and not missed:
                self.knows.add(person)
        if statement.over:
            self.handle(events.DisclosureSpoken(leg_id, WORDING))
            self.end()
        assert self.knows or self.machine.legs.disclosure.first is None

    def is_person(self, leg_id: LegId) -> bool:
        return leg_id in self.machine.legs.records and leg_id.startswith(("far", "person"))

    def discloses(self, leg_id: LegId) -> bool:
        return (
            leg_id in self.machine.legs.records and self.machine.legs.records[leg_id].role.discloses
        )

    # What may happen.

    def answer(self) -> None:
        self.handle(events.AnswerRequested())
        self.handle(events.LegConnected(FIRST))

    def bring(self, road: str) -> None:
        kind, role = ROADS[road]
        leg_id = LegId(f"{road}{next(self.numbers)}")
        self.handle(events.LegAdded(leg_id, kind, role))
        self.handle(events.LegConnected(leg_id))

    def join(self, role: LegRole, kind: LegKind) -> None:
        leg_id = LegId(f"person{next(self.numbers)}")
        self.handle(events.LegAdded(leg_id, kind, role))
        self.handle(events.LegConnected(leg_id))

    def leave(self, number: int) -> None:
        legs = list(self.machine.legs.records)
        self.handle(events.LegEnded(legs[number % len(legs)], EndReason.REMOTE_HANGUP))

    def come_back(self) -> None:
        """Reload the page of the last browser that has left."""
        for leg, _ in self.machine.legs.departed.all()[-1:]:
            self.handle(events.LegAdded(leg.leg_id, leg.kind, leg.role))
            self.handle(events.LegConnected(leg.leg_id))

    def hold(self, number: int, held: bool) -> None:
        legs = list(self.machine.legs.records)
        self.handle(events.HoldRequested(held=held, leg_id=legs[number % len(legs)]))

    def hold_all(self, held: bool) -> None:
        self.handle(events.HoldRequested(held=held))

    def mute(self, muted: bool) -> None:
        self.handle(events.MuteRequested(muted=muted))

    def pass_time(self, ticks: int, talks: bool) -> None:
        for _ in range(ticks):
            self.tick(talks=talks)

    def move(self) -> None:
        """Pass to another process; if this one has died, what was being said is lost."""
        first = self.machine.legs.disclosure.first
        self.machine, self.journal = journal.restore(self.journal.snapshot(self.machine))
        assert self.machine.legs.disclosure.first == first
        self.end()
        self.follow()


NUMBERS = st.integers(0, 9)
ACTS = st.one_of(
    st.just(("answer",)),
    st.tuples(st.just("bring"), st.sampled_from(sorted(ROADS))),
    *(
        st.just(("join", role, kind))
        for role, kind in (
            (LegRole(Party.FAR), LegKind.SIP),
            (LegRole(Party.NEAR), LegKind.WEBRTC),
            (LegRole(Party.NEAR, replaces=True), LegKind.SIP),
            (LegRole(Party.FAR, replaces=True, in_place_of=FIRST), LegKind.SIP),
        )
    ),
    st.tuples(st.just("leave"), NUMBERS),
    st.just(("come_back",)),
    st.tuples(st.just("hold"), NUMBERS, st.booleans()),
    st.tuples(st.just("hold_all"), st.booleans()),
    st.tuples(st.just("mute"), st.booleans()),
    st.just(("move",)),
    st.tuples(st.just("pass_time"), st.integers(1, 30), st.booleans()),
)


def happens(kind: LegKind, acts: list[Any]) -> None:
    call = Call(kind)
    call.answer()
    for act in acts:
        name, *more = act
        getattr(call, name)(*more)
        call.tick()
        if call.machine.state is State.ENDED:
            return
    # Nobody is forgotten either.
    call.handle(events.HoldRequested(held=False))
    for _ in range(400):
        call.tick()
    assert not call.machine.untold()


@settings(max_examples=examples(10), deadline=None)
@given(st.sampled_from(FAR_KINDS), st.lists(ACTS, min_size=3, max_size=14))
def test_nobody_hears_a_machine_before_they_know_and_everybody_hears_it_in_the_end(kind, acts):
    happens(kind, acts)


@pytest.mark.full
@settings(max_examples=examples(400), deadline=None)
@given(st.sampled_from(FAR_KINDS), st.lists(ACTS, min_size=5, max_size=40))
def test_nobody_hears_a_machine_before_they_know_in_many_calls(kind, acts):
    happens(kind, acts)


def test_who_has_been_told_is_not_told_again_in_another_process():
    call = Call(LegKind.SIP)
    call.answer()
    call.bring("agent")
    for _ in range(FRAMES + 2):
        call.tick()
    assert call.machine.routes().rows[FIRST]
    call.move()
    assert not call.machine.untold()
    assert call.machine.legs.disclosure.told == {FIRST}


def test_who_was_being_told_when_a_process_died_is_told_anew():
    call = Call(LegKind.SIP)
    call.answer()
    call.bring("agent")
    call.tick()
    first = call.saying
    call.move()
    assert call.saying is not None
    assert call.saying != first
    assert call.machine.untold() == {FIRST}


def test_who_stops_listening_has_not_been_told():
    told, said = Disclosure(), LegId("said")
    told.begin(said, frozenset({LegId("a"), LegId("b")}))
    told.note({LegId("a"): frozenset({said}), LegId("b"): frozenset()})
    assert told.listeners(said) == {"a"}
    told.note({LegId("a"): frozenset({said}), LegId("b"): frozenset({said})})
    told.spoken(said, WORDING, 1.0)
    assert told.told == {"a"}


def test_the_first_time_that_somebody_was_told_is_kept():
    told, first, later = Disclosure(), LegId("first"), LegId("later")
    told.begin(first, frozenset())
    told.spoken(first, WORDING, 1.0)
    assert told.first is None
    for at in (2.0, 3.0):
        told.begin(later, frozenset({LegId("a")}))
        told.spoken(later, WORDING, at)
    told.left(LegId("a"), returns=False)
    assert told.first == (2.0, WORDING)


def test_who_leaves_for_good_is_forgotten_and_who_may_come_back_is_not():
    told, said = Disclosure(), LegId("said")
    told.begin(said, frozenset({LegId("a"), LegId("b")}))
    told.spoken(said, WORDING, 1.0)
    told.left(LegId("a"), returns=True)
    told.left(LegId("b"), returns=False)
    assert told.told == {"a"}
