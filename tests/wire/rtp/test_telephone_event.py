"""Digits as telephone events (bridge.wire.rtp.telephone_event)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import LocalProtocolError, RemoteProtocolError
from bridge.wire.rtp.telephone_event import (
    DIGITS,
    DigitReceiver,
    Event,
    digit_packets,
    parse,
    serialize,
)


def given_digits(*packets: tuple[bytes, int]) -> str:
    receiver = DigitReceiver()
    return "".join(receiver.receive(payload, timestamp) or "" for payload, timestamp in packets)


def packets_of(digit: str, timestamp: int) -> list[tuple[bytes, int]]:
    return [(packet.payload, timestamp) for packet in digit_packets(digit, clock_rate=8_000)]


def test_a_payload_is_read() -> None:
    assert parse(b"\x0b\x8a\x03\x20") == Event("#", end=True, volume=10, duration=800)


def test_an_event_that_is_no_digit_has_an_empty_one() -> None:
    assert parse(b"\x10\x0a\x00\xa0").digit == ""


def test_a_short_payload_is_refused() -> None:
    with pytest.raises(RemoteProtocolError):
        parse(b"\x01\x0a\x00")


@given(
    digit=st.sampled_from(DIGITS),
    end=st.booleans(),
    volume=st.integers(0, 63),
    duration=st.integers(0, 0xFFFF),
)
def test_a_written_payload_is_read_back(digit: str, end: bool, volume: int, duration: int) -> None:
    event = Event(digit, end, volume, duration)
    assert parse(serialize(event)) == event


@pytest.mark.parametrize(
    "event",
    [
        Event("x", end=False, volume=10, duration=160),
        Event("", end=False, volume=10, duration=160),
        Event("12", end=False, volume=10, duration=160),
        Event("1", end=False, volume=64, duration=160),
        Event("1", end=False, volume=10, duration=0x10000),
    ],
)
def test_what_does_not_fit_is_not_written(event: Event) -> None:
    with pytest.raises(LocalProtocolError):
        serialize(event)


@pytest.mark.parametrize("clock_rate", [8_000, 48_000])
def test_a_digit_grows_by_20_ms_and_ends_three_times(clock_rate: int) -> None:
    packets = digit_packets("5", clock_rate=clock_rate)
    events = [parse(packet.payload) for packet in packets]
    step = clock_rate // 50
    assert [event.duration for event in events] == [step * n for n in (1, 2, 3, 4, 5, 5, 5)]
    assert [event.end for event in events] == [False] * 4 + [True] * 3
    assert [packet.begin for packet in packets] == [True] + [False] * 6
    assert [packet.samples for packet in packets] == [960 * n for n in (1, 2, 3, 4, 5, 5, 5)]
    assert {event.digit for event in events} == {"5"}


def test_each_digit_is_reported_once_at_its_first_packet() -> None:
    receiver = DigitReceiver()
    heard = [receiver.receive(*packet) for packet in packets_of("7", 1000)]
    assert heard == ["7"] + [None] * 6


def test_the_same_digit_twice_is_two_digits() -> None:
    assert given_digits(*packets_of("1", 1000), *packets_of("1", 9000)) == "11"


def test_one_packet_of_an_event_is_enough() -> None:
    assert given_digits(packets_of("1", 1000)[-1], packets_of("2", 9000)[2]) == "12"


def test_late_packets_of_an_older_event_are_no_new_digit() -> None:
    first, second = packets_of("1", 1000), packets_of("2", 9000)
    assert given_digits(*first[:-1], *second[:2], first[-1], *second[2:]) == "12"


def test_timestamps_may_wrap_between_two_digits() -> None:
    assert given_digits(*packets_of("1", 0xFFFF_FF00), *packets_of("2", 4000)) == "12"


def test_the_segments_of_a_long_digit_are_one_digit() -> None:
    long = serialize(Event("9", end=False, volume=10, duration=0xFFFF))
    rest = serialize(Event("9", end=True, volume=10, duration=800))
    late = serialize(Event("9", end=False, volume=10, duration=0xFF00))
    assert given_digits((long, 1000), (late, 1000), (rest, 1000 + 0xFFFF)) == "9"


def test_a_digit_that_follows_an_ended_one_at_once_is_another() -> None:
    first = serialize(Event("9", end=True, volume=10, duration=800))
    assert given_digits((first, 1000), (first, 1800)) == "99"


def test_a_digit_pressed_while_another_was_never_ended_is_reported() -> None:
    first = serialize(Event("9", end=False, volume=10, duration=800))
    second = serialize(Event("8", end=False, volume=10, duration=160))
    assert given_digits((first, 1000), (second, 1800)) == "98"


def test_events_that_are_no_digits_are_ignored() -> None:
    assert given_digits((b"\x10\x0a\x00\xa0", 1000), *packets_of("3", 5000)) == "3"
