"""How soon a file is heard after it was asked for, and what an hour of it holds.

Started by the bench with a plan (JSON) on standard input; writes what was measured to standard
output (JSON). One call with a quiet near party; the far party hears what is played.
"""

import asyncio
import json
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import uvloop

from tests.bench import measure
from tests.bench.generators.callers import KEY, Bridge
from tests.bench.generators.made_sounds import tone, wav, write_long_mp3
from tests.bench.generators.signal import make_loop
from tests.bench.generators.talker import Talker
from tests.support.peers.light_peer import Departure, LightPeer

HOUR_SECONDS = 3600
HOUR_NAME = "hour.mp3"
_HOUR_STARTS = 5
_PLAYED_SECONDS = 0.45
_QUIET_SECONDS = 0.55
_HELD_AFTER_SECONDS = 3.0
_HEADERS = {"token": KEY}


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """What was measured of playing."""

    starts: list[float]
    """From posting the request to having the packet in which an asset is heard; seconds."""
    replies: list[float]
    """From posting the same requests to having the replies."""
    asked: int
    """How often the asset was asked for."""
    hour_starts: list[float]
    """As `starts`, of an MP3 file of an hour."""
    hour_replies: list[float]
    hour_asked: int
    hour_lead: float
    """How much silence an MP3 encoder put at the file's beginning."""
    hour_bytes: int
    """What the server's processes hold more while the hour is played."""


class _Player:
    """Plays into one call, and notes when."""

    def __init__(self, session: aiohttp.ClientSession, url: str, call_id: str) -> None:
        self._session = session
        self._url = url
        self._call_id = call_id
        self.asked: list[Departure] = []
        self.replies: list[float] = []

    async def play(self, what: Mapping[str, str]) -> None:
        """Ask for a sound, let it be heard for a while, and stop it."""
        begun = time.monotonic()
        self.asked.append(Departure(begun, -1, -1))
        await self.post("/call/play", what)
        self.replies.append(time.monotonic() - begun)
        await asyncio.sleep(_PLAYED_SECONDS)
        await self.post("/call/play/stop", {})

    async def post(self, path: str, body: Mapping[str, str]) -> None:
        """Post a request of this call."""
        whole = {"callId": self._call_id, **body}
        async with self._session.post(self._url + path, json=whole, headers=_HEADERS) as reply:
            if reply.status != 200:
                raise ConnectionError(f"{path}: {reply.status} {await reply.text()}")


async def run(url: str, pid: int, *, root: str, starts: int, seed: int = 1) -> Played:
    """Play an asset so often, then the hour; `root` is the bridge's media folder."""
    lead = write_long_mp3(Path(root) / HOUR_NAME, seconds=HOUR_SECONDS)
    chance = np.random.default_rng(seed)
    async with aiohttp.ClientSession() as session:
        asset = await _upload(session, url)
        call = await Bridge(session, url, kind="pair").call()
        async with LightPeer(ssrc=1) as near, LightPeer(ssrc=2) as far:
            await near.call(call.seats[0])
            await far.call(call.seats[1])
            talkers = [Talker(n, peer, make_loop(quiet=True)) for n, peer in enumerate((near, far))]
            for talker in talkers:
                talker.start()
            call_id = call.call_id
            await asyncio.sleep(1.0)
            players = []
            for what, count in (
                ({"assetId": asset}, starts),
                ({"AudioFile": HOUR_NAME}, _HOUR_STARTS),
            ):
                player = _Player(session, url, call_id)
                players.append(player)
                for _ in range(count):
                    await player.play(what)
                    await asyncio.sleep(_QUIET_SECONDS + chance.uniform(0, 0.1))
            heard = measure.heard_onsets(far.arrivals)
            held = await _held(_Player(session, url, call_id), pid)
            for talker in talkers:
                talker.stop()
            await call.end()
    short, hour = ([d for _, d in measure.match(one.asked, heard)] for one in players)
    return Played(
        starts=short,
        replies=players[0].replies,
        asked=len(players[0].asked),
        hour_starts=hour,
        hour_replies=players[1].replies,
        hour_asked=len(players[1].asked),
        hour_lead=lead,
        hour_bytes=held,
    )


async def _held(player: _Player, pid: int) -> int:
    """Tell what all processes that there are hold more once the hour plays.

    Among them is the one that waits for the next file; another then waits in its place, as before.
    """
    await asyncio.sleep(1.0)
    before = {one: own_bytes(one) for one in measure.family(pid)}
    await player.post("/call/play", {"AudioFile": HOUR_NAME})
    await asyncio.sleep(_HELD_AFTER_SECONDS)
    extra = sum(own_bytes(one) - held for one, held in before.items())
    await player.post("/call/play/stop", {})
    return extra


def own_bytes(pid: int) -> int:
    """Read the memory that a process shares with no other; 0 when it has ended."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    private = [line.split() for line in lines if line.startswith("Private_")]
    return 1024 * sum(int(words[1]) for words in private)


async def _upload(session: aiohttp.ClientSession, url: str) -> str:
    form = aiohttp.FormData()
    form.add_field("audio", wav(tone(seconds=2.0)), filename="tone.wav", content_type="audio/wav")
    async with session.post(
        f"{url}/api/v1/call-audio-assets", data=form, headers=_HEADERS
    ) as reply:
        tree: dict[str, Any] = await reply.json()
        if reply.status not in (200, 201):
            raise ConnectionError(f"{reply.status} {tree}")
    found: str = tree["data"]["id"]
    return found


def main() -> None:
    """Do what standard input says."""
    plan = json.load(sys.stdin)
    url, pid = plan.pop("url"), plan.pop("pid")
    json.dump(asdict(uvloop.run(run(url, pid, **plan))), sys.stdout)


if __name__ == "__main__":
    main()
