"""What a party notes of what it hears."""

import pytest

from tests.bench.studies.recoveries.heard import Heard


def packet(number, ssrc=7):
    return b"\x80\x6f" + (number & 0xFFFF).to_bytes(2, "big") + bytes(4) + ssrc.to_bytes(4, "big")


def report(index, ssrc=7):
    return (
        b"\x80\xc9\0\1" + ssrc.to_bytes(4, "big") + bytes(16) + (index | 1 << 31).to_bytes(4, "big")
    )


def heard(*packets):
    found = Heard()
    for at, one in enumerate(packets):
        found.note(one, at * 0.02)
    return found


def test_each_number_that_came_again_is_counted_also_after_a_wrap():
    assert heard(*(packet(number) for number in range(0xFF00, 0x10100))).twice() == 0
    assert heard(packet(0xFFFF), packet(0x10000), packet(0xFFFF)).twice() == 1
    assert heard(packet(1), packet(1, ssrc=8)).twice() == 0
    assert heard(packet(5), packet(4), packet(5)).twice() == 1


def test_a_number_of_the_round_before_is_another():
    assert heard(*(packet(number) for number in (0, 0x4000, 0x8000, 0xC000, 0x10000))).twice() == 0


def test_reports_have_numbers_of_their_own():
    assert heard(packet(1), report(1), report(2), report(1)).twice() == 1
    assert heard(report(1), report(1, ssrc=8)).twice() == 0


def test_the_longest_time_between_two_packets_is_silence():
    found = Heard()
    for at in (0.0, 0.02, 0.04, 0.30, 0.32, 0.9):
        found.note(packet(1), at)
    assert found.silence(0.05, 0.35) == pytest.approx(0.26)
    assert found.silence(0.31, 0.34) == pytest.approx(0.02)
    assert found.silence(0.5, 0.8) == pytest.approx(0.48)
    assert found.silence(1.0, 3.0) == pytest.approx(2.1)
    assert found.since(0.1) == 3


def test_who_has_heard_nothing_is_silent_all_the_time():
    assert (Heard().silence(1.0, 3.0), Heard().twice()) == (2.0, 0)
