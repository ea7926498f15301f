"""Who speaks and how good a connection is, in LiveKit's words."""

import pytest

from bridge.api.faces.livekit.meters import (
    PAUSE_SECONDS,
    RATED_SECONDS,
    Meter,
    loudest,
    mean_score,
    quality_of,
)
from bridge.audio.detect.level import SILENT
from bridge.audio.detect.quality import opinion_score
from bridge.call.model import LegFigures, LegId, LegKind, LegStatistics, Party
from bridge.call.record.quality import LegQuality
from bridge.call.record.timeline import Sample
from bridge.wire.livekit.models import ConnectionQuality


def meter(**more) -> Meter:
    return Meter("PA_x", **({"may_be_lost": True} | more))


def test_a_participant_speaks_from_its_first_loud_frame_until_a_pause():
    one = meter()
    assert one.listen(-70.0, 0.0) is None
    begun = one.listen(-20.0, 0.5)
    assert begun is not None
    assert (begun.sid, begun.active, begun.level) == ("PA_x", True, 0.125)
    assert one.listen(-60.0, 1.0) is None
    over = one.listen(-60.0, 0.6 + PAUSE_SECONDS)
    assert over is not None
    assert (over.active, over.level) == (False, 0.0)


def test_a_level_is_told_in_eighths_of_full_scale():
    one = meter()
    found = [one.listen(dbov, 0.0) for dbov in (-40.0, -30.0, -6.0, 0.0, 0.0)]
    assert [None if each is None else each.level for each in found] == [0.125, None, 0.625, 1, None]


@pytest.mark.parametrize(
    ("rating", "expected"),
    [
        (93.0, ConnectionQuality.EXCELLENT),
        (79.0, ConnectionQuality.GOOD),
        (39.0, ConnectionQuality.POOR),
        (19.0, ConnectionQuality.LOST),
        (0.0, ConnectionQuality.LOST),
    ],
)
def test_a_quality_has_livekits_thresholds(rating, expected):
    assert quality_of(opinion_score(rating)) is expected


def test_the_client_itself_is_never_lost_as_it_would_join_anew():
    found = meter(may_be_lost=False).rate(1.0, 0.0)
    assert found is not None
    assert (found.quality, found.score) == (ConnectionQuality.POOR, 1.0)


def test_a_quality_is_told_when_it_changes_and_not_more_often_than_it_is_the_mean_of():
    one = meter()
    assert one.rate(None, 0.0) is None
    assert one.rate(4.3, 1.0) is not None
    assert one.rate(2.5, 2.0) is None
    worse = one.rate(2.5, 1.0 + RATED_SECONDS)
    assert worse is not None
    assert worse.quality == ConnectionQuality.GOOD
    assert one.rate(2.6, 2.0 + 2 * RATED_SECONDS) is None


def leg(*scores: tuple[float | None, float | None]) -> LegQuality:
    figures = LegFigures(LegId("leg"), LegKind.WEBRTC, Party.NEAR, LegStatistics())
    known = LegQuality(figures, 0.0, 0.0)
    empty = Sample(*(None for _ in Sample._fields))
    for at, (mos, sent_mos) in enumerate(scores):
        known.timeline.add(empty._replace(mos=mos, sent_mos=sent_mos), float(at))
    return known


def test_a_score_is_the_mean_of_the_worst_direction_of_the_last_seconds():
    old = [(1.0, 1.0)] * 3
    new = [(4.0, None), (4.2, 3.0), (None, 3.2), (4.0, None), (None, None)]
    assert mean_score([leg(*old, *new), leg((4.0, 4.0))]) == pytest.approx(3.1, abs=0.02)
    assert mean_score([leg(), leg((None, None))]) is None


def test_nobody_is_silence():
    assert loudest([]) == SILENT
