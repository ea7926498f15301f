"""Arbitrary bytes after SRTP: nothing is raised, nothing grows, and frames stay in order."""

import dataclasses
import struct
import sys

from hypothesis import example, given, settings
from hypothesis import strategies as st

from bridge.audio.frame import FRAME_BYTES
from bridge.wire.rtp.rtcp import (
    Bye,
    ReceiverReport,
    ReportBlock,
    SenderReport,
    SourceDescription,
    parse_compound,
    serialize,
)
from bridge.wire.rtp.stream import StreamStart
from tests.support.examples import examples
from tests.support.packets.rtp_party import (
    AUDIO,
    EVENT_TYPE,
    OPUS_TYPE,
    OURS,
    PAYLOADS,
    THEIRS,
    WALL,
    Party,
    rtp,
)

RED_TYPE, LEVEL_ID = 63, 1
EVERYTHING = dataclasses.replace(AUDIO, red_payload_type=RED_TYPE, audio_level_id=LEVEL_ID)

numbers16 = st.one_of(st.integers(0, 20), st.integers(0, 65_535), st.integers(65_530, 65_535))
numbers32 = st.one_of(
    st.sampled_from([960 * n for n in range(20)]), st.integers(0, 2**32 - 1), st.just(2**32 - 960)
)
opus = st.one_of(
    st.sampled_from(PAYLOADS),
    st.binary(max_size=40),
    st.builds(lambda toc, rest: bytes([toc]) + rest, st.integers(0, 255), st.binary(max_size=20)),
    # Code 3: as many frames in one packet as the byte says.
    st.builds(lambda config, count: bytes([config << 3 | 3, count]) + b"\1\2" * (count & 63),
              st.integers(0, 31), st.integers(0, 255)),
)  # fmt: skip


@st.composite
def red(draw):
    blocks = draw(st.lists(st.tuples(st.integers(0, 0x3FFF), opus), max_size=4))
    head = b"".join(
        struct.pack("!I", 1 << 31 | OPUS_TYPE << 24 | offset << 10 | min(len(body), 1023))
        for offset, body in blocks
    )
    bodies = b"".join(body[:1023] for _, body in blocks)
    return head + bytes([OPUS_TYPE]) + bodies + draw(opus)


@st.composite
def packets(draw):
    kind = draw(st.sampled_from([OPUS_TYPE, OPUS_TYPE, OPUS_TYPE, EVENT_TYPE, 126, RED_TYPE, 13]))
    payload = draw(red() if kind == RED_TYPE else opus)
    ssrc = draw(st.sampled_from([THEIRS, THEIRS, THEIRS, 0x33333333, OURS]))
    whole = bytearray(
        rtp(payload, sequence=draw(numbers16), timestamp=draw(numbers32), ssrc=ssrc, kind=kind)
    )
    if draw(st.booleans()):
        # With an extension, CSRCs and padding, or the lie that they are there.
        whole[0] |= draw(st.integers(0, 63))
        extra = draw(st.sampled_from([b"", b"\xbe\xde\0\1\x10\x7f\0\0", b"\x10\0\0\1\1\1\xff\0"]))
        whole[12:12] = extra
    if draw(st.integers(0, 3)) == 0:
        place = draw(st.integers(0, len(whole) - 1))
        whole[place] = draw(st.integers(0, 255))
    return bytes(whole[: draw(st.one_of(st.just(1500), st.integers(0, 60)))])


words = st.integers(0, 2**32 - 1)
blocks = st.builds(
    ReportBlock,
    ssrc=st.one_of(st.just(OURS), words),
    fraction_lost=st.integers(0, 255),
    packets_lost=st.integers(-(2**23), 2**23 - 1),
    highest_sequence=words,
    jitter=words,
    last_report=words,
    delay=words,
)
many = st.lists(blocks, max_size=31).map(tuple)
sources = st.one_of(st.just(THEIRS), st.just(OURS), words)
reports = st.one_of(
    st.builds(SenderReport, sources, st.integers(0, 2**64 - 1), words, words, words, many),
    st.builds(ReceiverReport, sources, many),
    st.builds(SourceDescription, sources, st.text(max_size=60)),
    st.builds(Bye, st.lists(sources, max_size=31).map(tuple), st.text(max_size=60)),
)


@st.composite
def compounds(draw):
    whole = bytearray(serialize(draw(st.lists(reports, min_size=1, max_size=3))))
    if draw(st.integers(0, 2)) == 0:
        for _ in range(draw(st.integers(1, 4))):
            whole[draw(st.integers(0, len(whole) - 1))] = draw(st.integers(0, 255))
    return bytes(whole[: draw(st.one_of(st.just(1500), st.integers(0, 80)))])


pauses = st.sampled_from([0.0, 0.0, 0.02, 0.02, 3.0, 100_000.0])
wire = st.one_of(
    st.tuples(st.just("rtp"), packets(), pauses),
    st.tuples(st.just("rtp"), st.binary(max_size=1500), pauses),
    st.tuples(st.just("rtcp"), compounds(), pauses),
    st.tuples(st.just("rtcp"), st.binary(max_size=200), pauses),
    st.tuples(st.just("tick"), st.just(b""), pauses),
    st.tuples(st.just("report"), st.just(b""), pauses),
)


