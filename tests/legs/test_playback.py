"""A playback by itself: what it gives the clock, when it begins and ends, and what it tells."""

import asyncio
from collections import deque
from pathlib import Path

import msgspec
import pytest
from typing_extensions import override

from bridge.audio.frame import FRAME_BYTES
from bridge.call import events
from bridge.call.model import EndReason, LegId
from bridge.errors import HandoverRefused, LimitExceeded
from bridge.legs import playback as module
from bridge.legs.playback import AHEAD_FRAMES, PlaybackLeg, PlaybackOptions, PlaybackSnapshot
from bridge.media.decoding.decoders import InvalidMedia
from tests.support.sound.voice import pcm
from tests.support.waiting import until


class TrackAssembler:
    """Implements what a playback needs of `bridge.media.decoding.decoders.Decoding`."""

    def __init__(self, *frames, fails=False):
        self.left = deque(frames)
        self.fails = fails
        self.closed = False

    async def read(self, size):
        if not self.left and self.fails:
            raise InvalidMedia("damaged")
        return self.left.popleft() if self.left else b""

    async def aclose(self):
        self.closed = True


class Stalled(TrackAssembler):
    """Decodes nothing for now."""

    @override
    async def read(self, size):
        await asyncio.Event().wait()


class Playing:
    """A playback that runs."""

    def __init__(self, *tapes, before=None, **options):
        self.tapes = list(tapes)
        self.opened = 1 if before is None else 0
        self.released = 0
        self.skipped: list[int] = []
        self.refusals = 0
        self.events: list[events.LegEvent] = []
        self.leg = PlaybackLeg(
            LegId("one"),
            Path("one.wav"),
            first=self.tapes[0] if before is None else None,
            reopen=self.again,
            release=self.release,
            options=PlaybackOptions(**({"repeats": len(tapes)} | options)),
        )
        if before is not None:
            self.leg.restore(before)
        self.task = asyncio.create_task(self.leg.run(self.events.append))

    async def again(self, skip):
        self.skipped.append(skip)
        if self.refusals:
            self.refusals -= 1
            raise LimitExceeded("busy")
        self.opened += 1
        tape = self.tapes[self.opened - 1]
        if tape is None:
            raise InvalidMedia("gone")
        return tape

    def release(self):
        self.released += 1

    def noted(self):
        return [
            (one.type, dict(one.data)) for one in self.events if type(one) is events.LegReported
        ]

    async def heard(self, count):
        """Pull so many frames, each as soon as it is there."""
        frames: list[bytes] = []
        async with asyncio.timeout(20):
            while len(frames) < count:
                if (frame := self.leg.pull()) is None:
                    await asyncio.sleep(0.001)
                else:
                    frames.append(frame)
        return frames

    async def end(self):
        async with asyncio.timeout(20):
            await self.task
        return self.events[-1]


@pytest.fixture
async def play():
    """Makes playbacks; none of them is left running."""
    made = []

    def make(*tapes, **options):
        made.append(Playing(*tapes, **options))
        return made[-1]

    yield make
    for one in made:
        one.task.cancel()
    await asyncio.gather(*(one.task for one in made), return_exceptions=True)


async def test_a_file_is_given_frame_by_frame_and_then_it_is_over(play):
    one = play(TrackAssembler(pcm(1), pcm(2)))
    assert await one.heard(2) == [pcm(1), pcm(2)]
    assert await one.end() == events.LegEnded(LegId("one"), EndReason.HANGUP)
    assert one.leg.pull() is None


async def test_its_last_frame_is_filled_up_with_silence(play):
    one = play(TrackAssembler(pcm(1)[:100]))
    assert await one.heard(1) == [pcm(1)[:100] + bytes(540)]


async def test_it_tells_when_it_is_heard_first_and_when_it_is_over(play):
    one = play(TrackAssembler(pcm(1), pcm(2)))
    await one.heard(2)
    await one.end()
    assert one.noted() == [
        ("playback.started", {"playbackId": "one", "seconds": 0.0}),
        ("playback.completed", {"playbackId": "one", "seconds": 0.04, "status": "completed"}),
    ]


async def test_it_is_not_over_before_its_last_frame_is_heard(play):
    one = play(TrackAssembler(pcm(1)))
    await until(lambda: one.tapes[0].closed)
    await asyncio.sleep(0)
    assert not one.task.done()
    await one.heard(1)
    await one.end()


