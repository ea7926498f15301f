from array import array
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.call.record.timeline import COARSE_ROWS, FINE_ROWS, MERGED, Sample, Timeline

GOOD = Sample(
    loss=0.0123,
    jitter=0.0042,
    round_trip=0.1,
    playout_delay=0.04,
    concealed=0.01,
    recovered=0.02,
    level=-21.5,
    clipped=0.1,
    silent=0.0,
    mos=4.213,
    sent_loss=0.05,
    sent_jitter=0.011,
    sent_fec=1.0,
    sent_level=-127.0,
    sent_clipped=0.0,
    sent_silent=1.0,
    sent_mos=1.0,
)


def filled(seconds, sample=GOOD):
    timeline = Timeline()
    for second in range(seconds):
        timeline.add(sample, float(second))
    return timeline


def test_a_new_timeline_is_empty():
    assert Timeline().rows() == []


def test_a_sample_is_returned_as_it_was_added():
    assert filled(1).rows() == [(0.0, 1, GOOD)]


def test_what_was_not_measured_comes_back_as_none():
    assert filled(1, Sample(loss=0.5)).rows() == [(0.0, 1, Sample(loss=0.5))]


def test_the_newest_minutes_are_kept_by_the_second():
    rows = filled(FINE_ROWS + 5).rows()
    assert [at for at, _, _ in rows] == list(range(FINE_ROWS + 5))
    assert {merged for _, merged, _ in rows} == {1}


def test_what_is_older_is_merged_by_ten_seconds():
    rows = filled(FINE_ROWS + 3 * MERGED).rows()
    assert [(at, merged) for at, merged, _ in rows[:4]] == [(0, 10), (10, 10), (20, 10), (30, 1)]
    assert rows[0][2] == GOOD


def test_a_merged_row_is_the_mean_of_what_was_measured():
    timeline = Timeline()
    for second in range(FINE_ROWS + MERGED):
        loss = 0.2 if second < 5 else None if second == 5 else 0.0
        timeline.add(Sample(loss=loss), float(second))
    assert timeline.rows()[0][2].loss == pytest.approx(1.0 / 9, abs=1e-4)
    assert timeline.rows()[0][2].mos is None


def test_only_the_requested_rows_are_returned():
    rows = filled(FINE_ROWS + MERGED).rows(since=605.0)
    assert [at for at, _, _ in rows] == [605, 606, 607, 608, 609]


def test_four_hours_fit_into_little_memory():
    assert filled(4 * 3600).octets < 80_000


def test_a_call_without_end_takes_no_more_memory():
    timeline = filled(MERGED * COARSE_ROWS + FINE_ROWS + 500)
    assert len(timeline) <= COARSE_ROWS + FINE_ROWS + MERGED
    assert timeline.rows()[0][0] == 500


@given(st.lists(st.one_of(st.none(), st.floats(-1e9, 1e9)), min_size=17, max_size=17))
def test_no_figure_is_too_large(values):
    timeline = filled(1, Sample(*values))
    ((_, _, kept),) = timeline.rows()
    assert [one is None for one in kept] == [one is None for one in values]
    assert all(one is None or abs(one) <= 3276.7 for one in kept)


def test_the_newest_sample_and_the_last_of_one_field_are_found():
    timeline = Timeline()
    assert timeline.newest() is None
    assert timeline.recent("mos", 3) == []
    for second in range(5):
        timeline.add(Sample(mos=second if second != 3 else None, level=-second), second)
    assert (timeline.newest() or Sample()).mos == 4.0
    assert timeline.recent("mos", 3) == [2.0, None, 4.0]


def test_columns_that_another_version_stored_are_read_by_their_names():
    timeline = Timeline()
    timeline.add(Sample(loss=0.5, mos=3.0), 1.0)
    packed = timeline.pack()
    loss = Sample._fields.index("loss")
    kept = array("h", packed.fine)[loss : loss + 1]
    other = replace(packed, columns=("gone", "loss"), fine=(array("h", [7]) + kept).tobytes())
    [(at, merged, sample)] = Timeline.unpack(other).rows()
    assert (at, merged, sample) == (1.0, 1, Sample(loss=0.5))


def test_the_mean_of_a_column_weighs_merged_seconds():
    timeline = Timeline()
    for second in range(FINE_ROWS + MERGED):
        timeline.add(Sample(mos=2.0 if second < MERGED else 4.0), float(second))
    assert timeline.mean("mos") == pytest.approx(
        (MERGED * 2 + FINE_ROWS * 4) / (MERGED + FINE_ROWS)
    )
    assert (timeline.least("mos"), timeline.mean("jitter"), timeline.least("jitter")) == (
        2.0,
        None,
        None,
    )


def test_figures_beyond_the_fixed_point_are_clamped_and_the_others_stay():
    timeline = Timeline()
    timeline.add(Sample(loss=0.5, round_trip=60.0, level=-9000.0), 1.0)
    newest = timeline.newest()
    assert newest is not None
    assert (newest.loss, newest.round_trip, newest.level) == (0.5, 3.2767, -3276.7)
    assert newest.jitter is None
