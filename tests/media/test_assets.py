"""Kept sounds: rows and files that come and go together, each line's its own."""

import asyncio

import pytest
from typing_extensions import override

from bridge.call.model import LineName
from bridge.call.quota import Quota
from bridge.errors import (
    InvalidRequest,
    LimitExceeded,
    NotFound,
    PayloadTooLarge,
    StoreFailed,
)
from bridge.http.object_store import Bucket
from bridge.media import assets as module
from bridge.media.asset_cache import AssetCache
from bridge.media.assets import AssetQuota, Assets
from bridge.media.decoding.decoders import Decoders, InvalidMedia
from bridge.media.machine_files import MachineFiles
from bridge.media.sounds import MAX_BYTES
from bridge.stores.recording_files import Files
from bridge.stores.share import only
from tests.support.databases import open_database
from tests.support.sound.wav import wav_file
from tests.support.waiting import until, until_answer

SALES, SUPPORT = LineName("sales"), LineName("support")
SOUND = wav_file(bytes(32_000))


class Breaking(Exception):
    """The client went away."""


async def pieces(content, size=1000, *, breaks=False):
    for place in range(0, len(content), size):
        yield content[place : place + size]
    if breaks:
        raise Breaking


class House:
    """The assets of a data folder, opened as often as a test wants."""

    def __init__(self, folder, engine):
        self.folder = folder
        self.database = open_database(engine)
        self.decoders = Decoders(Quota("decoders", "limits.decoders", 64), start_seconds=60.0)
        self.assets = self.limited()

    def limited(self, count=9, octets=1_000_000):
        """Open the same assets with other limits."""
        quota = AssetQuota(count, octets)
        return Assets(self.database, self.folder / "assets", self.decoders, quota)

    async def keep(self, line=SALES, content=SOUND, **more):
        told = {"filename": "a.wav", "content_type": "audio/wav"} | more
        return await self.assets.add(line, pieces(content), **told)

    def files(self):
        return [path.name for path in (self.folder / "assets").iterdir()]

    async def aclose(self):
        await self.decoders.aclose()
        await self.database.aclose()


@pytest.fixture
async def house(tmp_path, engine):
    made = House(tmp_path, engine)
    yield made
    await made.aclose()


async def test_a_sound_is_kept_with_what_is_known_of_it(house):
    asset = await house.keep(filename="welcome.wav", content_type="audio/x-wav")
    assert (asset.filename, asset.content_type) == ("welcome.wav", "audio/x-wav")
    assert (asset.size_bytes, asset.duration) == (len(SOUND), 1.0)
    assert await house.assets.list(SALES) == [asset]
    sound = await house.assets.find(SALES, asset.asset_id)
    assert sound.path.read_bytes() == SOUND
    sound.release()
    assert house.files() == [asset.asset_id]


async def test_a_line_sees_only_its_own(house):
    asset = await house.keep()
    assert await house.assets.list(SUPPORT) == []
    with pytest.raises(NotFound):
        await house.assets.find(SUPPORT, asset.asset_id)
    with pytest.raises(NotFound):
        await house.assets.delete(SUPPORT, asset.asset_id)
    assert house.files() == [asset.asset_id]


async def test_a_deleted_sound_is_gone_for_good(house):
    asset = await house.keep()
    await house.assets.delete(SALES, asset.asset_id)
    with pytest.raises(NotFound):
        await house.assets.find(SALES, asset.asset_id)
    with pytest.raises(NotFound):
        await house.assets.delete(SALES, asset.asset_id)
    assert await house.assets.list(SALES) == []
    assert house.files() == []


async def test_what_plays_a_deleted_sound_plays_on(house):
    asset = await house.keep(content=wav_file(bytes(32_000 * 20)))
    sound = await house.assets.find(SALES, asset.asset_id)
    decoding = await house.decoders.open(sound.path, SALES)
    await house.assets.delete(SALES, asset.asset_id)
    assert len(await decoding.read(32_000 * 20)) == 32_000 * 20
    await decoding.aclose()


@pytest.mark.parametrize(
    "asset_id", ["", "../bridge.db", "asset_", "asset_' OR 1=1 --", "\0", "x" * 10_000]
)
async def test_an_id_that_is_none_finds_nothing(house, asset_id):
    await house.keep()
    with pytest.raises(NotFound):
        await house.assets.find(SALES, asset_id)