async def test_it_is_played_as_often_as_is_asked_for(play):
    one = play(TrackAssembler(pcm(1)), TrackAssembler(pcm(2)), TrackAssembler(pcm(3)))
    assert await one.heard(3) == [pcm(1), pcm(2), pcm(3)]
    await one.end()
    assert [kind for kind, _ in one.noted()] == ["playback.started", "playback.completed"]
    assert all(tape.closed for tape in one.tapes)
    assert one.released == 1


async def test_nothing_is_given_before_its_delay_is_over(play):
    one = play(TrackAssembler(pcm(1)), delay_seconds=60.0)
    await asyncio.sleep(0)
    assert one.leg.pull() is None
    assert one.events == []


async def test_it_stands_still_while_it_is_paused_and_loses_nothing(play):
    one = play(TrackAssembler(pcm(1), pcm(2)))
    await one.heard(1)
    one.leg.pause(paused=True)
    assert one.leg.pull() is None
    one.leg.pause(paused=False)
    assert one.leg.pull() == pcm(2)


def numbered(count):
    return [pcm(number) for number in range(1, count + 1)]


async def test_a_paused_one_gives_its_decoder_back_and_goes_on_where_it_was(play):
    frames = numbered(200)
    one = play(TrackAssembler(*frames), TrackAssembler(), repeats=1)
    heard = await one.heard(10)
    await until(lambda: len(one.tapes[0].left) == 200 - AHEAD_FRAMES)
    heard += await one.heard(30)
    one.leg.pause(paused=True)
    await until(lambda: one.tapes[0].closed)
    assert one.opened == 1
    decoded = 200 - len(one.tapes[0].left)
    one.tapes[1].left = deque(frames[decoded:])
    one.leg.pause(paused=False)
    heard += await one.heard(200 - len(heard))
    assert heard == frames
    assert one.skipped == [decoded * FRAME_BYTES]
    assert (await one.end()).reason is EndReason.HANGUP


async def stand_still_and_go_on(one, tape):
    opened = one.opened
    one.leg.pause(paused=True)
    await until(lambda: tape.closed)
    one.leg.pause(paused=False)
    await until(lambda: one.opened > opened)


async def test_one_that_is_paused_and_resumed_again_and_again_holds_no_more_than_a_second(play):
    one = play(*(TrackAssembler(*[pcm(1)] * 500) for _ in range(60)), repeats=1)
    await until(lambda: len(one.tapes[0].left) == 500 - AHEAD_FRAMES)
    for tape in one.tapes[:-1]:
        await stand_still_and_go_on(one, tape)
    assert len(await one.heard(AHEAD_FRAMES)) == AHEAD_FRAMES
    assert sum(500 - len(tape.left) for tape in one.tapes) <= 2 * AHEAD_FRAMES


@pytest.mark.virtual_time
async def test_one_that_goes_on_waits_for_a_decoder(play):
    one = play(TrackAssembler(*[pcm(1)] * 100), TrackAssembler(pcm(2)), repeats=1)
    one.leg.pause(paused=True)
    await until(lambda: one.tapes[0].closed)
    one.refusals = module.REOPEN_ATTEMPTS - 1
    one.leg.pause(paused=False)
    assert (await one.heard(1)) == [pcm(2)]
    assert (await one.end()).reason is EndReason.HANGUP


@pytest.mark.virtual_time
async def test_one_that_never_gets_a_decoder_again_is_told_as_failed(play):
    one = play(TrackAssembler(*[pcm(1)] * 100), repeats=1)
    one.leg.pause(paused=True)
    await until(lambda: one.tapes[0].closed)
    one.refusals = module.REOPEN_ATTEMPTS
    one.leg.pause(paused=False)
    assert (await one.end()).reason is EndReason.FAILED


async def test_no_more_than_a_second_is_read_ahead(play):
    one = play(TrackAssembler(*[pcm(1)] * 500))
    tape = one.tapes[0]
    await until(lambda: len(tape.left) == 500 - AHEAD_FRAMES)
    for _ in range(10):
        await asyncio.sleep(0)
    assert len(tape.left) == 500 - AHEAD_FRAMES


async def test_a_file_that_breaks_off_is_heard_as_far_as_it_goes_and_told_as_failed(play):
    one = play(TrackAssembler(pcm(1), pcm(2), fails=True))
    assert await one.heard(2) == [pcm(1), pcm(2)]
    assert await one.end() == events.LegEnded(LegId("one"), EndReason.FAILED)
    assert one.noted()[-1][1]["status"] == "failed"
    assert one.released == 1


