"""How late speech is that went through Pipecat and back: caller, bridge, examples/pipecat/echo.py, bridge, caller.

Started by the bench with a plan (JSON) on standard input, while the bridge and the example run; writes what was
measured to standard output (JSON). Callers say coded bursts; a delay is from sending the packet with which a burst
begins to receiving the packet in which it is heard.
"""

import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

import aiohttp
import uvloop

from tests.bench import measure
from tests.bench.generators.callers import KEY
from tests.bench.generators.signal import Loop, make_loop
from tests.support.peers.light_peer import Arrival, Departure, LightPeer
from tests.support.peers.signalling import HttpExchange

_SETTLE_SECONDS = 2.0
_AFTERWARDS = 0.9
_STAGGER = 0.37
"""Between two callers' bursts, so that Pipecat is not given all of them at the same moment."""
_FRAME_SECONDS = 0.02
_HEADERS = {"token": KEY}


@dataclass(slots=True, kw_only=True)
class PipecatEcho:
    """What was measured."""

    calls: int = 0
    delays: list[float] = field(default_factory=list)
    onsets_sent: int = 0


async def run(url: str, *, stream_url: str, calls: int, seconds: float) -> PipecatEcho:
    """Let so many callers talk with the echo at once, for so long."""
    result = PipecatEcho(calls=calls)
    loop = make_loop()
    async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as group:
        for number in range(calls):
            group.create_task(_talk(session, url, stream_url, number, loop, seconds, result))
    return result


async def _talk(
    session: aiohttp.ClientSession,
    url: str,
    stream_url: str,
    number: int,
    loop: Loop,
    seconds: float,
    result: PipecatEcho,
) -> None:
    call_id = (await _post(session, url, "/call/dial", {"channel": "webrtc"}))["callId"]
    async with LightPeer(ssrc=number + 1) as peer:
        await peer.call(HttpExchange(session.post, url, call_id=call_id, key=KEY, party="far"))
        await asyncio.sleep(0.2)
        body = {"streamUrl": stream_url, "streamProtocol": "twilio"}
        await _post(session, url, f"/call/{call_id}/streams", body)
        await asyncio.sleep(number * _STAGGER)
        count = round((_SETTLE_SECONDS + seconds) / _FRAME_SECONDS)
        sent = await peer.speak(loop.payload(frame) for frame in range(count))
        await asyncio.sleep(_AFTERWARDS)
        await _post(session, url, "/call/hangup", {"callId": call_id})
    after = sent[0].time + _SETTLE_SECONDS
    begun = [one for frame, one in enumerate(sent) if loop.is_onset(frame) and one.time >= after]
    result.onsets_sent += len(begun)
    result.delays += delays(begun, peer.arrivals)


def delays(begun: Sequence[Departure], arrivals: Sequence[Arrival]) -> list[float]:
    """Find the bursts that were heard; return how late each was."""
    heard = measure.heard_onsets(arrivals) if arrivals else []
    return [delay for _, delay in measure.match(begun, heard)]


async def _post(
    session: aiohttp.ClientSession, url: str, path: str, body: dict[str, str]
) -> dict[str, str]:
    async with session.post(url + path, json=body, headers=_HEADERS) as reply:
        if reply.status != 200:
            raise ConnectionError(f"{path}: {reply.status} {await reply.text()}")
        data: dict[str, str] = (await reply.json())["data"]
        return data


def main() -> None:
    """Do what standard input says."""
    plan = json.load(sys.stdin)
    url = plan.pop("url")
    json.dump(asdict(uvloop.run(run(url, **plan))), sys.stdout)


if __name__ == "__main__":
    main()
