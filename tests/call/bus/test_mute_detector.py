"""A party that mutes itself, as its packets show it."""

from bridge.audio.detect.level import SILENT
from bridge.call.bus.mute_detector import MuteDetector
from bridge.call.model import LevelCounts, ReceivedAudio


class Party:
    """Sends fifty levels a second."""

    def __init__(self) -> None:
        self.detector = MuteDetector()
        self.noted = self.quiet = 0
        self.now = 0.0

    def second(self, level: float, *, loud: int = 0, packets: int = 50) -> bool | None:
        """Let a second pass; `loud` of its levels are no silence."""
        self.now += 1.0
        self.noted += packets
        self.quiet += packets - loud if level < -60 else 0
        received = ReceivedAudio(levels=LevelCounts(self.noted, self.quiet), level_dbov=level)
        return self.detector.update(received, self.now)


def test_continuous_packets_of_digital_silence_are_reported_muted_once():
    party = Party()
    assert [party.second(SILENT) for _ in range(5)] == [None, None, True, None, None]


def test_the_first_sound_is_reported_unmuted_once():
    party = Party()
    for _ in range(3):
        party.second(SILENT)
    assert [party.second(-40.0) for _ in range(2)] == [False, None]


def test_a_quiet_room_is_not_muted():
    party = Party()
    assert [party.second(-85.0) for _ in range(5)] == [None] * 5


def test_a_word_between_two_looks_is_not_muted():
    party = Party()
    assert [party.second(SILENT, loud=5) for _ in range(5)] == [None] * 5


def test_a_party_that_sends_nothing_shows_nothing():
    party = Party()
    assert [party.second(SILENT, packets=0) for _ in range(5)] == [None] * 5
    for _ in range(3):
        party.second(SILENT)
    assert party.second(SILENT, packets=0) is None
    assert party.detector.muted