async def test_a_file_that_is_gone_at_its_repeat_is_told_as_failed(play):
    one = play(TrackAssembler(pcm(1)), None)
    await one.heard(1)
    assert await one.end() == events.LegEnded(LegId("one"), EndReason.FAILED)


async def test_who_ends_it_early_has_its_file_closed_and_let_go_of(play):
    one = play(TrackAssembler(*[pcm(1)] * 500))
    await one.heard(1)
    one.task.cancel()
    await asyncio.wait([one.task])
    assert one.tapes[0].closed
    assert one.released == 1


async def test_closing_it_twice_lets_go_once(play):
    one = play(TrackAssembler(pcm(1)), delay_seconds=60.0)
    await one.leg.aclose()
    await one.leg.aclose()
    assert one.released == 1


async def test_its_figures_tell_what_was_played(play):
    one = play(TrackAssembler(pcm(1), pcm(2), pcm(3)))
    await one.heard(2)
    assert one.leg.played_seconds == pytest.approx(0.04)
    assert one.leg.statistics().received.frames == 2


def passed(one):
    """What another process gets of a playback, as it arrives there."""
    one.leg.check_movable()
    state, sockets = one.leg.suspend()
    assert sockets == []
    return msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=PlaybackSnapshot)


async def test_a_playback_goes_on_in_another_process_with_its_next_frame(play):
    frames = [pcm(number) for number in range(1, 100)]
    one = play(TrackAssembler(*frames))
    heard = await one.heard(10)
    before = passed(one)
    left = frames[before.decoded // FRAME_BYTES :]
    other = play(TrackAssembler(*left), before=before)
    await one.leg.abandon()
    heard += await other.heard(89)
    assert heard == frames
    await other.end()
    assert other.skipped == [before.decoded]
    assert [kind for kind, _ in one.noted()] == ["playback.started"]
    [(kind, data)] = other.noted()
    assert (kind, data["status"], data["seconds"]) == ("playback.completed", "completed", 1.98)
    assert (one.released, other.released) == (1, 1)


async def test_the_repeats_that_are_left_are_played_in_the_other_process(play):
    one = play(TrackAssembler(pcm(1), pcm(2)), Stalled(), repeats=3)
    assert await one.heard(1) == [pcm(1)]
    await until(lambda: one.opened == 2)
    before = passed(one)
    assert (before.turns, before.decoded) == (1, 0)
    other = play(TrackAssembler(pcm(3), pcm(4)), TrackAssembler(pcm(5)), before=before, repeats=3)
    assert await other.heard(4) == [pcm(2), pcm(3), pcm(4), pcm(5)]
    await other.end()


async def test_a_playback_whose_file_was_decoded_to_its_end_does_not_open_it_again(play):
    one = play(TrackAssembler(pcm(1), pcm(2)))
    assert await one.heard(1) == [pcm(1)]
    await until(lambda: one.leg.suspend()[0].turns == 1)
    assert not one.released  # of a copy from before it is opened
    other = play(before=passed(one), repeats=1)
    assert await other.heard(1) == [pcm(2)]
    await other.end()
    assert other.opened == 0


async def test_a_copy_has_what_was_heard_and_goes_on_where_it_is_later(play):
    one = play(TrackAssembler(*[pcm(number) for number in range(1, 9)]))
    await one.heard(2)
    copy = one.leg.copy()
    assert (copy.decoded, copy.played, copy.frames) == (2 * FRAME_BYTES, 2, b"")
    assert copy.after(0.1).decoded == 7 * FRAME_BYTES
    assert copy.after(0.1).played == 7
    one.leg.pause(paused=True)
    assert one.leg.copy().after(5.0) == one.leg.copy()


def test_a_playback_that_was_not_heard_yet_begins_anew():
    copy = PlaybackSnapshot("a.wav", 1, 0, 0, b"", 0, paused=False)
    assert copy.after(5.0) == copy


async def test_a_paused_playback_stays_paused_in_the_other_process(play):
    one = play(TrackAssembler(*[pcm(number) for number in range(1, 9)]))
    await one.heard(2)
    one.leg.pause(paused=True)
    other = play(TrackAssembler(), before=passed(one))
    await asyncio.sleep(0)
    assert other.leg.paused
    assert other.leg.pull() is None
    other.leg.pause(paused=False)
    assert await other.heard(1) == [pcm(3)]


async def test_a_playback_that_has_not_begun_cannot_move(play):
    one = play(TrackAssembler(pcm(1)), delay_seconds=60.0)
    with pytest.raises(HandoverRefused):
        one.leg.check_movable()
