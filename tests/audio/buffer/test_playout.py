from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.audio.buffer.playout import Playout
from bridge.audio.detect.level import level
from bridge.audio.frame import FRAME_BYTES, FRAME_SAMPLES, SAMPLE_RATE, Frame
from tests.support.examples import examples

RNG = np.random.default_rng(7)
LOUD = [RNG.integers(-9000, 9000, FRAME_SAMPLES, np.int16).tobytes() for _ in range(4000)]
NUMBER_OF = {pcm: number for number, pcm in enumerate(LOUD)}
MADE_UP = -1

HUM = (6000 * np.sin(2 * np.pi * 200 * np.arange(FRAME_SAMPLES) / SAMPLE_RATE)).astype(np.int16)


def loud(number, *, epoch=0, shift=0):
    return Frame(LOUD[number], number * FRAME_SAMPLES + shift, epoch)


def play(playout, arrivals, *, seconds, phase=0.007, start=0.0):
    """Run the clock over `arrivals`, pairs of a time and a frame; return what each tick gave."""
    waiting = sorted(arrivals, key=lambda arrival: arrival[0])
    given = []
    index = 0
    for tick in range(round(seconds / 0.02)):
        now = start + phase + tick * 0.02
        while index < len(waiting) and waiting[index][0] <= now:
            playout.push(waiting[index][1], waiting[index][0])
            index += 1
        given.append(playout.pull(now))
    return given


def arrivals(numbers, jitter, *, start=0.0, seed=1):
    """Arrive every 20 ms, each later by up to `jitter` seconds, never out of order."""
    rng = np.random.default_rng(seed)
    times: list[tuple[float, Frame]] = []
    for number in numbers:
        late = start + number * 0.02 + rng.uniform(0, jitter)
        times.append((max(late, times[-1][0]) if times else late, loud(number)))
    return times


def numbers(given):
    return [None if pcm is None else NUMBER_OF.get(pcm, MADE_UP) for pcm in given]


def corrections(playout):
    return playout.inserted + playout.removed + playout.concealed


@pytest.mark.parametrize("phase", [0.0001, 0.007, 0.0199])
def test_the_first_frame_is_played_at_the_first_tick_as_it_came(phase):
    playout = Playout()
    given = play(playout, arrivals(range(1), 0), seconds=0.02, phase=phase)
    assert given == [LOUD[0]]
    assert playout.delay_seconds == pytest.approx(phase)


def test_a_source_that_never_gave_anything_is_silence():
    playout = Playout()
    assert play(playout, [], seconds=0.2) == [None] * 10
    assert playout.concealed == 0


@pytest.mark.parametrize("jitter", [0.0, 0.010, 0.030])
@pytest.mark.parametrize("phase", [0.0001, 0.010, 0.0199])
def test_nothing_is_missing_or_repeated_beyond_one_frame_once_it_is_steady(jitter, phase):
    playout = Playout()
    given = numbers(play(playout, arrivals(range(1000), jitter), seconds=19.9, phase=phase))
    steady = given[100:]
    real = [number for number in steady if number not in (None, MADE_UP)]
    missing = sum(after - before - 1 for before, after in pairwise(real))
    assert None not in steady
    assert missing <= 2  # a shortening melts two frames into one that is made up
    assert steady.count(MADE_UP) <= 1
    assert sorted(set(real)) == real


@pytest.mark.parametrize("jitter", [0.010, 0.030])
def test_no_frame_is_lost_while_it_grows(jitter):
    playout = Playout()
    given = numbers(play(playout, arrivals(range(100), jitter), seconds=1.9))
    real = [number for number in given if number not in (None, MADE_UP)]
    assert playout.removed == 0
    # The frame after a made-up one begins with a cross-fade and so is not recognised.
    blended = set(range(real[-1])) - set(real)
    assert len(blended) <= playout.concealed


@pytest.mark.parametrize(("jitter", "most"), [(0.0, 0.043), (0.010, 0.043), (0.030, 0.060)])
def test_the_delay_covers_the_jitter_and_not_much_more(jitter, most):
    playout = Playout()
    play(playout, arrivals(range(500), jitter), seconds=9.9)
    assert jitter <= playout.delay_seconds <= most


