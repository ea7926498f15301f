"""What a window of the load tells: onsets and packets at the legs, and what a bridge says of itself."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TypeAlias

import aiohttp

from tests.bench import measure, scrape
from tests.bench.generators.bulk_legs import BulkLeg
from tests.bench.generators.talker import Talker
from tests.bench.measure import Window

Leg: TypeAlias = Talker | BulkLeg

DECODED_LEGS = 24
"""Delays of onsets are looked for on so many legs; packets are counted on all."""
_PROMETHEUS = scrape.KEY | {
    "Accept": "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.3",
    "Accept-Encoding": "gzip",
}


async def read_metrics(session: aiohttp.ClientSession, url: str) -> str:
    """Ask a bridge for its metrics."""
    async with session.get(f"{url}/metrics", headers=scrape.KEY) as response:
        return await response.text()


@asynccontextmanager
async def scraping(url: str, period: float) -> AsyncIterator[list[tuple[float, float]]]:
    """Scrape every `period` seconds meanwhile, as a Prometheus does; 0: never.

    The list gets when each scrape began and ended.
    """
    found: list[tuple[float, float]] = []
    if not period:
        yield found
        return
    async with aiohttp.ClientSession(auto_decompress=False, headers=_PROMETHEUS) as session:
        task = asyncio.create_task(_scrape_again(session, url, period, found))
        try:
            yield found
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def _scrape_again(
    session: aiohttp.ClientSession, url: str, period: float, found: list[tuple[float, float]]
) -> None:
    await asyncio.sleep(period / 2)
    while True:
        begun = time.monotonic()
        async with session.get(f"{url}/metrics") as response:
            await response.read()
        found.append((begun, time.monotonic()))
        await asyncio.sleep(begun + period - time.monotonic())


def listen(window: Window, legs: Sequence[Leg], begin: float, end: float) -> None:
    """Find the onsets that were sent where they were heard."""
    pairs: list[tuple[float, float]] = []
    for leg in [one for one in legs if one.hears is not None][:DECODED_LEGS]:
        assert leg.hears is not None
        sent = [one for one in leg.hears.onsets if begin <= one.time < end]
        heard = measure.heard_onsets(leg.peer.arrivals)
        pairs += measure.match(sent, heard)
        window.onsets_sent += len(sent)
        window.offsets += [onset.offset for onset in heard]
    window.delays = [delay for _, delay in pairs]
    window.growth = measure.growth(pairs, begin, end)


def rates(legs: Sequence[Leg], begin: float, end: float) -> list[float]:
    """Count the packets a second that came to each leg."""
    return [
        measure.rate(one.came() if isinstance(one, BulkLeg) else one.peer.arrivals, begin, end)
        for one in legs
    ]


def follow(
    window: Window,
    legs: Sequence[Leg],
    begin: float,
    end: float,
    scrapes: Sequence[tuple[float, float]],
) -> None:
    """Take the delays of all packets of many legs, and of those sent during scrapes."""
    delays = _followed(legs, begin, end)
    window.scrapes = [finished - begun for begun, finished in scrapes]
    if not delays:
        return
    window.transit = measure.summed([delay for _, delay in delays])
    if scrapes:
        window.at_scrapes = measure.summed(
            [
                delay
                for moment, delay in delays
                if any(begun <= moment < finished for begun, finished in scrapes)
            ]
        )


def transit(legs: Sequence[Leg], begin: float, end: float) -> list[float]:
    """Return how long each packet of many legs took, in seconds; infinite when it never came."""
    return [delay for _, delay in _followed(legs, begin, end)]


def _followed(legs: Sequence[Leg], begin: float, end: float) -> list[tuple[float, float]]:
    return [
        one
        for leg in legs
        if isinstance(leg, BulkLeg) and isinstance(leg.hears, BulkLeg)
        for one in leg.delays(leg.hears)
        if begin <= one[0] < end
    ]


def read(window: Window, before: str, after: str) -> None:
    """Take from two scrapes what happened between them."""
    if not after:
        return
    old, new = scrape.parse(before), scrape.parse(after)

    def grown(name: str, **labels: str) -> float:
        return scrape.total(new, name, **labels) - scrape.total(old, name, **labels)

    lag = scrape.growth(scrape.buckets(old, scrape.LAG), scrape.buckets(new, scrape.LAG))
    window.lag = sorted(lag.items())
    window.encoder_levels = sorted(
        scrape.values(old, scrape.ENCODER_LEVEL) | scrape.values(new, scrape.ENCODER_LEVEL)
    )
    window.packet_path = scrape.packet_path(new)
    packets = grown(scrape.PACKETS, kind="webrtc", direction="tx")
    if packets:
        window.passthrough = grown(scrape.PASSTHROUGH, kind="webrtc") / packets
    frames = grown(scrape.FRAMES, kind="webrtc")
    if frames:
        window.concealed = grown(scrape.CONCEALED) / frames
