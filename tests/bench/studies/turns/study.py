"""How exactly `turn` events tell what a caller waits: `make turns` compares them with a recording of both sides.

A scripted caller speaks, with noise, jitter and loss, and a stub bot answers after a known delay: next to the bridge, and
as a WebRTC peer far away (`rtp_caller`). The truth is found offline, in what the caller said and heard, by a detector of its own. Time is virtual: 500 turns take
some minutes.
"""

import argparse
import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import numpy as np
from typing_extensions import override

from bridge.audio.frame import FRAME_SAMPLES, FRAME_SECONDS, SAMPLE_RATE, Frame
from bridge.node.turns.meter import TurnMeter
from bridge.settings.model import Net
from tests.bench.studies.turns.rtp_caller import RtpCaller
from tests.bench.studies.turns.sound import (
    ANSWER_SECONDS,
    Sound,
    at_rate,
    beginning,
    extent,
    first_voice,
)
from tests.support.clients.caller import Caller
from tests.support.clients.stream_line import LINE, stream_line
from tests.support.inprocess import running, settings
from tests.support.peers.talker import Talker
from tests.support.published import Published
from tests.support.servers.stream_customer import customer_server
from tests.support.sound.voices import words
from tests.support.virtual_time import VirtualTimeLoop
from tests.support.waiting import until

DELAYS = (0.2, 3.0)
"""Seconds after which the bot answers, the shortest and the longest."""
SNR_DB = 20.0
LOSS = 0.02
JITTER = 0.01
LEAD_SECONDS = 2.5
"""Before the first word, so that the background is known."""
PAUSE_SECONDS = 1.6
MAX_ERROR = 0.03
FAR_SECONDS = (0.02, 0.08)
"""Delays of a caller's network, each way."""


@dataclass(frozen=True, slots=True)
class Measured:
    """A turn: its true wait, and what the event says, in seconds."""

    truth: float
    told: float

    @property
    def error(self) -> float:
        return self.told - self.truth


class RecordedCaller(Caller):
    """A caller whose sound is recorded, both ways, each sample with its time."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.chance = np.random.default_rng(seed)
        self.noise_rms = 0.0
        self.upstream = 0.0
        self.ears: list[tuple[float, bytes]] = []

    @override
    def push(self, frame: Frame, now: float) -> None:
        self.ears.append((now, frame.pcm))

    async def speak_sound(self, sound: Sound) -> float:
        """Send a sound over a network that loses and delays packets; return when its first sample was said."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        frames = len(sound) // FRAME_SAMPLES
        for number in range(frames):
            said = began + (number + 1) * FRAME_SECONDS
            jitter = self.chance.uniform(0, JITTER)
            await asyncio.sleep(max(0.0, said + jitter - loop.time()))
            part = sound[number * FRAME_SAMPLES :][:FRAME_SAMPLES]
            if self.to is not None and self.chance.random() >= LOSS:
                pcm = np.clip(part, -32768, 32767).astype("<i2").tobytes()
                self.to(Frame(pcm, self._pts, 1), loop.time())
            self._pts += FRAME_SAMPLES
        return began

    def noise(self, seconds: float) -> Sound:
        return self.chance.normal(0, self.noise_rms, round(seconds * SAMPLE_RATE))

    def heard_from(self, after: float) -> float:
        """Return when the first voice after a time was heard."""
        return first_voice(self.ears, after)


class Talk:
    """A caller's side of so many turns, and when each answer is given."""

    def __init__(self, turns: int, seed: int) -> None:
        self.turns, self.seed = turns, seed
        self._truths: list[float] = []

    async def hold(
        self, caller: RecordedCaller | RtpCaller, answer: Callable[[Sound], Awaitable[None]]
    ) -> None:
        """Let the caller ask, and be answered after a delay each time."""
        voices = [words(index).astype(float) for index in range(3)]
        caller.noise_rms = float(np.sqrt(np.mean(voices[0] ** 2))) * 10 ** (-SNR_DB / 20)
        await caller.speak_sound(caller.noise(LEAD_SECONDS))
        asked: list[float] = []
        for number in range(self.turns):
            voice = voices[number % 3]
            sound = voice + caller.noise(len(voice) / SAMPLE_RATE)
            began = await caller.speak_sound(sound)
            asked.append(began + extent(sound, caller.noise_rms)[1])
            delay = caller.chance.uniform(*DELAYS)
            later = _after(delay, answer, beginning(voices[(number + 1) % 3]))
            answering = asyncio.create_task(later)
            await caller.speak_sound(caller.noise(delay + ANSWER_SECONDS + PAUSE_SECONDS))
            await answering
        self._truths = [
            caller.heard_from(ended + DELAYS[0] / 2) - ended - caller.upstream for ended in asked
        ]

    def compare(self, published: Published) -> list[Measured]:
        """Return each turn, as it was and as it was published."""
        told = [float(str(turn["waitMs"])) / 1000 for turn in published.of("turn")]
        if len(told) != len(self._truths):
            raise AssertionError(f"{self._truths}, but the events {told}")
        return [Measured(*pair) for pair in zip(self._truths, told, strict=True)]


