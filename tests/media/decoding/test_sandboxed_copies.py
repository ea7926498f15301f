"""Ogg/Opus copies: as long as their source, and there in full or not at all."""

import asyncio

import av
import numpy as np
import pytest

from bridge.audio.file.wav import make_header
from bridge.media.decoding.sandboxed import encode_copy


def wav(folder, samples):
    path = folder / "a.wav"
    pcm = np.asarray(samples, np.int16).tobytes()
    path.write_bytes(make_header(len(pcm)) + pcm)
    return path


def hum(count):
    """A tone that rises, so that a shift shows."""
    seconds = np.arange(count) / 16000
    return 8000 * np.sin(2 * np.pi * (300 + 200 * seconds) * seconds)


def decoded(path):
    """The sound at 48 kHz, as any player gives it."""
    with av.open(str(path)) as ogg:
        assert ogg.streams.audio[0].codec_context.name == "opus"
        return np.concatenate([frame.to_ndarray()[0] for frame in ogg.decode(audio=0)])


@pytest.mark.parametrize("frames", [1, 2, 3, 50, 151])
async def test_a_copy_is_as_long_as_its_source_to_the_sample(tmp_path, frames):
    source = wav(tmp_path, hum(frames * 320))
    size = await encode_copy(source, tmp_path / "a.ogg")
    assert size == (tmp_path / "a.ogg").stat().st_size > 0
    assert len(decoded(tmp_path / "a.ogg")) == frames * 320 * 3


async def test_a_copy_sounds_like_its_source_at_the_same_time(tmp_path):
    sound = hum(32_000)
    await encode_copy(wav(tmp_path, sound), tmp_path / "a.ogg")
    copy = decoded(tmp_path / "a.ogg")[::3] * 32768
    best = max(
        range(-160, 161), key=lambda by: np.dot(sound[1000:30_000], copy[1000 + by :][:29_000])
    )
    assert abs(best) <= 16  # 1 ms
    shifted = copy[1000 + best :][:29_000]
    assert np.corrcoef(sound[1000:30_000], shifted)[0, 1] > 0.98


async def test_a_copy_that_was_begun_before_does_no_harm(tmp_path):
    (tmp_path / "a.ogg.part").write_bytes(b"begun by a process that was killed")
    with (tmp_path / "a.ogg.part").open("r+b") as orphan:
        assert await encode_copy(wav(tmp_path, hum(16_000)), tmp_path / "a.ogg") > 0
        orphan.write(b"and still at it" * 1000)
    assert len(decoded(tmp_path / "a.ogg")) == 48_000
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.ogg", "a.wav"]


@pytest.mark.parametrize(
    "content", [b"", b"no sound at all", make_header(0), make_header(640)[:30]]
)
async def test_what_cannot_be_copied_leaves_nothing_behind(tmp_path, content):
    (tmp_path / "a.wav").write_bytes(content)
    assert await encode_copy(tmp_path / "a.wav", tmp_path / "a.ogg") == 0
    assert [path.name for path in tmp_path.iterdir()] == ["a.wav"]


async def test_a_source_that_is_not_there_has_no_copy(tmp_path):
    assert await encode_copy(tmp_path / "a.wav", tmp_path / "a.ogg") == 0


async def test_a_copy_that_is_broken_off_leaves_nothing_behind(tmp_path):
    source = wav(tmp_path, hum(16_000 * 600))
    task = asyncio.get_running_loop().create_task(encode_copy(source, tmp_path / "a.ogg"))
    await asyncio.sleep(0.2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [path.name for path in tmp_path.iterdir()] == ["a.wav"]
