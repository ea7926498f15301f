"""Calls in which a bot speaks at once, and what is lost of its first and its last word."""

import asyncio
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from bridge.call import events
from bridge.call.model import LegKind, LegOwner, Party
from bridge.call.routing import LegRole
from tests.bench.studies.words.bots import KINDS, Bots, ended, servers, when
from tests.bench.studies.words.parties import EARS, Ear, SimulatorEar, world
from tests.bench.studies.words.probe import PARTS, lost, probe, seconds_of
from tests.support.clients.caller import Caller
from tests.support.inprocess import Client

MAX_LOST = 0.02
TRANSFER = "a transfer"


@dataclass(frozen=True, slots=True)
class Measured:
    """What was lost of one call, in seconds."""

    far: str
    bot: str
    first: float
    last: float

    @property
    def worst(self) -> float:
        return max(self.first, self.last)


async def measure(
    calls: int, *, fars: Sequence[str] = tuple(EARS), bots: Sequence[str] = KINDS
) -> list[Measured]:
    """Hold so many calls, evenly of these kinds, one after the other; of all kinds with transfers."""
    found: list[Measured] = []
    pairs = list(itertools.product(fars, bots))
    if bots == KINDS:
        pairs.append(("simulator", TRANSFER))
    counts = {
        pair: calls // len(pairs) + (at < calls % len(pairs)) for at, pair in enumerate(pairs)
    }
    async with servers() as where:
        for far in fars:
            ear = EARS[far]
            async with world(where, ear) as client:
                begun = Bots(client, where)
                for (name, bot), count in counts.items():
                    for number in range(count if name == far else 0):
                        if bot == TRANSFER:
                            found.append(await _transfer(client, begun, number))
                        else:
                            made = ear(client, silent=number % 4 == 3)
                            found.append(await _call(made, far, begun, bot, number))
    return found


async def _call(ear: Ear, far: str, bots: Bots, bot: str, number: int) -> Measured:
    """Ring, and let the bot speak; the far party answers after another time in each call."""
    runner = await ear.ring()
    try:
        speaking = asyncio.create_task(bots.kinds[bot](runner))
        await asyncio.sleep(0.013 * (number % 37))
        await ear.answer()
        await ended(runner)
        await speaking
        return Measured(far, bot, *lost(ear.heard(), ear.rate))
    finally:
        if runner.live:
            runner.dispatch(events.HangupRequested())
        await ear.close()


async def _transfer(client: Client, bots: Bots, number: int) -> Measured:
    """Let a stream speak and a person take its place meanwhile: the stream's last and the person's first word are measured."""
    ear = SimulatorEar(client, silent=False)
    runner = await ear.ring()
    await ear.answer()
    speaking = asyncio.create_task(bots.socket(runner, hangs_up=False))
    await asyncio.sleep(0.3 + 0.013 * (number % 37))
    runner.dispatch(events.InviteRequested("ann"))
    person = Caller(LegKind.WEBRTC)
    person.leg_id = type(person.leg_id)("ann")
    owner = LegOwner("near", "ann")
    runner.add_leg(person, LegRole(Party.NEAR, replaces=True, owner=owner))
    await asyncio.sleep(0)
    person.emit(events.LegConnected(person.leg_id))
    await when(lambda: len(runner.legs()) == 2)
    await _say(person)
    runner.dispatch(events.HangupRequested(after_speech=True))
    await ended(runner)
    await speaking
    # The probe is heard twice: what is missing of either is missing of the sum.
    sound, once = ear.heard(), probe(ear.rate).astype(float)
    first, last = (
        max(0.0, 2 * seconds_of(hertz, once, ear.rate) - seconds_of(hertz, sound, ear.rate))
        for hertz in (PARTS[0][0], PARTS[-1][0])
    )
    return Measured("simulator", TRANSFER, first, last)


async def _say(person: Caller) -> None:
    pcm = probe(16_000).tobytes()
    for at in range(0, len(pcm), 640):
        await person.say(0.02, pcm[at : at + 640])


def report(found: list[Measured]) -> str:
    """Return a table of what was lost, and the worst of all."""
    lines = [f"{'far party':12} {'bot':12} {'calls':>5} {'first':>8} {'last':>8}"]
    pairs = dict.fromkeys((one.far, one.bot) for one in found)
    for far, bot in pairs:
        calls = [one for one in found if (one.far, one.bot) == (far, bot)]
        first, last = (1000 * max(getattr(one, end) for one in calls) for end in ("first", "last"))
        lines.append(f"{far:12} {bot:12} {len(calls):5} {first:5.0f} ms {last:5.0f} ms")
    over = sum(one.worst > MAX_LOST + 1e-9 for one in found)
    worst = 1000 * max(one.worst for one in found)
    lines.append(f"{len(found)} calls: at most {worst:.0f} ms lost; more than 20 ms in {over}")
    return "\n".join(lines)
