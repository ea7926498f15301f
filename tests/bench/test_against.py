"""The comparison with another commit."""

from typing import Any

import pytest

from tests.bench import against, servers
from tests.bench.against import HERE, THERE
from tests.bench.generators.signal import Loop
from tests.bench.generators.talker import FRAME_SAMPLES, FRAME_SECONDS, PHASE_SECONDS, Talker
from tests.bench.reports.comparison import Comparison
from tests.bench.reports.comparison import compare as compare_builds
from tests.bench.slices import Slice


def compare(load: str, rounds: list[list[Slice]]) -> Comparison:
    return compare_builds(load, rounds, first=HERE, second=THERE)


def a_round(here, before):
    return [
        Slice(build=THERE, cpu_per_leg=before, worst_rate=50.0, delays=[0.002]),
        Slice(build=HERE, cpu_per_leg=here, worst_rate=49.0, delays=[0.001]),
    ]


def test_each_round_gives_one_ratio_and_their_median_is_judged():
    found = compare("echo", [a_round(1.0, 1.0), a_round(2.2, 2.0), a_round(9.0, 1.0)])
    assert found.ratio == pytest.approx(1.1)
    assert (found.lower, found.upper) == (pytest.approx(1.05), pytest.approx(5.05))
    assert not found.met


def test_delays_and_rates_are_told_of_each_build():
    found = compare("echo", [a_round(1.0, 1.0)])
    assert (found.delay_p95, found.delay_p95_before) == (0.001, 0.002)
    assert found.worst_rate == 49.0
    assert found.met


def test_the_report_names_the_loads_that_cost_more():
    dear = compare("echo", [a_round(1.2, 1.0)])
    cheap = compare("two legs, passthrough", [a_round(0.9, 1.0)])
    assert "**Missed: echo costs more than 1.05 of before.**" in against.markdown(
        "v1", [dear, cheap]
    )
    assert "No load costs more" in against.markdown("v1", [cheap])


@pytest.mark.compiler
def test_the_other_commit_has_its_compiled_packet_path(tmp_path):
    against.check_out("HEAD", tmp_path)
    assert (tmp_path / "bridge" / "rtc" / "libpacket_path.so").exists()


def test_a_commit_that_git_does_not_know_is_named(tmp_path):
    with pytest.raises(ValueError, match="no-such-ref"):
        against.check_out("no-such-ref", tmp_path)


class Peer:
    def __init__(self):
        self.sent = 0
        self.paused = 0
        self.arrivals = []

    def send(self, payload):
        self.sent += 1

    def pause(self, samples):
        self.paused += samples


class Timer:
    def __init__(self, due, callback):
        self.due = due
        self.callback = callback
        self.canceled = False

    def cancel(self):
        self.canceled = True


class Clock:
    """As much of an event loop as a talker needs, moved by hand."""

    def __init__(self):
        self.now = 0.0
        self.timers = []

    def time(self):
        return self.now

    def call_at(self, due, callback):
        self.timers.append(Timer(due, callback))
        return self.timers[-1]

    def advance(self, until):
        while ready := [one for one in self.timers if one.due <= until and not one.canceled]:
            first = min(ready, key=lambda one: one.due)
            self.timers.remove(first)
            self.now = first.due
            first.callback()
        self.now = until


def test_a_leg_that_resumes_keeps_its_phase_and_its_timestamps_went_on():
    peer: Any = Peer()
    clock: Any = Clock()
    talker = Talker(0, peer, Loop((b"frame",)), clock=clock)
    talker.start()
    clock.advance(0.05)
    talker.stop()
    clock.advance(1.05)
    assert peer.sent == 3
    talker.resume()
    assert peer.paused == 50 * FRAME_SAMPLES
    clock.advance(1.0599)
    assert peer.sent == 3
    clock.advance(1.0601)
    assert peer.sent == 4


@pytest.mark.parametrize("waited", [0.0, 0.0131, 3.719])
def test_a_leg_has_the_phase_of_its_number_whenever_it_begins(waited):
    clock: Any = Clock()
    clock.advance(waited)
    peer: Any = Peer()
    Talker(1, peer, Loop((b"frame",)), clock=clock).start()
    (timer,) = clock.timers
    frames = (timer.due - PHASE_SECONDS) / FRAME_SECONDS
    assert frames == pytest.approx(round(frames), abs=1e-6)
    assert 0 <= timer.due - waited < FRAME_SECONDS


@pytest.mark.long
@pytest.mark.load
def test_two_builds_are_measured_in_turn():
    rounds = against.perform("echo", servers.ROOT, rounds=1, seconds=1.0, legs=2, seed=0)
    (here,) = [one for one in rounds[0] if one.build == HERE]
    assert {one.build for one in rounds[0]} == {HERE, THERE}
    assert here.cpu_per_leg > 0
    assert here.worst_rate == pytest.approx(50.0, abs=3.0)
