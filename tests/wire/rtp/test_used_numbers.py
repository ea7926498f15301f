"""What a process may have used is known after any death of it, or doubtful; it is never too little."""

import math
import random

import pytest

from bridge.wire.rtp import used_numbers
from bridge.wire.rtp.used_numbers import (
    BYTES,
    PACKETS_AHEAD,
    REPORTS_AHEAD,
    SLOTS,
    Ceilings,
    Ledger,
    UsedNumbers,
    read,
)

SSRC = 0xFFFF_FFFE


class Dies(Exception):
    pass


class Memory:
    """Memory in which only some more words are written, if the process is to die."""

    def __init__(self) -> None:
        self.bytes = bytearray(BYTES)
        self.words = memoryview(self.bytes).cast("q")
        self.left = math.inf
        self.ledger = Ledger(self, 1)  # type: ignore[arg-type]

    def cast(self, _: str) -> "Memory":
        return self

    def __getitem__(self, at: int) -> int:
        return self.words[at]

    def __setitem__(self, at: int, value: int) -> None:
        if self.left == 0:
            raise Dies
        self.left -= 1
        self.words[at] = value

    def stream(self, ssrc: int = SSRC) -> UsedNumbers:
        found = self.ledger.open(ssrc)
        assert found is not None
        return found

    def read(self) -> dict[int, Ceilings]:
        return read(bytes(self.bytes))


def test_all_below_the_ceilings_may_have_been_used():
    memory = Memory()
    stream = memory.stream()
    assert memory.read() == {SSRC: Ceilings(0, 0)}
    assert stream.reserve_packets(70_000) == 70_000 + PACKETS_AHEAD
    assert stream.reserve_reports(5) == 5 + REPORTS_AHEAD
    assert memory.read() == {SSRC: Ceilings(70_000 + PACKETS_AHEAD, 5 + REPORTS_AHEAD)}
    assert stream.reserve_packets(70_100) == 70_100 + PACKETS_AHEAD
    assert memory.read()[SSRC].packet == 70_100 + PACKETS_AHEAD


def test_streams_that_have_ended_leave_their_slots_to_others():
    memory = Memory()
    streams = [memory.stream(number) for number in range(SLOTS)]
    assert memory.ledger.open(SSRC) is None
    assert len(memory.read()) == SLOTS
    streams[7].reserve_packets(9)
    streams[7].close()
    streams[7].close()
    assert 7 not in memory.read()
    assert streams[7].reserve_packets(9) == 9 + PACKETS_AHEAD
    again = memory.stream()
    assert memory.read()[SSRC] == Ceilings(0, 0)
    streams[7].close()
    assert again.reserve_packets(1) == memory.read()[SSRC].packet


def test_a_death_between_any_two_words_leaves_what_was_used_before():
    chance = random.Random(1)
    for writes in range(40):
        memory = Memory()
        stream = memory.stream()
        used = chance.randrange(1 << 15)
        promised = stream.reserve_packets(used)
        memory.left = writes
        try:
            while True:
                used = promised + chance.randrange(100)  # which is sent once this returns
                promised = stream.reserve_packets(used)
        except Dies:
            pass
        found = memory.read()[SSRC].packet
        assert found in (promised, used + PACKETS_AHEAD)


def test_a_death_while_a_slot_is_taken_or_left_leaves_no_other_stream_there():
    for writes in range(60):
        memory = Memory()
        stream = memory.stream(3)
        stream.reserve_packets(1000)
        for _ in range(SLOTS - 1):
            memory.stream(5).close()
        memory.left = writes
        try:
            stream.close()
            memory.stream(4).reserve_packets(2000)
        except Dies:
            pass
        found = memory.read()
        assert found in (
            {3: Ceilings(1000 + PACKETS_AHEAD, 0)},
            {},
            {4: Ceilings(0, 0)},
            {4: Ceilings(2000 + PACKETS_AHEAD, 0)},
        )


def test_a_ceiling_that_was_written_over_is_doubtful_or_too_high():
    chance = random.Random(2)
    memory = Memory()
    stream = memory.stream()
    older = stream.reserve_packets(500)
    newer = stream.reserve_packets(older)
    whole = bytes(memory.bytes)
    start = whole.index(SSRC.to_bytes(8, "little"))
    for _ in range(2000):
        broken = bytearray(whole)
        for _ in range(chance.randrange(1, 4)):
            broken[start + chance.randrange(128)] ^= 1 << chance.randrange(8)
        found = read(bytes(broken)).get(SSRC, Ceilings(newer, 0))
        assert found.packet >= newer


@pytest.mark.parametrize("word", range(2, 10))
@pytest.mark.parametrize("value", [0, -1, 1, 1 << 62, ~500])
def test_no_ceiling_is_lower_than_it_was_after_a_word_was_written_over(word, value):
    memory = Memory()
    stream = memory.stream()
    packet = stream.reserve_packets(stream.reserve_packets(500))
    report = stream.reserve_reports(stream.reserve_reports(7))
    memory.words[16 + word] = value
    found = memory.read().get(SSRC, Ceilings(packet, report))
    assert (found.packet >= packet, found.report >= report) == (True, True)


def test_two_streams_of_one_name_are_doubtful():
    memory = Memory()
    for _ in range(2):
        memory.stream(1)
    memory.stream(2)
    assert [*memory.read()] == [2]


@pytest.mark.parametrize(
    "change", [lambda one: one[:-1], lambda one: b"\2" + one[1:], lambda _: b""]
)
def test_memory_of_another_version_or_length_says_nothing(change):
    memory = Memory()
    memory.stream()
    assert read(change(bytes(memory.bytes))) == {}


def test_the_compiled_packet_path_raises_as_much():
    header = (used_numbers.__file__ or "").split("bridge/wire")[0] + "bridge/rtc/packet_path.h"
    with open(header) as text:
        assert f"#define PACKET_RESERVED {PACKETS_AHEAD} " in text.read()