@pytest.mark.parametrize("content", [b"no sound", b"#EXTM3U\n", SOUND[:44]])
async def test_what_is_no_sound_is_not_kept(house, content):
    with pytest.raises(InvalidMedia):
        await house.keep(content=content)
    assert (await house.assets.list(SALES), house.files()) == ([], [])


async def test_an_empty_file_is_not_kept(house):
    with pytest.raises(InvalidRequest, match="empty"):
        await house.keep(content=b"")
    assert house.files() == []


async def test_a_file_over_32_mb_is_not_kept(house):
    with pytest.raises(PayloadTooLarge):
        await house.keep(content=SOUND + bytes(MAX_BYTES))
    assert house.files() == []


async def test_an_upload_that_breaks_off_leaves_nothing(house):
    with pytest.raises(Breaking):
        await house.assets.add(
            SALES, pieces(SOUND, breaks=True), filename="a", content_type="audio/wav"
        )
    assert (await house.assets.list(SALES), house.files()) == ([], [])


async def test_the_name_that_a_client_gives_is_no_path(house):
    asset = await house.keep(filename="../../etc/cron.d/x")
    assert house.files() == [asset.asset_id]


async def test_kept_sounds_are_there_after_a_restart(house, tmp_path, engine):
    asset = await house.keep()
    await house.database.aclose()
    again = House(tmp_path, engine)
    assert await again.assets.list(SALES) == [asset]
    await again.aclose()


async def test_a_line_keeps_no_more_assets_than_it_may(house):
    assets = house.limited(count=2)
    first, _ = [await house.keep() for _ in range(2)]
    with pytest.raises(LimitExceeded, match=r"limits\.assets_per_line"):
        await assets.add(SALES, pieces(SOUND), filename="c.wav", content_type="audio/wav")
    await assets.add(LineName("other"), pieces(SOUND), filename="c.wav", content_type="audio/wav")
    await assets.delete(SALES, first.asset_id)
    await assets.add(SALES, pieces(SOUND), filename="c.wav", content_type="audio/wav")
    assert len(house.files()) == 3


async def test_a_lines_assets_take_no_more_room_than_they_may(house):
    assets = house.limited(octets=2 * len(SOUND) - 1)
    await house.keep()
    with pytest.raises(LimitExceeded, match=r"limits\.assets_mb_per_line"):
        await assets.add(SALES, pieces(SOUND), filename="b.wav", content_type="audio/wav")
    assert len(house.files()) == 1


async def test_uploads_at_the_same_time_do_not_get_round_the_limit(house):
    assets = house.limited(count=1)
    uploads = (
        assets.add(SALES, pieces(SOUND), filename="a.wav", content_type="audio/wav")
        for _ in range(3)
    )
    kept = await asyncio.gather(*uploads, return_exceptions=True)
    assert [type(one) for one in kept].count(LimitExceeded) == 2
    assert len(house.files()) == 1


class Shelf(Bucket):
    """A store in memory."""

    def __init__(self):
        self.objects: dict[str, bytes] = {}
        self.fails = True

    @override
    async def put(self, key, path, content_type):
        if self.fails:
            raise StoreFailed("down", reason="unreachable")
        self.objects[key] = path.read_bytes()

    @override
    async def read(self, key, start, end):
        yield self.objects[key][start:end]


async def test_a_sound_is_copied_to_the_store_and_had_from_there_when_the_file_is_lost(
    house, tmp_path, monkeypatch
):
    monkeypatch.setattr(module, "UPLOAD_SECONDS", 0.01)
    shelf, nowhere = Shelf(), MachineFiles(only("here"))
    cache = AssetCache(tmp_path / "copies", nowhere, store=shelf)
    quota = AssetQuota(9, 1_000_000)
    house.assets = Assets(
        house.database,
        house.folder / "assets",
        house.decoders,
        quota,
        cache=cache,
        share=only("here"),
    )
    running = asyncio.get_running_loop().create_task(house.assets.run())
    try:
        asset = await house.keep()
        await asyncio.sleep(0.05)
        shelf.fails = False
        key = f"recordings/assets/{asset.asset_id}"
        await until(lambda: key in shelf.objects)
        (house.folder / "assets" / asset.asset_id).unlink()

        async def found():
            return (await house.assets.find(SALES, asset.asset_id)).path.is_file()

        await until_answer(found)
        await house.assets.delete(SALES, asset.asset_id)
        assert await Files(house.database, only("here")).next_deletion() == key
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
