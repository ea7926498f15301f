"""Files of the media folder, and what requests carry: where they may lie, and when they go."""

import asyncio
import base64
import random

import pytest

from bridge.call.model import LineName
from bridge.errors import HandoverRefused, InvalidRequest, PayloadTooLarge
from bridge.http.address_guard import Guard
from bridge.http.client import Http
from bridge.media.sounds import MAX_BYTES, Sounds
from tests.support.media_folder import shared

LINE = LineName("main")


@pytest.fixture
def root(tmp_path):
    """The media folder, with a file in it and one beside it."""
    folder = tmp_path / "files"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.wav").write_bytes(b"a")
    (folder / "sub" / "b.wav").write_bytes(b"b")
    (tmp_path / "secret.wav").write_bytes(b"secret")
    (tmp_path / "files-beside").mkdir()
    (tmp_path / "files-beside" / "c.wav").write_bytes(b"c")
    return folder


@pytest.fixture
def spool(tmp_path):
    return tmp_path / "spool"


@pytest.fixture
def sounds(root, spool):
    http = Http(Guard(allow=[], require_tls=False))
    return Sounds(folder=shared(root), spool=spool, http=http, urls=True)


async def test_a_file_of_the_folder_outlives_its_playing(sounds, root):
    (await sounds.file(LINE, "a.wav", "AudioFile")).release()
    assert (root / "a.wav").exists()


@pytest.mark.parametrize("prefix", ["", "data:audio/wav;base64,", "data:,"])
async def test_what_a_request_carries_is_kept_until_it_has_been_played(sounds, spool, prefix):
    sound = await sounds.content(prefix + base64.b64encode(b"sound").decode(), "audioBase64")
    assert sound.path.read_bytes() == b"sound"
    assert sound.path.parent == spool
    sound.release()
    sound.release()
    assert list(spool.iterdir()) == []


@pytest.mark.parametrize("encode", [base64.b64encode, base64.encodebytes])
@pytest.mark.parametrize("size", [1, 2, 3, 48 * 1024, 300_001])
@pytest.mark.parametrize("ending", ["=", "\r\n ", ""])
async def test_base64_of_any_length_is_kept_as_it_was(sounds, encode, size, ending):
    content = random.Random(size).randbytes(size)
    text = encode(content).decode()
    text = text.rstrip("=\n") if ending == "=" else text + ending
    assert (await sounds.content(text, "audioBase64")).path.read_bytes() == content


async def test_others_have_their_turn_while_a_long_text_is_decoded(sounds):
    turns = 0

    async def other():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    await sounds.content("A" * 1_000_000, "audioBase64")
    task.cancel()
    assert turns > 10


@pytest.mark.parametrize(
    "text",
    ["", "data:audio/wav;base64,", "A", "!!!!", "AAAAA", "\u00e4", "=", "AA=A", "A" * 70_000 + "!"],
    ids=lambda text: text[:30],
)
async def test_what_is_no_base64_or_nothing_is_refused_and_leaves_nothing(sounds, spool, text):
    with pytest.raises(InvalidRequest):
        await sounds.content(text, "audioBase64")
    assert list(spool.iterdir()) == []


async def test_more_than_is_allowed_is_refused_and_leaves_nothing(sounds, spool):
    with pytest.raises(PayloadTooLarge):
        await sounds.content(base64.b64encode(bytes(MAX_BYTES + 1)).decode(), "audioBase64")
    assert list(spool.iterdir()) == []


async def test_who_goes_away_meanwhile_leaves_nothing(sounds, spool):
    task = asyncio.create_task(sounds.content("A" * 1_000_000, "audioBase64"))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert list(spool.iterdir()) == []


def test_nobody_else_may_look_into_the_spool(sounds, spool):
    sound = sounds.spool(b"sound")
    assert spool.stat().st_mode & 0o077 == 0
    assert sound.path.stat().st_mode & 0o077 == 0


async def test_what_a_killed_process_left_is_gone_once_its_calls_have_taken_what_they_play(
    sounds, root, spool
):
    sounds.spool(b"left")
    played = sounds.spool(b"played").path
    http = Http(Guard(allow=[], require_tls=False))
    successor = Sounds(folder=shared(root), spool=spool, http=http, urls=True)
    taken = successor.take_over(played)
    await successor.drop_left()
    assert [one.read_bytes() for one in spool.iterdir()] == [b"played"]
    taken.release()
    assert list(spool.iterdir()) == []


def another(root, spool):
    """The sounds of another process, with a folder of its own beside that of the first."""
    http = Http(Guard(allow=[], require_tls=False))
    return Sounds(folder=shared(root), spool=spool.with_name("other"), http=http, urls=True)


def test_a_temporary_file_that_another_process_plays_outlives_its_release_here(root, spool, sounds):
    mine = sounds.spool(b"sound")
    theirs = another(root, spool).take_over(mine.path)
    mine.release()
    assert theirs.path.read_bytes() == b"sound"
    assert theirs.path.parent == spool.with_name("other")
    theirs.release()
    assert not theirs.path.exists()


def test_a_file_that_is_not_temporary_is_played_where_it_is(root, spool, sounds):
    theirs = another(root, spool).take_over(root / "sub" / "b.wav")
    assert theirs.path == root / "sub" / "b.wav"
    theirs.release()
    assert theirs.path.exists()


@pytest.mark.parametrize("name", ["spool/gone", "files/gone.wav"])
def test_a_file_that_is_gone_is_not_taken_over(tmp_path, root, spool, sounds, name):
    with pytest.raises(HandoverRefused):
        another(root, spool).take_over(tmp_path / name)
