"""When a supervisor has a spare, and what becomes of it; without processes."""

import asyncio

import msgspec
import pytest

from bridge.cluster.memory_limit import MIN_FOR_SPARE
from bridge.settings.model import Recovery, Settings
from bridge.supervisor.orders import read_settings
from bridge.supervisor.slots import NodeSettings
from bridge.supervisor.spare import START_SECONDS, Spare
from bridge.wire.supervision import Prepare
from tests.supervisor.fake_child import FakeChildren

pytestmark = pytest.mark.virtual_time


def settings(**recovery: bool) -> NodeSettings:
    return read_settings(msgspec.json.encode(Settings(recovery=Recovery(**recovery))))


class Kept:
    """A spare, with what a test needs to know of it."""

    def __init__(self, limit: int | None = None) -> None:
        self.children = FakeChildren()
        self.spare = Spare([5], start=self.children.start, limit=lambda: limit)  # type: ignore[arg-type]
        self.changes: list[int] = []
        self.spare.on_change = lambda: self.changes.append(self.spare.ready)

    @property
    def made(self):
        return self.children.made

    async def want(self, wanted: NodeSettings, *, ready: bool = True) -> None:
        self.spare.want(wanted)
        await asyncio.sleep(0.1)
        if ready:
            self.made[-1].get_ready(memory=80)
            await asyncio.sleep(0.1)


@pytest.fixture
async def kept():
    made = Kept()
    yield made
    made.spare.close()
    await asyncio.sleep(0)
    for child in made.made:
        if not child.closed:
            child.close()


async def test_one_is_started_once_it_is_wanted_and_counts_once_it_is_ready(kept):
    wanted = settings()
    await kept.want(wanted, ready=False)
    [child] = kept.made
    assert child.heard == [Prepare(settings=wanted.text, pipe=child.pipe, keep=-1)]
    assert (kept.spare.ready, kept.spare.take(wanted)) == (0, None)
    child.get_ready(memory=80)
    await asyncio.sleep(0.1)
    assert (kept.spare.ready, kept.spare.memory, kept.changes) == (1, 80, [1])
    await kept.want(wanted, ready=False)
    assert kept.made == [child]


async def test_one_that_is_taken_is_left_alone_and_the_next_waits_until_it_is_wanted(kept):
    wanted = settings()
    await kept.want(wanted)
    child = kept.spare.take(wanted)
    await asyncio.sleep(1000)
    assert [child] == kept.made
    assert child.prepared
    assert not child.closed
    assert (kept.spare.ready, kept.changes) == (0, [1, 0])
    await kept.want(wanted)
    assert len(kept.made) == 2
    assert kept.spare.take(wanted) is kept.made[1]


async def test_other_settings_even_with_the_same_values_take_no_spare_but_replace_it(kept):
    former, wanted = settings(), settings()
    await kept.want(former)
    assert kept.spare.take(wanted) is None
    await kept.want(wanted)
    assert [child.closed for child in kept.made] == [True, False]
    assert kept.spare.take(former) is None
    assert kept.spare.take(wanted) is kept.made[1]


async def test_one_that_dies_is_replaced_and_those_that_do_not_get_ready_ever_later(kept):
    wanted = settings()
    await kept.want(wanted)
    kept.made[0].end()
    await asyncio.sleep(0.01)
    assert (kept.spare.ready, kept.spare.take(wanted)) == (0, None)
    waited = []
    for number in range(1, 5):
        since = asyncio.get_running_loop().time()
        while len(kept.made) == number:
            await asyncio.sleep(0.1)
        waited.append(round(asyncio.get_running_loop().time() - since))
        kept.made[-1].end()
    assert waited == [1, 2, 4, 8]
    assert all(child.closed for child in kept.made[:-1])


async def test_one_that_is_not_ready_in_time_is_ended(kept):
    await kept.want(settings(), ready=False)
    await asyncio.sleep(START_SECONDS + 5)
    assert kept.made[0].closed
    assert len(kept.made) > 1


async def test_where_no_process_can_be_made_it_is_tried_again(kept):
    kept.children.fail = True
    await kept.want(settings(), ready=False)
    assert kept.made == []
    kept.children.fail = False
    await asyncio.sleep(5)
    assert len(kept.made) == 1


async def test_once_it_is_closed_there_is_none_any_more(kept):
    wanted = settings()
    await kept.want(wanted)
    kept.spare.close()
    await asyncio.sleep(0.1)
    assert kept.made[0].closed
    await kept.want(wanted, ready=False)
    assert (len(kept.made), kept.spare.ready) == (1, 0)


@pytest.mark.parametrize(
    ("recovery", "limit", "why"),
    [
        ({"spare": False}, None, "recovery.spare is off"),
        ({"enabled": False}, None, "recovery.spare is off"),
        ({}, MIN_FOR_SPARE - 1, "1023 MiB of memory are allowed, and 1024 are needed for one"),
        ({}, MIN_FOR_SPARE, ""),
        ({}, None, ""),
    ],
)
async def test_there_is_none_where_it_is_switched_off_or_memory_is_short(recovery, limit, why):
    kept = Kept(limit)
    await kept.want(settings(**recovery), ready=False)
    assert (kept.spare.why_not, len(kept.made)) == (why, 0 if why else 1)
    kept.spare.close()
    await asyncio.sleep(0)
