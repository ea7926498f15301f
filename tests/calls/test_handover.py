"""Calls of browsers pass from one bridge to another of the same machine while they talk."""

import os
from contextlib import asynccontextmanager

import numpy as np
import pytest

from bridge.app.handover import build_adoption, build_handover
from bridge.call.model import LegId
from tests.support.inprocess import Client, one_node, settings
from tests.support.peers.stock_peer import StockPeer
from tests.support.waiting import until

pytestmark = pytest.mark.call

ECHO, TALKS, HANGS_UP = (f"1555010000{n}" for n in (1, 2, 7))
TONE = (9000 * np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)).astype(np.int16)


class Pair:
    """The bridge that has a call, and the one that is to take it."""

    def __init__(self, old: Client, new: Client) -> None:
        self.old, self.new = old, new
        self.handover = build_handover(old.bridge)
        self.adoption = build_adoption(new.bridge)
        self.told: list[tuple[str, str]] = []
        for name, client in (("old", old), ("new", new)):
            client.bridge.manager.publisher.subscribe(
                lambda event, name=name: self.told.append((name, event.type.value))
            )

    async def move(self, call_id: str) -> None:
        snapshot, descriptors = self.handover.suspend(call_id)
        duplicates = [os.dup(one) for one in descriptors]
        assert self.adoption.adopt(snapshot, duplicates) == call_id
        await self.handover.abandon(call_id)

    def runner(self, call_id: str):
        found = self.new.bridge.manager.running(call_id)
        assert found is not None
        return found


@asynccontextmanager
async def pair():
    async with one_node(settings(), None) as old, one_node(settings(), None) as new:
        yield Pair(old, new)


def loudness_after(page: StockPeer, samples: int) -> float:
    return float(np.abs(page.heard()[samples:].astype(float)).max(initial=0.0))


async def heard_anew(page: StockPeer) -> None:
    """Wait until a page hears a tone that has come since now."""
    before = len(page.heard())
    await until(lambda: len(page.heard()) > before + 8000, timeout=10.0)
    assert loudness_after(page, before + 4000) > 1000


@pytest.mark.parametrize("contact", [ECHO, TALKS])
async def test_a_browser_talks_on_with_a_contact_in_the_other_process(contact):
    async with pair() as both, StockPeer(TONE, repeat=True) as page:
        call_id = await both.old.dial(contact)
        await page.call(both.old.exchange(call_id))
        await until(lambda: loudness_after(page, 0) > 1000, timeout=10.0)
        assert both.handover.movable() == [call_id]
        told = len(both.told)
        for _ in range(2):
            await both.move(call_id)
            await heard_anew(page)
            back = Pair(both.new, both.old)
            await back.move(call_id)
            await heard_anew(page)
        assert page.connection.connectionState == "connected"
        assert [what for what in both.told[told:] if what[1] != "call.problem"] == []
        assert await both.old.state(call_id) == "active"
