"""Which keys open which line: those of the settings, and what was changed since."""

import pytest

from bridge.call.model import LineName
from bridge.errors import Forbidden, InvalidState, NotFound
from bridge.node.line_book import MAX_KEYS, LineBook, digest_of
from tests.support.databases import open_database

SALES = LineName("sales")


class Clock:
    """Seconds since 1970, as the test has them."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def database(engine):
    kept = open_database(engine)
    yield kept
    await kept.aclose()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
async def book(database, clock):
    return LineBook(database, {SALES: ["set"]}, {SALES: ["+15550109000"]}, now=clock)


async def test_a_key_opens_its_line(book):
    _, key = await book.create("acme", [])
    assert book.line_of(key.encode()) == "acme"
    assert book.line_of(b"set") == SALES
    assert book.line_of(b"other") is None


async def test_older_keys_expire_after_the_overlap_and_not_before(book, clock):
    _, first = await book.create("acme", [])
    _, second = await book.add_key("acme", others_end_in=10.0)
    clock.now += 9.9
    assert book.line_of(first.encode()) == "acme"
    clock.now += 0.1
    assert book.line_of(first.encode()) is None
    assert book.line_of(second.encode()) == "acme"
    assert len(book.find("acme").keys) == 1


async def test_a_further_rotation_never_lets_a_key_live_longer(book, clock):
    _, first = await book.create("acme", [])
    await book.add_key("acme", others_end_in=10.0)
    await book.add_key("acme", others_end_in=100.0)
    await book.add_key("sales", others_end_in=10.0)
    await book.add_key("sales", others_end_in=100.0)
    clock.now += 10.0
    assert book.line_of(first.encode()) is None
    assert book.line_of(b"set") is None


async def test_a_key_of_the_settings_is_removed_for_good(book, database, clock):
    await book.remove_key("sales", digest_of(b"set")[:16])
    assert book.line_of(b"set") is None
    await book.add_key("sales", others_end_in=100.0)
    assert book.line_of(b"set") is None
    again = LineBook(database, {SALES: ["set"]}, {}, now=clock)
    await again.reload()
    assert again.line_of(b"set") is None


async def test_a_line_has_so_many_keys_and_no_more(book):
    await book.create("acme", [])
    for _ in range(MAX_KEYS - 1):
        await book.add_key("acme", others_end_in=None)
    with pytest.raises(InvalidState):
        await book.add_key("acme", others_end_in=None)


async def test_a_node_reads_the_changes_of_another(book, database, clock):
    other = LineBook(database, {SALES: ["set"]}, {}, now=clock)
    changes = []
    other.follow_changes(lambda known, line: changes.append((line, known and known.paused)))
    _, key = await book.create("acme", [])
    await book.pause("acme", paused=True)
    await other.reload()
    assert other.line_of(key.encode()) == "acme"
    with pytest.raises(Forbidden):
        other.check_open(LineName("acme"))
    await book.remove("acme")
    await other.reload()
    assert other.line_of(key.encode()) is None
    assert changes == [("acme", True), ("acme", None)]


async def test_a_line_that_is_not_there_is_not_found(book):
    for ask in (
        book.add_key("none", others_end_in=None),
        book.remove_key("none", "0"),
        book.pause("none", paused=True),
        book.remove("none"),
        book.remove_key("sales", "none"),
    ):
        with pytest.raises(NotFound):
            await ask
