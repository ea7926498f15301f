"""The decoders' processes: begun, kept warm, killed, hung, and limited."""

import asyncio
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from bridge.call.model import LineName
from bridge.call.quota import Quota
from bridge.errors import LimitExceeded
from bridge.media.decoding import decode
from bridge.media.decoding.decoders import Decoders, Decoding, InvalidMedia
from tests.support.decoder_processes import decoders as decoder_processes
from tests.support.sound.wav import wav_file
from tests.support.waiting import until

SECOND = b"\1\0" * 16_000
LINE, OTHER = LineName("one"), LineName("two")
QUOTA = Quota("decoders", "limits.decoders", 64, line_setting="limits.decoders_per_line")


@pytest.fixture
def start_seconds():
    return 60.0


@pytest.fixture
async def decoders(start_seconds):
    made = Decoders(QUOTA, start_seconds=start_seconds)
    yield made
    await made.aclose()


@pytest.fixture
async def warm(decoders):
    """Decoders of which one is always warm."""
    task = asyncio.create_task(decoders.keep_warm(after=0.0))
    await until(lambda: decoders.warm)
    yield decoders
    task.cancel()
    await asyncio.wait([task])


@pytest.fixture
def minute(tmp_path):
    return _file(tmp_path / "minute.wav", wav_file(SECOND * 60))