def test_it_grows_at_once_when_the_jitter_grows():
    playout = Playout()
    bunched = [(number // 5 * 0.1 + 0.08, loud(number)) for number in range(100, 300)]
    first = [arrival for arrival in bunched if arrival[0] < 3.0]
    play(playout, arrivals(range(100), 0) + first, seconds=3.0)
    assert playout.delay_seconds >= 0.08
    assert playout.concealed + playout.inserted <= 6
    made_up = playout.concealed + playout.inserted
    play(playout, [arrival for arrival in bunched if arrival[0] >= 3.0], seconds=2.9, start=3.0)
    assert playout.concealed + playout.inserted == made_up


def test_it_comes_back_within_two_seconds_of_calm():
    playout = Playout()
    rough = arrivals(range(200), 0.1)
    calm = [(number * 0.02, loud(number)) for number in range(205, 400)]
    play(playout, rough, seconds=4.1)
    assert playout.delay_seconds > 0.08
    play(playout, calm, seconds=2.02, start=4.1)
    assert playout.delay_seconds <= 0.043


def test_speech_is_corrected_at_most_five_times_a_second():
    playout = Playout()
    play(playout, arrivals(range(200), 0.1), seconds=4.1)
    calm = [(number * 0.02, loud(number)) for number in range(205, 400)]
    removed = []
    for tick in range(100):
        play(playout, [calm[tick]], seconds=0.02, start=4.1 + tick * 0.02)
        removed.append(playout.removed)
    changed = [tick for tick in range(1, 100) if removed[tick] != removed[tick - 1]]
    assert len(changed) >= 3
    assert min(b - a for a, b in pairwise(changed)) >= 10


def test_silence_is_corrected_frame_after_frame():
    playout = Playout()
    stalled = [(2.12, loud(number)) for number in range(100, 107)]
    play(playout, arrivals(range(100), 0) + stalled, seconds=2.14)
    removed = []
    for number in range(107, 207):
        quiet = Frame(bytes(FRAME_BYTES), number * FRAME_SAMPLES, 0)
        play(playout, [(number * 0.02, quiet)], seconds=0.02, start=number * 0.02)
        removed.append(playout.removed)
    changed = [tick for tick in range(1, 100) if removed[tick] != removed[tick - 1]]
    assert len(changed) >= 3
    assert changed[-1] - changed[0] == len(changed) - 1
    assert playout.delay_seconds <= 0.043


@pytest.mark.parametrize("drift", [300e-6, -300e-6])
def test_an_hour_of_clock_drift_neither_starves_nor_overflows(drift):
    playout = Playout()
    pcm = HUM.tobytes()
    sent, step, depths = 0, 0.02 * (1 + drift), []
    for tick in range(180_000):
        now = 0.011 + tick * 0.02
        while sent * step <= now:
            playout.push(Frame(pcm, sent * FRAME_SAMPLES, 0), sent * step)
            sent += 1
        assert playout.pull(now) is not None
        if tick > 100 and tick % 50 == 0:
            depths.append(playout.delay_seconds)
    assert (playout.concealed, playout.dropped, playout.late) == (0, 0, 0)
    assert 0.015 <= min(depths) <= max(depths) <= 0.045
    made = playout.inserted - playout.removed
    assert abs(made * 0.02 - 3600 * drift) <= 0.06
    assert playout.inserted + playout.removed <= abs(made) + 4


def test_a_hole_is_filled_with_fading_sound_for_three_frames_and_then_is_silence():
    playout = Playout()
    frames = [
        (number * 0.02, Frame(HUM.tobytes(), number * FRAME_SAMPLES, 0)) for number in range(50)
    ]
    given = play(playout, frames, seconds=1.2)
    hole = given[given.index(None) - 3 :]
    assert playout.concealed == 3
    assert set(hole[3:]) == {None}
    levels = [level(pcm) for pcm in [HUM.tobytes(), *hole[:3]]]
    assert levels == sorted(levels, reverse=True)
    assert levels[1] > levels[0] - 2.5
    assert level(hole[2][-40:]) < -40


def test_filled_sound_goes_on_without_a_click():
    playout = Playout()
    frames = [
        (number * 0.02, Frame(HUM.tobytes(), number * FRAME_SAMPLES, 0)) for number in range(50)
    ]
    late = [(1.062, Frame(HUM.tobytes(), 50 * FRAME_SAMPLES, 0))]
    late += [
        (number * 0.02 + 0.06, Frame(HUM.tobytes(), number * FRAME_SAMPLES, 0))
        for number in range(51, 60)
    ]
    given = play(playout, frames + late, seconds=1.2)
    assert playout.concealed >= 1
    heard = np.frombuffer(b"".join(given[5:]), np.int16).astype(int)
    natural = np.abs(np.diff(HUM.astype(int))).max()
    assert np.abs(np.diff(heard)).max() <= 1.5 * natural


def test_lengthening_and_shortening_make_no_click():
    playout = Playout()
    rough = [(at, Frame(HUM.tobytes(), frame.pts, 0)) for at, frame in arrivals(range(200), 0.08)]
    calm = [
        (number * 0.02, Frame(HUM.tobytes(), number * FRAME_SAMPLES, 0))
        for number in range(204, 400)
    ]
    given = play(playout, rough + calm, seconds=7.8)
    assert playout.removed >= 2
    assert playout.inserted + playout.concealed >= 2
    heard = np.frombuffer(b"".join(pcm for pcm in given if pcm), np.int16).astype(int)
    natural = np.abs(np.diff(HUM.astype(int))).max()
    assert np.abs(np.diff(heard)).max() <= 1.5 * natural


def test_a_late_frame_is_played_late_and_not_thrown_away():
    playout = Playout()
    frames = arrivals(range(50), 0)
    frames += [(max(number * 0.02, 1.1), loud(number)) for number in range(50, 100)]
    given = numbers(play(playout, frames, seconds=1.9))
    real = [number for number in given if number not in (None, MADE_UP)]
    assert given.count(None) <= 4
    assert [number for number in range(51, 90) if number not in real] == []
    assert (playout.late, playout.dropped) == (0, 0)


def test_a_pause_of_the_source_keeps_its_length():
    playout = Playout()
    frames = arrivals(range(50), 0) + [(number * 0.02, loud(number)) for number in range(70, 120)]
    given = numbers(play(playout, frames, seconds=2.3))
    assert given.index(71) - given.index(49) in (21, 22, 23)
    assert playout.late == 0
    assert playout.concealed == 3
    assert set(range(71, 110)) <= set(given)


def test_a_small_gap_in_the_middle_keeps_its_place():
    playout = Playout()
    frames = [
        (at, frame) for at, frame in arrivals(range(100), 0) if frame.pts // 320 not in (60, 61)
    ]
    given = numbers(play(playout, frames, seconds=1.9))
    assert given.index(63) - given.index(59) == 4
    assert playout.concealed == 2


def test_frames_after_a_pause_wait_until_the_delay_is_there_instead_of_being_stretched():
    playout = Playout()
    frames = arrivals(range(50), 0) + [(number * 0.02, loud(number)) for number in range(150, 200)]
    play(playout, frames, seconds=3.0)
    inserted = playout.inserted
    given = play(
        playout,
        [(number * 0.02, loud(number)) for number in range(200, 300)],
        seconds=2.0,
        start=4.0,
    )
    assert playout.inserted == inserted
    assert playout.delay_seconds >= 0.018
    assert given[0] is not None or given[1] is not None


def test_a_new_timeline_goes_on_where_the_old_one_ended():
    playout = Playout()
    old = arrivals(range(50), 0)
    new = [
        (number * 0.02, loud(number, epoch="new", shift=-123_456_789)) for number in range(50, 100)
    ]
    given = numbers(play(playout, old + new, seconds=1.9))
    assert [number for number in given[10:] if number not in (None, MADE_UP)] == list(range(9, 94))
    assert (playout.late, playout.dropped, playout.concealed) == (0, 0, 0)


def test_a_source_whose_count_stood_still_in_a_pause_is_heard_again():
    playout = Playout()
    resumed = [(number * 0.02 + 5.0, loud(number)) for number in range(50, 150)]
    given = numbers(play(playout, arrivals(range(50), 0) + resumed, seconds=7.9))
    assert set(range(51, 140)) <= set(given)
    assert playout.delay_seconds <= 0.045
    assert playout.late == 0


def test_a_source_whose_count_leaps_is_heard_on():
    playout = Playout()
    leapt = [(number * 0.02, loud(number, shift=50_000_000)) for number in range(50, 150)]
    given = numbers(play(playout, arrivals(range(50), 0) + leapt, seconds=2.9))
    assert set(range(51, 140)) <= set(given)
    assert playout.delay_seconds <= 0.045


def test_overtaken_frames_are_put_in_order():
    playout = Playout()
    frames = [(0.04 * (number // 2) + 0.001 * (number % 2), number ^ 1) for number in range(200)]
    given = play(playout, [(at, loud(number)) for at, number in frames], seconds=3.9)
    real = [number for number in numbers(given)[50:] if number not in (None, MADE_UP)]
    assert real == list(range(real[0], real[-1] + 1))


def test_frames_that_come_twice_or_too_late_are_counted_and_not_played():
    playout = Playout()
    frames = arrivals(range(50), 0)
    given = play(playout, [*frames, (0.405, loud(20)), (0.605, loud(10))], seconds=0.9)
    real = [number for number in numbers(given) if number is not None]
    assert playout.late == 2
    assert real.count(20) == 1
    assert real.count(10) <= 1


def test_a_burst_is_bounded_and_the_oldest_go_first():
    playout = Playout()
    for number in range(500):
        playout.push(loud(number), number * 0.02)
    assert playout.dropped == 500 - 9
    assert [frame.pts // FRAME_SAMPLES for frame in playout.held()] == list(range(491, 500))


def test_a_stall_of_300_ms_and_its_burst_cost_no_lasting_delay():
    playout = Playout()
    stalled = [(max(number * 0.02, 2.3), loud(number)) for number in range(100, 115)]
    after = [(number * 0.02, loud(number)) for number in range(115, 400)]
    play(playout, arrivals(range(100), 0) + stalled + after, seconds=2.4)
    assert playout.delay_seconds > 0.1
    play(playout, [arrival for arrival in after if arrival[0] > 2.4], seconds=2.0, start=2.4)
    assert playout.delay_seconds <= 0.045


def test_late_ticks_of_the_clock_are_not_taken_for_delay():
    playout = Playout()
    for number in range(1000):
        now = number * 0.02
        playout.push(loud(number), now)
        playout.pull(now + 0.001 + (0.015 if number % 7 == 0 else 0.0))
    assert playout.inserted <= 2
    assert (playout.removed, playout.concealed) == (0, 0)


def test_packets_of_60_ms_play_without_a_hole():
    playout = Playout()
    frames = [(number // 3 * 0.06, loud(number)) for number in range(300)]
    given = numbers(play(playout, frames, seconds=5.8))
    assert None not in given
    assert MADE_UP not in given[50:]


def test_frames_not_yet_played_keep_their_own_timestamps():
    playout = Playout()
    kept = [loud(number, epoch="t", shift=77) for number in range(3)]
    for number, frame in enumerate(kept):
        playout.push(frame, number * 0.02)
    playout.pull(0.05)
    assert playout.held() == kept[1:]


@settings(max_examples=examples(150), deadline=None)
@given(
    steps=st.lists(
        st.tuples(st.integers(0, 60), st.integers(-3, 8), st.integers(0, 2), st.integers(0, 3)),
        max_size=120,
    ),
    minimum=st.sampled_from([0.0, 0.02, 0.05]),
)
def test_whatever_comes_every_frame_is_played_or_counted(steps, minimum):
    playout = Playout(minimum=minimum)
    now, pts, pushed, given_frames = 100.0, 0, 0, 0
    for wait, advance, epoch, pulls in steps:
        now += wait / 1000
        pts += advance * FRAME_SAMPLES
        playout.push(Frame(HUM.tobytes(), pts, epoch), now)
        pushed += 1
        for _ in range(pulls):
            pcm = playout.pull(now)
            assert pcm is None or len(pcm) == FRAME_BYTES
            given_frames += pcm is not None
            now += 0.02
        assert playout.delay_seconds < 1.5
    played = given_frames - playout.concealed - playout.inserted + playout.removed
    left = len(playout.held())
    assert left <= 9
    assert pushed == played + playout.late + playout.dropped + left
