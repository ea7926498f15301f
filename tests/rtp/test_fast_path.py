"""Runs of expected packets: the result is the same as packet by packet."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.audio.codec import codec
from bridge.audio.detect.level import LEVEL_EVERY
from bridge.rtp.fast_path import MAX_RUN
from bridge.rtp.receiver import RtpReceiver
from bridge.wire.sdp.negotiated_audio import NegotiatedAudio
from tests.support.examples import examples
from tests.support.packets.rtp_party import AUDIO, OPUS, PAYLOADS, rtp

LEVELS = bytes([0xBE, 0xDE, 0, 1, 0x10, 20, 0, 0])
"""A header extension as browsers write it (RFC 8285)."""


class Relayed:
    """A relay that records packets, and may ask for frames at one of them."""

    loss_ratio = 0.0
    takers = None

    def __init__(self, party: "Party") -> None:
        self.packets: list[Any] = []
        self.asks_at = -1
        self._party = party

    def __call__(self, packet, now):
        self.packets.append((*packet[:4], round(packet.level_dbov, 3), now))
        if len(self.packets) == self.asks_at:
            self._party.receiver.attach(self._party.push, None)


class Party:
    """One receiver and all that came out of it."""

    def __init__(self, *, runs: bool = True, audio: NegotiatedAudio = AUDIO) -> None:
        self.receiver = RtpReceiver(
            OPUS, audio=audio, on_digit=lambda _: None, schedule_tick=lambda _: None
        )
        self.frames: list[Any] = []
        self.forward = Relayed(self)
        self.slow = 0
        self._receive = self.receiver._receive
        if not runs:
            self.receiver._begin_run = lambda header_pattern: None  # type: ignore[method-assign]
        self.receiver._fast_path._slow_path = self.slow_path

    def slow_path(self, data, now):
        self.slow += 1
        self._receive(data, now)

    def push(self, frame, now):
        self.frames.append((frame.pcm, frame.pts, now))

    def listen(self, how):
        self.receiver.attach(
            self.push if how in ("frames", "both") else None,
            self.forward if how in ("relay", "both") else None,
        )

    def state(self):
        reception = self.receiver.reception
        return (
            self.receiver.statistics(),
            self.receiver.last_received,
            self.receiver.malformed,
            reception and (reception.lost, reception.report_block(0.0)),
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
    st.tuples(st.just("read")),
)


@settings(deadline=None, max_examples=examples(60))
@given(st.lists(moves, min_size=1, max_size=12), st.sampled_from(["frames", "relay"]))
def test_a_run_gives_the_same_result_as_its_packets_one_by_one(script, how):
    fast, slow = Party(), Party(runs=False)
    states = []
    for party in (fast, slow):
        party.listen(how)
        number, now, seen = 100, 0.0, []
        for move in script:
            if move[0] == "skip":
                number += move[1]
            elif move[0] == "listen":
                party.listen(move[1])
            elif move[0] == "read":
                seen.append(party.state())
            else:
                for _ in range(move[2]):
                    party.receiver.receive(move[1](number), now)
                    number, now = number + 1, now + 0.02 + 0.003 * (number % 3)
        seen.append(party.state())
        states.append(seen)
    assert fast.frames == slow.frames
    assert fast.forward.packets == slow.forward.packets
    assert states[0] == states[1]


@pytest.mark.parametrize("how", ["frames", "relay", "both"])
@pytest.mark.parametrize("octets", [160, 240])
def test_a_run_at_a_clock_of_8_khz_gives_the_same_result_and_is_as_fast(how, octets):
    audio = NegotiatedAudio(codec=codec.PCMU, payload_type=0, direction="sendrecv")
    fast, slow = Party(audio=audio), Party(audio=audio, runs=False)
    for party in (fast, slow):
        party.listen(how)
        for number in range(100):
            # One packet is lost, one is shorter, and the timestamps wrap.
            payload = bytes([number, 255 - number]) * ((80 if number == 60 else octets) // 2)
            timestamp = 2**32 - 5000 + octets * number
            data = rtp(payload, sequence=65_500 + number, timestamp=timestamp, kind=0)
            if number != 30:
                party.receiver.receive(data, octets / 8000 * number)
    assert fast.frames == slow.frames
    assert fast.forward.packets == slow.forward.packets
    assert fast.state() == slow.state()
    assert fast.slow < (30 if octets == 160 or how == "relay" else 101)


@pytest.mark.parametrize("asks_at", range(1, 60, 7))
def test_frames_can_be_requested_at_any_packet_of_a_run(asks_at):
    fast, slow = Party(), Party(runs=False)
    for party in (fast, slow):
        party.forward.asks_at = asks_at
        party.listen("relay")
        for number in range(80):
            party.receiver.receive(plain(number), 0.02 * number)
    assert len(fast.forward.packets) == asks_at
    assert fast.frames == slow.frames
    assert fast.frames[0][1] == 320 * (asks_at - 1)
    assert fast.state() == slow.state()


@pytest.mark.parametrize(("how", "often"), [("frames", 4), ("relay", 10), ("both", 4)])
@pytest.mark.parametrize("kind", [plain, extended])
def test_few_packets_of_a_clean_stream_take_the_slow_path(how, often, kind):
    party = Party()
    party.listen(how)
    for number in range(4 * LEVEL_EVERY):
        party.receiver.receive(kind(number), 0.02 * number)
    assert party.slow <= often + 1


def test_runs_begin_too_after_a_relay_that_never_got_a_packet():
    party = Party()
    party.listen("relay")
    party.listen("frames")
    for number in range(4 * LEVEL_EVERY):
        party.receiver.receive(plain(number), 0.02 * number)
    assert party.slow <= 5


def test_sizes_of_packets_are_noted_when_frames_are_requested_within_a_run():
    party = Party()
    party.forward.asks_at = 10
    party.listen("relay")
    for number in range(20):
        party.receiver.receive(plain(number), 0.02 * number)
    assert party.receiver.reception is not None
    assert list(party.receiver.sizes.times) == [0.02 * number for number in range(20)]


@pytest.mark.parametrize("after", [1, 2, 20])
def test_relayed_numbers_continue_at_the_newest_packet_after_a_late_one(after):
    party = Party()
    party.listen("relay")
    for place, number in enumerate([0, 1, 3, 2, *range(4, 4 + after)]):
        party.receiver.receive(plain(number), 0.02 * place)
    newest = party.forward.packets[-1][2]
    party.listen("frames")
    party.receiver.receive(plain(4 + after), 0.6)
    party.listen("relay")
    party.receiver.receive(plain(5 + after), 0.62)
    assert party.forward.packets[-1][2] == newest + 1


def test_an_unexpected_packet_ends_a_run():
    party = Party()
    party.listen("frames")
    for number in range(10):
        party.receiver.receive(plain(number), 0.02 * number)
    slow = party.slow
    party.receiver.receive(plain(11), 0.22)
    assert party.slow == slow + 1
    assert party.receiver.statistics().lost == 1
    assert [pts for _, pts, _ in party.frames] == [320 * number for number in range(12)]


def test_a_truncated_extension_is_malformed():
    party = Party()
    party.listen("frames")
    for number in range(3):
        party.receiver.receive(extended(number), 0.02 * number)
    party.receiver.receive(extended(3)[:15], 0.06)
    assert party.receiver.malformed == 1
    assert len(party.frames) == 3


def test_recorded_arrivals_are_bounded():
    party = Party()
    party.listen("relay")
    for number in range(5 * MAX_RUN):
        party.receiver.receive(plain(number), 0.02 * number)
        assert len(party.receiver._fast_path.arrivals) <= MAX_RUN
