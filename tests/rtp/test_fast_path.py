"""Runs of packets that come as expected: nobody can tell them from packets taken one by one."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.rtp.fast_path import MAX_RUN
from bridge.rtp.receiver import LEVEL_EVERY, RtpReceiver
from tests.support.rtp_party import AUDIO, OPUS, PAYLOADS, rtp

LEVELS = bytes([0xBE, 0xDE, 0, 1, 0x10, 20, 0, 0])
"""A header extension as browsers write it (RFC 8285)."""


class Relayed:
    """A relay that notes what it is given, and may ask for frames with some packet."""

    loss_ratio = 0.0

    def __init__(self, party: "Party") -> None:
        self.packets: list[Any] = []
        self.asks_at = -1
        self._party = party

    def __call__(self, packet, now):
        self.packets.append((*packet[:4], round(packet.level_dbov, 3), now))
        if len(self.packets) == self.asks_at:
            self._party.incoming.attach(self._party.push, None)


class Party:
    """One receiver and all that came out of it."""

    def __init__(self, *, runs: bool = True) -> None:
        self.incoming = RtpReceiver(OPUS, on_digit=lambda _: None, schedule_tick=lambda _: None)
        self.incoming.adopt(AUDIO)
        self.frames: list[Any] = []
        self.relay = Relayed(self)
        self.slow = 0
        self._receive = self.incoming._receive
        if not runs:
            self.incoming._begin_run = lambda form: None  # type: ignore[method-assign]
        self.incoming._in_order._otherwise = self.otherwise

    def otherwise(self, data, now):
        self.slow += 1
        self._receive(data, now)

    def push(self, frame, now):
        self.frames.append((frame.pcm, frame.pts, now))

    def listen(self, how):
        self.incoming.attach(
            self.push if how in ("frames", "both") else None,
            self.relay if how in ("relay", "both") else None,
        )

    def figures(self):
        reception = self.incoming.reception
        return (
            self.incoming.statistics(),
            self.incoming.last_received,
            self.incoming.malformed,
            reception and (reception.lost, reception.highest_sequence, reception.jitter_seconds),
        )


def plain(number):
    payload = PAYLOADS[number % len(PAYLOADS)]
    return rtp(payload, sequence=65_400 + number, timestamp=0xFFFF_0000 + 960 * number)


def extended(number):
    data = plain(number)
    return bytes([0x90]) + data[1:12] + LEVELS + data[12:]


def marked(number):
    data = plain(number)
    return data[:1] + bytes([data[1] | 0x80]) + data[2:]


def padded(number):
    data = plain(number)
    return bytes([0xA0]) + data[1:] + bytes([0, 0, 3])


def broken(number):
    return plain(number)[:12] + b"\xff\xff\xff"


def nothing(number):
    return plain(number)[:12]


KINDS = [plain, plain, plain, plain, plain, extended, marked, padded, broken, nothing]
moves = st.one_of(
    st.tuples(st.just("send"), st.sampled_from(KINDS), st.integers(1, 60)),
    st.tuples(st.just("skip"), st.integers(-3, 6)),
    st.tuples(st.just("listen"), st.sampled_from(["frames", "relay", "both", "nobody"])),
    st.tuples(st.just("look")),
)


@settings(deadline=None, max_examples=60)
@given(st.lists(moves, min_size=1, max_size=12), st.sampled_from(["frames", "relay"]))
def test_a_run_is_like_its_packets_one_by_one(script, how):
    fast, slow = Party(), Party(runs=False)
    looks = []
    for party in (fast, slow):
        party.listen(how)
        number, now, seen = 100, 0.0, []
        for move in script:
            if move[0] == "skip":
                number += move[1]
            elif move[0] == "listen":
                party.listen(move[1])
            elif move[0] == "look":
                seen.append(party.figures())
            else:
                for _ in range(move[2]):
                    party.incoming.receive(move[1](number), now)
                    number, now = number + 1, now + 0.02 + 0.003 * (number % 3)
        seen.append(party.figures())
        looks.append(seen)
    assert fast.frames == slow.frames
    assert fast.relay.packets == slow.relay.packets
    assert looks[0] == looks[1]


@pytest.mark.parametrize("asks_at", range(1, 60, 7))
def test_frames_may_be_wanted_from_any_packet_of_a_run_on(asks_at):
    fast, slow = Party(), Party(runs=False)
    for party in (fast, slow):
        party.relay.asks_at = asks_at
        party.listen("relay")
        for number in range(80):
            party.incoming.receive(plain(number), 0.02 * number)
    assert len(fast.relay.packets) == asks_at
    assert fast.frames == slow.frames
    assert fast.frames[0][1] == 320 * (asks_at - 1)
    assert fast.figures() == slow.figures()


@pytest.mark.parametrize(("how", "often"), [("frames", 4), ("relay", 10), ("both", 4)])
@pytest.mark.parametrize("kind", [plain, extended])
def test_few_packets_of_a_clean_stream_are_taken_one_by_one(how, often, kind):
    party = Party()
    party.listen(how)
    for number in range(4 * LEVEL_EVERY):
        party.incoming.receive(kind(number), 0.02 * number)
    assert party.slow <= often + 1


def test_a_run_ends_where_another_packet_comes():
    party = Party()
    party.listen("frames")
    for number in range(10):
        party.incoming.receive(plain(number), 0.02 * number)
    slow = party.slow
    party.incoming.receive(plain(11), 0.22)
    assert party.slow == slow + 1
    assert party.incoming.statistics().lost == 1
    assert [pts for _, pts, _ in party.frames] == [320 * number for number in range(12)]


def test_an_extension_that_is_cut_off_is_no_packet():
    party = Party()
    party.listen("frames")
    for number in range(3):
        party.incoming.receive(extended(number), 0.02 * number)
    party.incoming.receive(extended(3)[:15], 0.06)
    assert party.incoming.malformed == 1
    assert len(party.frames) == 3


def test_what_is_written_down_is_bounded():
    party = Party()
    party.listen("relay")
    for number in range(5 * MAX_RUN):
        party.incoming.receive(plain(number), 0.02 * number)
        assert len(party.incoming._in_order.arrivals) <= MAX_RUN