class Listener:
    """A relay that takes what it gets."""

    takers = None

    loss_ratio = 0.5

    def __init__(self):
        self.taken = 0

    def __call__(self, packet, now):
        self.taken += 1
        assert 0 <= packet.sequence <= 0xFFFF


def feed(party, arrivals):
    now = 5.0
    for kind, data, pause in arrivals:
        now += pause
        if kind == "rtp":
            party.session.receive_rtp(data, now)
        elif kind == "rtcp":
            party.session.receive_rtcp(data, now)
        elif kind == "tick":
            party.session.tick(now)
        else:
            party.session.report(now, WALL + now)
    party.session.report(now, WALL + now, bye=True)
    return now


@settings(max_examples=examples(150), deadline=None)
@given(st.lists(wire, max_size=40))
def test_arbitrary_packets_raise_nothing_and_frames_are_complete(arrivals):
    party = Party(EVERYTHING)
    feed(party, arrivals)
    assert {len(frame.pcm) for frame in party.frames} <= {FRAME_BYTES}
    # A packet holds 120 ms at most, and before it as much may be made up; a redundant one is 17.
    assert len(party.frames) <= 17 * 12 * len(arrivals)
    for report in party.rtcp:
        assert parse_compound(report)
    statistics = party.session.statistics()
    assert statistics.received.lost >= 0
    assert 0 <= party.session.loss_ratio <= 1
    assert (statistics.round_trip_seconds or 0.0) <= 60
    ends: dict[object, int] = {}
    for frame in party.frames:
        assert frame.pts >= ends.get(frame.epoch, 0)
        ends[frame.epoch] = frame.pts + 320


@settings(max_examples=examples(100), deadline=None)
@given(st.lists(wire, max_size=40), st.booleans())
def test_arbitrary_packets_raise_nothing_while_relaying(arrivals, heard):
    party = Party(EVERYTHING)
    forward = Listener()
    party.session.attach(party.take if heard else None, forward)
    feed(party, arrivals)
    party.session.attach(party.take)
    party.hear(0, now=200_000_000.0, ssrc=0x777)
    assert forward.taken <= 17 * len(arrivals)


@settings(max_examples=examples(50), deadline=None)
@given(st.lists(wire, min_size=1, max_size=20), st.integers(0, 2**16 - 1))
def test_a_hostile_page_leaves_nothing_to_the_next_one(arrivals, sequence):
    party = Party(EVERYTHING)
    now = feed(party, arrivals)
    party.session.restart_source(AUDIO, StreamStart(ssrc=77, sequence=5, timestamp=9))
    party.frames.clear()
    for number in range(5):
        party.hear(number, now=now + 10 + 0.02 * number, base=sequence, ssrc=0x888)
    assert party.positions() == [320 * number for number in range(5)]
    assert len({frame.epoch for frame in party.frames}) == 1


def size(thing, seen):
    """Bytes of an object with all it holds, itself among those seen counted once."""
    if id(thing) in seen or (callable(thing) and not hasattr(thing, "__slots__")):
        return 0
    seen.add(id(thing))
    total = sys.getsizeof(thing)
    if isinstance(thing, dict):
        inner = [*thing.keys(), *thing.values()]
    elif isinstance(thing, list | tuple | set | frozenset) or hasattr(thing, "maxlen"):
        inner = [*thing]
    else:
        names = {name for kind in type(thing).__mro__ for name in getattr(kind, "__slots__", ())}
        inner = [getattr(thing, name) for name in names if hasattr(thing, name)]
        inner += vars(thing).values() if hasattr(thing, "__dict__") else []
    return total + sum(size(one, seen) for one in inner)


@settings(max_examples=examples(15), deadline=None)
@given(st.lists(wire, min_size=5, max_size=30))
@example([("rtp", rtp(PAYLOADS[0], sequence=0, timestamp=0), 0.02)])
def test_restarting_repeatedly_takes_no_more_memory(arrivals):
    party = Party(EVERYTHING)
    for taken in (party.frames, party.times, party.rtcp, party.wakes, party.digits):
        taken.clear()
    party.session.attach(None)
    now = 0.0
    sizes = []
    for _ in range(3):
        for turn in range(20):
            for index, (kind, data, pause) in enumerate(arrivals):
                now += pause
                if kind == "rtp":
                    moved = bytearray(data)
                    moved[3:4] = bytes([(turn * 7 + index) & 255])[: len(moved[3:4])]
                    party.session.receive_rtp(bytes(moved), now)
                elif kind == "rtcp":
                    party.session.receive_rtcp(data, now)
                else:
                    party.session.tick(now)
        party.wakes.clear()
        party.digits.clear()
        sizes.append(size(party.session, set()))
    assert sizes[0] > 5000
    assert sizes[2] - sizes[0] < 60_000
