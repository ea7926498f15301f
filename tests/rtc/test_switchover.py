import asyncio

import pytest

from bridge.errors import InvalidState, NegotiationFailed
from bridge.rtc.switchover import Switchover


class Path:
    """A connection that comes up, fails or crashes when the test says so."""

    def __init__(self):
        self.outcome = asyncio.get_running_loop().create_future()
        self.closed = False

    async def open(self):
        await asyncio.sleep(0)

    async def connect(self):
        await self.outcome

    async def close(self):
        await asyncio.sleep(0)
        self.closed = True


class Watched:
    """A switchover, and what it reported."""

    def __init__(self):
        self.reports: list[object] = []
        self.paths = Switchover(
            stage="ice",
            connect=Path.connect,
            close=Path.close,
            on_switch=lambda new, old: self.reports.append(("switch", new, old)),
            on_failure=lambda: self.reports.append("failure"),
            on_lost=self.reports.append,
        )

    async def add(self):
        path = Path()
        await self.paths.prepare(path, path.open())
        self.paths.begin()
        return path

    async def connected(self):
        path = await self.add()
        path.outcome.set_result(None)
        await self.paths.connect()
        return path


async def synced():
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.fixture
async def watched():
    one = Watched()
    yield one
    await one.paths.aclose()


FAILED = NegotiationFailed("no", stage="ice", reason="nothing_received")


async def test_the_current_path_stays_until_the_next_one_is_up(watched):
    first = await watched.connected()
    second = await watched.add()
    await synced()
    assert watched.paths.current is first
    second.outcome.set_result(None)
    await synced()
    assert watched.paths.current is second
    assert first.closed
    assert watched.reports == [("switch", first, None), ("switch", second, first)]


async def test_a_next_path_that_fails_leaves_the_current_one(watched):
    first = await watched.connected()
    second = await watched.add()
    second.outcome.set_exception(FAILED)
    await synced()
    assert watched.paths.current is first
    assert second.closed
    assert watched.reports[1:] == ["failure"]


async def test_a_next_path_replaces_one_that_is_not_up_yet(watched):
    first = await watched.add()
    connecting = asyncio.create_task(watched.paths.connect())
    second = await watched.add()
    assert first.closed
    first.outcome.set_exception(FAILED)
    second.outcome.set_result(None)
    await connecting
    assert watched.paths.current is second


async def test_a_first_path_that_fails_fails_the_set_up(watched):
    first = await watched.add()
    first.outcome.set_exception(FAILED)
    with pytest.raises(NegotiationFailed):
        await watched.paths.connect()
    await synced()
    assert first.closed


async def test_a_lost_path_is_reported_at_once_when_nothing_replaces_it(watched):
    first = await watched.connected()
    watched.paths.lost(first, "gone")
    assert watched.reports[1:] == ["gone"]


async def test_a_lost_path_is_reported_once_its_replacement_fails(watched):
    first = await watched.connected()
    second = await watched.add()
    watched.paths.lost(first, "gone")
    assert watched.reports[1:] == []
    second.outcome.set_exception(FAILED)
    await synced()
    assert watched.reports[1:] == ["failure", "gone"]


async def test_a_lost_path_is_forgotten_once_its_replacement_is_up(watched):
    first = await watched.connected()
    second = await watched.add()
    watched.paths.lost(first, "gone")
    second.outcome.set_result(None)
    await synced()
    third = await watched.add()
    third.outcome.set_exception(FAILED)
    await synced()
    assert watched.reports[2:] == ["failure"]


async def test_the_loss_of_a_replaced_path_changes_nothing(watched):
    first = await watched.connected()
    (await watched.add()).outcome.set_result(None)
    await synced()
    watched.paths.lost(first, "gone")
    assert watched.reports[2:] == []


async def test_closing_closes_every_path_and_fails_the_set_up(watched):
    first = await watched.add()
    connecting = asyncio.create_task(watched.paths.connect())
    await synced()
    await watched.paths.aclose()
    with pytest.raises(NegotiationFailed):
        await connecting
    assert first.closed
    assert watched.reports == []


async def test_a_path_that_opens_after_the_close_is_closed(watched):
    path = Path()
    opening = asyncio.create_task(watched.paths.prepare(path, path.open()))
    await asyncio.sleep(0)
    await watched.paths.aclose()
    with pytest.raises(InvalidState):
        await opening
    assert path.closed