def _file(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_a_file_comes_out_whole_and_then_ends(decoders, tmp_path):
    decoding = await decoders.open(_file(tmp_path / "a.wav", wav_file(SECOND)), LINE)
    assert decoding.duration == 1.0
    assert await decoding.read(len(SECOND) * 2) == SECOND
    assert await decoding.read(640) == b""
    await decoding.aclose()


async def test_the_process_that_was_kept_warm_takes_the_next_file(warm, minute):
    [spare] = decoder_processes()
    decoding = await warm.open(minute, LINE)
    os.kill(spare, signal.SIGKILL)
    with pytest.raises(InvalidMedia):
        await rest(decoding)
    await decoding.aclose()


async def test_another_process_is_warmed_once_one_is_taken(warm, minute):
    decoding = await warm.open(minute, LINE)
    await until(lambda: warm.warm)
    await decoding.aclose()


async def test_another_process_is_warmed_after_a_file_that_was_refused(warm, tmp_path):
    with pytest.raises(InvalidMedia):
        await warm.open(_file(tmp_path / "a.wav", b"no sound"), LINE)
    await until(lambda: warm.warm)


async def test_a_warm_process_that_was_killed_is_not_used(warm, minute):
    [spare] = decoder_processes()
    os.kill(spare, signal.SIGKILL)
    await until(lambda: not warm.warm)
    decoding = await warm.open(minute, LINE)
    assert len(await decoding.read(640)) == 640
    await decoding.aclose()


async def test_nothing_is_started_before_the_bridge_itself_has(decoders):
    task = asyncio.create_task(decoders.keep_warm(after=60.0))
    await asyncio.sleep(0)
    assert not decoders.warm
    assert decoder_processes() == set()
    task.cancel()
    await asyncio.wait([task])


async def test_a_process_that_is_killed_is_no_end_of_the_file(decoders, minute):
    decoding = await decoders.open(minute, LINE)
    [child] = decoder_processes()
    os.kill(child, signal.SIGKILL)
    with pytest.raises(InvalidMedia):
        await rest(decoding)
    await decoding.aclose()


async def test_a_process_that_hangs_is_given_up(minute):
    decoding = await Decoders(QUOTA, stall_seconds=0.1).open(minute, LINE)
    [child] = decoder_processes()
    os.kill(child, signal.SIGSTOP)
    with pytest.raises(InvalidMedia, match="stalled"):
        await rest(decoding)
    await decoding.aclose()
    assert not alive(child)


@pytest.mark.parametrize("start_seconds", [0.1])
async def test_a_process_that_hangs_before_the_first_sound_is_killed(warm, minute):
    [spare] = decoder_processes()
    os.kill(spare, signal.SIGSTOP)
    with pytest.raises(InvalidMedia, match="too long"):
        await warm.open(minute, LINE)
    assert not alive(spare)


async def test_who_gives_up_opening_leaves_no_process(warm, minute):
    [spare] = decoder_processes()
    os.kill(spare, signal.SIGSTOP)
    opening = asyncio.create_task(warm.open(minute, LINE))
    await asyncio.sleep(0.01)
    opening.cancel()
    await asyncio.wait([opening])
    assert opening.cancelled()
    assert not alive(spare)


@pytest.fixture
async def one_decoder():
    made = Decoders(replace(QUOTA, total=1))
    yield made
    await made.aclose()


async def test_a_lines_share_is_its_own(minute):
    decoders = Decoders(replace(QUOTA, per_line=1))
    first = await decoders.open(minute, LINE)
    with pytest.raises(LimitExceeded, match=r"limits\.decoders_per_line"):
        await decoders.open(minute, LINE)
    other = await decoders.open(minute, OTHER)
    for decoding in (first, other):
        await decoding.aclose()
    await decoders.aclose()


async def test_what_was_heard_already_is_skipped(decoders, tmp_path):
    path = _file(tmp_path / "a.wav", wav_file(SECOND + b"\2\0" * 100))
    decoding = await decoders.open(path, LINE, skip=len(SECOND) + 20)
    assert decoding.duration == pytest.approx(1.006, abs=0.001)
    assert await decoding.read(640) == b"\2\0" * 90


async def test_more_files_than_are_allowed_are_not_opened(one_decoder, minute):
    decoders = one_decoder
    first = await decoders.open(minute, LINE)
    with pytest.raises(LimitExceeded):
        await decoders.open(minute, LINE)
    await first.aclose()
    second = await decoders.open(minute, LINE)
    await second.aclose()


async def test_files_that_are_being_opened_count_too(one_decoder, minute):
    decoders = one_decoder
    both = await asyncio.gather(
        decoders.open(minute, LINE), decoders.open(minute, LINE), return_exceptions=True
    )
    assert [type(one) for one in both][1] is LimitExceeded


async def test_a_machine_that_can_start_no_process_is_busy_and_tried_again(
    decoders, minute, monkeypatch
):
    async def refuse(*_, **__):
        raise BlockingIOError("no more processes")

    with monkeypatch.context() as full:
        full.setattr(asyncio, "create_subprocess_exec", refuse)
        task = asyncio.create_task(decoders.keep_warm(after=0.0))
        with pytest.raises(LimitExceeded, match="started"):
            await decoders.open(minute, LINE)
    decoding = await decoders.open(minute, LINE)
    await until(lambda: decoders.warm)
    await decoding.aclose()
    task.cancel()
    await asyncio.wait([task])


async def test_what_is_still_decoded_at_the_end_is_killed(minute):
    decoders = Decoders(QUOTA)
    await decoders.open(minute, LINE)
    [child] = decoder_processes()
    await decoders.aclose()
    assert not alive(child)


@pytest.mark.parametrize(
    "line",
    [b"", b"no json\n", b"[]\n", b"{}\n", b'{"duration": "x"}\n', b"x" * 200_000],
    ids=["nothing", "no json", "a list", "no duration", "no number", "no end"],
)
async def test_a_process_that_answers_nonsense_is_believed_nothing(
    decoders, minute, monkeypatch, tmp_path, line
):
    """A hostile file may have made it its own."""
    script = f"import sys; sys.stdin.readline(); sys.stdout.buffer.write({line!r})"
    monkeypatch.setattr(decode, "__file__", _file(tmp_path / "x.py", script.encode()))
    with pytest.raises(InvalidMedia):
        await decoders.open(minute, LINE)


async def test_a_duration_without_end_is_none(decoders, minute, monkeypatch, tmp_path):
    script = b"""import sys; sys.stdin.readline(); print('{"duration": Infinity}')"""
    monkeypatch.setattr(decode, "__file__", _file(tmp_path / "x.py", script))
    decoding = await decoders.open(minute, LINE)
    assert decoding.duration is None
    await decoding.aclose()


async def test_the_process_is_given_none_of_our_secrets(warm):
    [spare] = decoder_processes()
    assert environment(spare) == b""


async def rest(decoding: Decoding) -> None:
    while await decoding.read(640):
        pass


def environment(pid: int) -> bytes:
    return Path(f"/proc/{pid}/environ").read_bytes()
