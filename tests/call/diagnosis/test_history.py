from dataclasses import replace

from bridge.call.diagnosis.history import LegHistory
from bridge.call.model import LegKind, LevelCounts, Party
from tests.call.diagnosis.scripted import CONNECTED, talking


def followed(leg, seconds: int, history: LegHistory | None = None, first: int = 0) -> LegHistory:
    history = history or LegHistory(float(first))
    for second in range(first, first + seconds):
        history.update(leg(second), float(second))
    return history


def test_the_last_packet_is_known_to_the_second() -> None:
    history = followed(talking(), 5)
    assert history.since_packet(4.0) == 0.0
    stopped = talking()(4)
    for second in range(5, 9):
        history.update(stopped, float(second))
    assert history.since_packet(8.0) == 4.0


def test_a_leg_that_never_sent_has_no_last_packet() -> None:
    silent = talking()(0)
    assert followed(lambda _: silent, 5).since_packet(4.0) is None


def test_a_word_in_the_last_second_is_no_silence_whatever_the_level_is_now() -> None:
    def pausing(second: int):
        seen = talking(level=-127.0)(second)
        levels = LevelCounts(noted=10 * second, quiet=8 * second)
        received = replace(seen.statistics.received, levels=levels)
        return replace(seen, statistics=replace(seen.statistics, received=received))

    assert followed(pausing, 10).quiet_since is None
    assert followed(talking(level=-127.0), 10).quiet_since == 1.0


def test_a_peer_whose_reports_lack_us_does_not_hear_us() -> None:
    def deaf(second: int):
        seen = talking(LegKind.WHATSAPP, Party.FAR)(second)
        state = replace(CONNECTED, reports=second)
        return replace(seen, statistics=replace(seen.statistics, transport=state))

    assert followed(deaf, 6).unheard
    assert not followed(talking(LegKind.WHATSAPP, Party.FAR), 6).unheard


def test_a_peer_that_is_sent_nothing_has_nothing_to_report() -> None:
    def held(second: int):
        seen = talking(LegKind.WHATSAPP, Party.FAR)(second)
        state = replace(CONNECTED, reports=second, reports_about_us=min(second, 10))
        sent = replace(seen.statistics.sent, packets=50 * min(second, 10))
        return replace(seen, statistics=replace(seen.statistics, transport=state, sent=sent))

    assert not followed(held, 20).unheard


def test_packets_that_only_come_late_are_not_lost() -> None:
    def reordering(second: int):
        seen = talking()(second)
        received = replace(seen.statistics.received, lost=second % 2 * 8)
        return replace(seen, statistics=replace(seen.statistics, received=received))

    assert followed(reordering, 30).lost.share(29.0, 20.0)[0] < 0.01


def test_one_loud_sound_is_no_distortion() -> None:
    def clipping(frames: int):
        def at(second: int):
            seen = talking()(second)
            levels = LevelCounts(2 * second, 0, 2 * second, min(second, frames))
            received = replace(seen.statistics.received, levels=levels)
            return replace(seen, statistics=replace(seen.statistics, received=received))

        return at

    assert followed(clipping(2), 5).clipped == 0.0
    assert followed(clipping(5), 5).clipped == 0.5