TalkInCall: TypeAlias = Callable[[Talk], Awaitable[Published]]


async def measure(turns: int, seed: int = 1, call: TalkInCall | None = None) -> list[Measured]:
    """Hold a talk of so many turns in one call, or several of 50."""
    found: list[Measured] = []
    while len(found) < turns:
        talk = Talk(min(50, turns - len(found)), seed + len(found))
        found += talk.compare(await (call or _near_call)(talk))
    return found


async def _near_call(talk: Talk) -> Published:
    """Talk with a stub behind a media stream, next to the bridge."""
    async with customer_server() as server, stream_line(server.url) as line:
        caller = RecordedCaller(talk.seed)
        await line.manager.receive(LINE, "15550100002", caller)
        customer = await server.customer()
        await until(lambda: customer.of("media"))
        await talk.hold(caller, lambda sound: customer.play(at_rate(sound)))
        caller.hang_up()
        await until(lambda: line.published.of("call.ended"))
        return line.published


async def far_call(talk: Talk, delay: float, *, peer: bool) -> Published:
    """Talk as a WebRTC peer whose network delays packets each way, with a stub that is a `peer` too, or behind a media stream."""
    published, net = Published(), Net(allow=["127.0.0.0/8"])
    async with (
        customer_server() as server,
        running(settings(net=net)) as client,
        RtpCaller(talk.seed, delay) as caller,
    ):
        client.bridge.manager.publisher.subscribe(published.events.append)
        call_id = (await client.data("/call/dial", {"channel": "webrtc"}))["callId"]
        exchange = client.exchange(call_id, party="far")
        await caller.call(exchange)
        await client.until_state(call_id, "active")
        async with caller.reporting(client, call_id, exchange.leg_id):
            if peer:
                async with Talker(ssrc=2) as bot, asyncio.TaskGroup() as group:
                    await bot.call(client.exchange(call_id, machine=True))
                    talks = group.create_task(bot.talk())
                    await talk.hold(caller, bot.answer)
                    talks.cancel()
            else:
                await client.data(f"/call/{call_id}/streams", {"streamUrl": server.url})
                customer = await server.customer()
                await talk.hold(caller, lambda sound: customer.play(at_rate(sound)))
        await client.data("/call/hangup", {"callId": call_id})
        await until(lambda: published.of("call.ended"))
    return published


async def _after(delay: float, answer: Callable[[Sound], Awaitable[None]], sound: Sound) -> None:
    await asyncio.sleep(delay)
    await answer(sound)


class _Nobody:
    def answered(self, *_: object, **more: object) -> None:
        pass

    def over(self, *_: object) -> None:
        pass


def cost(seconds: int = 60) -> float:
    """Return the share of a core that metering a call takes: both sides talk all the time, the fastest of five rounds."""
    voice = words(0)
    frames = [voice[at : at + FRAME_SAMPLES].tobytes() for at in range(0, 50 * 320, FRAME_SAMPLES)]

    def run(*, metered: bool) -> float:
        now = [0.0]
        take = iter(frames * seconds)
        pull, push = partial(next, take), lambda _frame, _now: None
        if metered:
            meter = TurnMeter(
                pull,
                push,
                now=lambda: now[0],
                delay=lambda: 0.02,
                queues=None,
                filling=lambda: False,
                turns=_Nobody(),
            )
            pull, push = meter.pull, meter.push  # type: ignore[assignment]
        began = time.process_time()
        for pcm in frames * seconds:
            now[0] += FRAME_SECONDS
            pull()
            push(Frame(pcm, 0, 0), now[0])
        return time.process_time() - began

    return (
        min(run(metered=True) for _ in range(5)) - min(run(metered=False) for _ in range(5))
    ) / seconds


def report(found: list[Measured], what: str) -> str:
    errors = 1000 * np.array([one.error for one in found])
    size = np.abs(errors)
    return (
        f"{what}, {len(found)} turns: error p50 {np.percentile(size, 50):.1f} ms, p95 {np.percentile(size, 95):.1f} ms, "
        f"max {size.max():.1f} ms, mean {errors.mean():+.1f} ms"
    )


def main() -> None:
    """Measure, print, and fail above 30 ms at p95."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=500)
    parser.add_argument("--far-turns", type=int, default=60, help="of each kind of bot and delay")
    arguments = parser.parse_args()
    calls: list[tuple[str, int, TalkInCall | None]] = [
        ("next to the bridge", arguments.turns, None)
    ]
    calls += [
        (
            f"{1000 * delay:.0f} ms away, the bot {'a peer' if peer else 'behind a stream'}",
            arguments.far_turns,
            partial(far_call, delay=delay, peer=peer),
        )
        for delay in FAR_SECONDS
        for peer in (False, True)
    ]
    exact = True
    for what, turns, call in calls:
        with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
            found = runner.run(measure(turns, call=call)) if turns else []
        if found:
            print(report(found, what), flush=True)
            exact &= bool(np.percentile([abs(one.error) for one in found], 95) <= MAX_ERROR)
    print(f"metering a call takes {100 * cost():.3f} % of a core")
    if not exact:
        raise SystemExit(1)
