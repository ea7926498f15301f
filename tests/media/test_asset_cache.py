"""Copies of sounds of other machines."""

import hashlib
import os
from collections import Counter

import pytest

from bridge.errors import FileUnavailable, NotFound, StoreFailed
from bridge.media.asset_cache import AssetCache, KeptFile

SOUND = bytes(range(256)) * 40


def kept(content=SOUND, asset_id="asset_1", *, stored=False):
    digest = hashlib.sha256(content).hexdigest()
    return KeptFile(asset_id, "there", digest, len(content), stored)


class Place:
    """A machine, or a store, that has one file."""

    def __init__(self, content=SOUND, error=None):
        self.content = content
        self.error = error
        self.asked: list[str] = []

    async def read(self, first, *rest):
        self.asked.append("/".join(str(one) for one in (first, *rest)))
        if self.error is not None:
            raise self.error
        for start in range(0, len(self.content), 1000):
            yield self.content[start : start + 1000]


class House:
    """A cache, where its copies come from, and what was counted."""

    def __init__(self, folder, machine, store=None, max_bytes=10**6):
        self.folder = folder
        self.counts: Counter[str] = Counter()
        self.machine = machine
        self.cache = AssetCache(
            folder,
            machine,
            store=store,
            count=lambda source: self.counts.update([source]),
            max_bytes=max_bytes,
        )


async def test_a_sound_is_fetched_once(tmp_path):
    house = House(tmp_path, Place())
    for _ in range(3):
        assert (await house.cache.path(kept())).read_bytes() == SOUND
    assert house.machine.asked == ["there//assets/asset_1"]
    assert house.counts == {"machine": 1, "cached": 2}


@pytest.mark.parametrize("error", [FileUnavailable("gone"), NotFound("lost")])
async def test_the_store_has_it_when_the_machine_does_not(tmp_path, error):
    store = Place()
    house = House(tmp_path, Place(error=error), store)
    assert (await house.cache.path(kept(stored=True))).read_bytes() == SOUND
    assert store.asked == [f"recordings/assets/asset_1/0/{len(SOUND)}"]
    assert house.counts == {"store": 1}


async def test_a_sound_that_nobody_has_now_is_unavailable(tmp_path):
    house = House(tmp_path, Place(error=FileUnavailable("gone")), Place())
    with pytest.raises(FileUnavailable):
        await house.cache.path(kept(stored=False))
    store = Place(error=StoreFailed("down", reason="unreachable"))
    house = House(tmp_path, Place(error=FileUnavailable("gone")), store)
    with pytest.raises(FileUnavailable):
        await house.cache.path(kept(stored=True))
    assert house.counts == {"failed": 1}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [SOUND[:-1], bytes(len(SOUND))])
async def test_what_arrives_damaged_is_not_played(tmp_path, content):
    house = House(tmp_path, Place(content))
    with pytest.raises(FileUnavailable):
        await house.cache.path(kept())
    assert list(tmp_path.iterdir()) == []


async def test_the_copy_that_was_not_played_for_longest_makes_room(tmp_path):
    house = House(tmp_path, Place(), max_bytes=2 * len(SOUND))
    sounds = [bytes([number]) * len(SOUND) for number in range(3)]
    paths = []
    for age, content in zip((30, 20, 0), sounds, strict=True):
        house.machine.content = content
        paths.append(await house.cache.path(kept(content)))
        if age:
            os.utime(paths[-1], (age, age))
        if age == 20:
            await house.cache.path(kept(sounds[0]))  # the older one is played again
    assert [path.exists() for path in paths] == [True, False, True]


async def test_a_file_that_another_fetch_renames_meanwhile_does_not_matter(tmp_path):
    (tmp_path / "renamed").symlink_to(tmp_path / "gone")
    path = await House(tmp_path, Place()).cache.path(kept())
    assert path.read_bytes() == SOUND


async def test_the_copy_of_a_deleted_sound_is_deleted(tmp_path):
    house = House(tmp_path, Place())
    path = await house.cache.path(kept())
    house.cache.forget(kept())
    assert not path.exists()
