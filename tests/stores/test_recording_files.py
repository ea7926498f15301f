"""What is yet to be done with files of recordings, in which order, and by which node."""

import pytest

from bridge.audio.file.formats import OGG, WAV
from bridge.stores import recording_files as files
from bridge.stores.recording_files import File, FileLocation, Files
from bridge.stores.share import Share
from tests.support.databases import open_database


@pytest.fixture
async def database(engine):
    database = open_database(engine)
    yield database
    await database.aclose()


@pytest.fixture
def kept(database):
    return Files(database, share(0))


def share(node, machine="here", living=(0, 1)):
    return Share(machine, node, lambda: [(one, machine) for one in living])


def file(
    identity,
    *,
    kind=WAV,
    place=FileLocation.LOCAL,
    since="2026-01-01",
    node="00",
    size=100,
    at="here",
):
    return File(identity, kind, f"recordings/{identity}.{kind}", size, place, since, node, at)


async def add(database, *given):
    await database.run(lambda db: files.add(db, list(given)))


async def test_the_file_that_has_waited_longest_is_next(database, kept):
    await add(database, file("b", since="2026-01-02"), file("a"), file("c", since="2026-01-03"))
    assert await kept.next(FileLocation.LOCAL) == file("a")


async def test_a_file_that_was_tried_in_vain_lets_the_others_go_first(database, kept):
    await add(database, file("a"), file("b", since="2026-01-02"))
    await kept.failed(file("a"))
    assert await kept.next(FileLocation.LOCAL) == file("b", since="2026-01-02")
    await kept.move(file("b"), FileLocation.STORE, 100)
    assert await kept.next(FileLocation.LOCAL) == file("a")


async def test_a_wav_waits_until_its_copy_is_made(database, kept):
    copy = file("a", kind=OGG, place=FileLocation.WANTED, size=0)
    await add(database, file("a"), copy)
    assert await kept.next(FileLocation.LOCAL) is None
    assert await kept.next(FileLocation.WANTED) == copy
    await kept.move(copy, FileLocation.LOST, 0)
    assert await kept.next(FileLocation.LOCAL) == file("a")


async def test_a_process_works_on_its_own_calls_and_the_first_on_those_of_no_process(
    database, kept
):
    second = Files(database, share(1))
    await add(database, file("a", node="01"), file("b", node="07", since="2026-01-02"))
    assert await second.next(FileLocation.LOCAL) == file("a", node="01")
    assert await kept.next(FileLocation.LOCAL) == file("b", node="07", since="2026-01-02")


async def test_files_of_another_machine_are_left_to_it(database, kept):
    await add(database, file("a", at="elsewhere"), file("b", node="07", at="elsewhere"))
    assert await kept.next(FileLocation.LOCAL) is None
    elsewhere = Files(database, Share("elsewhere", 5, lambda: [(0, "here"), (5, "elsewhere")]))
    found = await elsewhere.next(FileLocation.LOCAL)
    assert found is not None
    assert found.recording_id == "a"


async def test_files_that_cannot_be_had_are_not_listed(database, kept):
    await add(
        database,
        file("a"),
        file("a", kind=OGG, place=FileLocation.WANTED, size=0),
        file("b", place=FileLocation.LOST),
        file("c", place=FileLocation.KEPT),
    )
    assert await kept.of("a") == [file("a")]
    assert await kept.of("b") == []
    assert await kept.of("c") == [file("c", place=FileLocation.KEPT)]


async def test_what_comes_into_the_store_after_its_deletion_is_deleted_there(database, kept):
    await add(database, file("a"))
    await database.run(lambda db: files.remove(db, "a", stored=False))
    assert not await kept.move(file("a"), FileLocation.STORE, 100)
    assert await kept.next_deletion() == "recordings/a.wav"


async def test_a_deletion_is_tried_until_it_is_done(database, kept):
    await database.run(lambda db: files.queue_deletions(db, ["a", "b"]))
    first = await kept.next_deletion()
    await kept.deleted(first, done=False)
    assert await kept.next_deletion() != first
    for key in ("a", "b"):
        await kept.deleted(key, done=True)
    assert await kept.next_deletion() is None


async def test_what_is_dropped_is_deleted_in_the_store_if_it_may_be_there(database, kept):
    await add(
        database,
        file("a", place=FileLocation.STORE),
        file("a", kind=OGG),
        file("b", place=FileLocation.KEPT),
    )
    dropped = [
        await database.run(lambda db, name=name: files.remove(db, name, stored=True))
        for name in ("a", "b")
    ]
    assert [sorted(places) for places in dropped] == [
        [("here", "recordings/a.ogg"), ("here", "recordings/a.wav")],
        [("here", "recordings/b.wav")],
    ]
    waiting = set()
    while key := await kept.next_deletion():
        waiting.add(key)
        await kept.deleted(key, done=True)
    assert waiting == {"recordings/a.ogg", "recordings/a.wav"}


async def test_the_backlog_counts_what_waits_on_this_node(database, kept):
    await add(database, file("a", since="2026-01-02"), file("b"), file("c", node="01"))
    await add(database, file("d", place=FileLocation.STORE))
    await database.run(lambda db: files.queue_deletions(db, ["x"]))
    backlog = await kept.backlog()
    assert (backlog.files, backlog.size_bytes, backlog.deletions) == (2, 200, 1)
    assert backlog.oldest == "2026-01-01"
