"""When a hang-up after speech may end a call, in virtual time."""

from bridge.call.bus.last_words import PLAYOUT_SECONDS, REPORT_SECONDS, LastWords
from bridge.call.model import LegId, SentAudio

FAR, OTHER = LegId("far"), LegId("other")


def sent(packets: int, reported: int | None = None) -> SentAudio:
    return SentAudio(packets=packets, reported_packets=reported)


def test_nothing_is_received_while_words_wait_to_be_played():
    words = LastWords()
    assert not any(
        words.received(second, waiting=True, sent={FAR: sent(9, 9)}) for second in range(20)
    )


def test_the_last_words_are_received_when_the_packet_after_them_is_reported():
    words = LastWords()
    assert not words.received(0.0, waiting=False, sent={FAR: sent(100, 100)})
    assert not words.received(0.1, waiting=False, sent={FAR: sent(105, 100)})
    assert words.received(0.2, waiting=False, sent={FAR: sent(110, 101)})


def test_what_has_been_received_may_wait_in_a_jitter_buffer():
    words = LastWords()
    words.received(0.0, waiting=False, sent={FAR: sent(100)})
    assert not words.received(PLAYOUT_SECONDS - 0.01, waiting=False, sent={FAR: sent(105, 105)})
    assert words.received(PLAYOUT_SECONDS, waiting=False, sent={FAR: sent(105, 105)})


def test_a_party_that_reports_nothing_is_given_a_fixed_time():
    words = LastWords()
    for now in (0.0, 0.2, REPORT_SECONDS - 0.01):
        assert not words.received(now, waiting=False, sent={FAR: sent(100)})
    assert words.received(REPORT_SECONDS, waiting=False, sent={FAR: sent(100)})


def test_the_time_of_a_report_begins_when_all_is_played():
    words = LastWords()
    words.received(0.0, waiting=True, sent={})
    assert not words.received(5.0, waiting=False, sent={FAR: sent(100)})
    assert words.received(5.0 + REPORT_SECONDS, waiting=False, sent={FAR: sent(100)})


def test_every_far_party_must_have_received_them():
    words = LastWords()
    words.received(0.0, waiting=False, sent={FAR: sent(10), OTHER: sent(20)})
    assert not words.received(0.1, waiting=False, sent={FAR: sent(15, 15), OTHER: sent(25, 20)})
    assert words.received(0.2, waiting=False, sent={FAR: sent(20, 15), OTHER: sent(30, 21)})


def test_without_a_far_party_nobody_is_waited_for():
    assert LastWords().received(0.0, waiting=False, sent={})
