"""When a node is taken for hung, in simulated time; and what the system says of a thread."""

import os
import threading
import time
from collections.abc import Callable

import pytest

from bridge.supervisor.hang_detector import (
    BUSY_SECONDS,
    LOOK_SECONDS,
    START_SECONDS,
    Hang,
    HangDetector,
    Look,
    ThreadRun,
    main_thread,
    media_thread,
)

LIMIT = 3.0
BEATS_A_SECOND = 2


class Watched:
    """A node that is looked at; what its threads do is set by the test."""

    def __init__(self, *, beats: float = 5.0) -> None:
        """A node that has beaten for so long, with a main thread and a media thread that run."""
        self.detector = HangDetector(LIMIT)
        self.now = 0.0
        self.beats = self.main_runs = self.media_runs = True
        self.waits = True
        self.media: bool = True
        self._main = self._media = self._look = 0
        if beats:
            assert self.after(beats) is None

    def look(self, pause: float = LOOK_SECONDS) -> Hang | None:
        self.now += pause
        self._look += 1
        self._main += self.main_runs
        self._media += self.media_runs
        heard = self.beats and self._look % round(1 / LOOK_SECONDS / BEATS_A_SECOND) == 0
        media = ThreadRun(self._media) if self.media else None
        return self.detector.check(Look(self.now, heard, ThreadRun(self._main, self.waits), media))

    def after(self, seconds: float, pause: float = LOOK_SECONDS) -> float | None:
        """Look for so long; return after which time it was taken for hung, None if it was not."""
        begin = self.now
        while self.now < begin + seconds - pause / 2:
            if self.look(pause) is not None:
                return self.now - begin
        return None

    def stop(self) -> None:
        """Do nothing any more."""
        self.beats = self.main_runs = self.media_runs = False


def test_a_node_that_beats_is_sound_even_if_it_needs_no_cpu():
    node = Watched()
    node.main_runs = node.media_runs = False
    assert node.after(100) is None


def test_a_node_that_stands_still_hangs_after_the_setting():
    node = Watched()
    node.stop()
    hung = node.after(10)
    assert hung is not None
    assert LIMIT - 1 / BEATS_A_SECOND <= hung <= LIMIT + 2 * LOOK_SECONDS


def test_a_main_thread_that_burns_cpu_gets_longer():
    node = Watched()
    node.beats = False
    hung = node.after(60)
    assert hung is not None
    assert BUSY_SECONDS - 1 / BEATS_A_SECOND <= hung <= BUSY_SECONDS + 2 * LOOK_SECONDS


def test_a_late_heartbeat_of_an_overloaded_loop_makes_good_for_all_that_were_missed():
    node = Watched()
    for _ in range(20):
        node.beats = False
        assert node.after(BUSY_SECONDS - 2) is None
        node.beats = True
        assert node.after(1) is None


def test_a_busy_main_thread_and_a_media_thread_that_has_stopped_are_a_hang():
    node = Watched()
    node.beats = node.media_runs = False
    hung = node.after(60)
    assert hung is not None
    assert hung <= LIMIT + 2 * LOOK_SECONDS


@pytest.mark.parametrize("media", [True, False], ids=["idle", "none"])
def test_a_media_thread_without_packets_says_nothing_about_a_busy_main_thread(media):
    node = Watched(beats=0)
    node.media, node.media_runs = media, False
    assert node.after(5) is None
    node.beats = False
    hung = node.after(60)
    assert hung is not None
    assert hung >= BUSY_SECONDS - 1 / BEATS_A_SECOND


def test_a_hang_says_whether_the_media_thread_stands_still_too():
    for runs in (True, False):
        node = Watched()
        node.stop()
        node.media_runs = runs
        while (hang := node.look()) is None:
            pass
        assert hang == Hang(media=not runs)


def test_a_thread_that_waits_for_a_core_or_the_disk_gets_as_long_as_a_busy_one():
    node = Watched()
    node.stop()
    node.media, node.waits = False, False
    hung = node.after(60)
    assert hung is not None
    assert hung >= BUSY_SECONDS - 1 / BEATS_A_SECOND


def test_a_thread_that_cannot_be_read_gets_as_long_as_a_busy_one():
    detector = HangDetector(LIMIT)
    looks = 0
    detector.check(Look(0.0, heard=True, main=None, media=None))
    while detector.check(Look(looks * LOOK_SECONDS, False, None, None)) is None:
        looks += 1
    assert looks * LOOK_SECONDS >= BUSY_SECONDS - LOOK_SECONDS


@pytest.mark.parametrize("seconds", [1.5, 15.0, 3600.0])
def test_a_pause_of_the_supervisor_counts_nothing(seconds):
    node = Watched()
    for _ in range(10):
        node.stop()
        assert node.after(LIMIT - 1) is None
        assert node.look(pause=seconds) is None
        assert node.after(LIMIT - 1) is None
        node.beats = node.main_runs = node.media_runs = True
        assert node.after(1) is None


def test_looks_that_come_late_do_not_count():
    node = Watched()
    node.stop()
    assert node.after(60, pause=0.3) is None


def test_a_supervisor_that_looks_a_little_late_notices_a_hang_later():
    node = Watched()
    node.stop()
    assert node.after(60, pause=0.2) == pytest.approx(2 * LIMIT, abs=1.0)


def test_a_node_has_longer_until_its_first_heartbeat():
    node = Watched(beats=0)
    node.stop()
    hung = node.after(100)
    assert hung is not None
    assert START_SECONDS - LOOK_SECONDS <= hung <= START_SECONDS + 2 * LOOK_SECONDS


def test_a_longer_setting_holds_for_busy_threads_too():
    detector, now = HangDetector(60), 0.0
    assert detector.check(Look(now, heard=True, main=None, media=None)) is None
    while detector.check(Look(now, False, None, None)) is None:
        now += LOOK_SECONDS
    assert now == pytest.approx(60, abs=1)


# What the system says


def begun(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


@pytest.mark.real_time
def test_the_system_says_how_far_threads_have_run():
    pid, end = os.getpid(), threading.Event()
    thread = begun(end.wait)
    found = media_thread(pid, thread.native_id or 0)
    if found is None:
        pytest.skip("this kernel keeps no schedstat")
    before, until = main_thread(pid), time.thread_time() + 0.05
    while time.thread_time() < until:
        pass
    after = main_thread(pid)
    assert before is not None
    assert after is not None
    assert after.ran > before.ran
    assert not after.waits  # it has just asked
    end.set()
    thread.join()


def test_of_a_thread_that_is_not_there_nothing_is_known():
    assert main_thread(2**22 + 1) is None
    assert media_thread(os.getpid(), 0) is None
