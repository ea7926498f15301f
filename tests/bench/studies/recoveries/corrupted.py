"""Give a successor ledgers and copies of a live call that are truncated, of other versions or corrupted, in a process of its own.

    python -m tests.bench.studies.recoveries.corrupted [--cases 100000] [--seed 1]

Each is refused, or the call goes on with no number that was used. Ends with 1 after the first that does neither, which it
prints; a crash of the process is one too.
"""

import argparse
import asyncio
import ctypes
import faulthandler
import logging
import os
import random
import sys
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from bridge.app.handover import advance_copy
from bridge.call.events import HangupRequested
from bridge.call.model import CallId
from bridge.errors import HandoverRefused
from bridge.wire.rtp import used_numbers
from bridge.wire.rtp.stream import Numbering
from bridge.wire.rtp.used_numbers import BYTES, Ledger
from tests.bench.studies.recoveries.processes import descriptors
from tests.support.handover.moving_calls import MovingCalls, moving_calls
from tests.support.peers.bridge_peer import speech
from tests.support.peers.light_peer import LightPeer

ECHO: Final = "15550100001"
SLOT_BYTES: Final = 128
CHECKSUM_BYTES: Final = 4
"""Behind a copy."""
MAX_LEFT: Final = 8
"""Descriptors, whatever was tried."""
HEARD: Final = 10
"""Packets that the browser has heard before its call is copied."""
STRANGE: Final[tuple[Any, ...]] = (
    *(None, True, -1, 0, 1, 255, 1 << 16, 1 << 31, (1 << 32) - 1, 1 << 32, (1 << 63) - 1),
    *(-(1 << 63), 1e308, -1.0, float("nan"), float("inf"), "", "x", "\0" * 300, b"", b"\xff" * 15),
    *(b"\0" * 16, b"\xff" * 4096, [], {}, [[]], {"a": 1}),
)
"""Values in place of others."""


@dataclass
class Found:
    """What became of the cases."""

    ledgers: Counter[str] = field(default_factory=Counter)
    copies: Counter[str] = field(default_factory=Counter)
    """`refused` and `taken`, and why they were refused."""
    errors: Counter[str] = field(default_factory=Counter)
    """Exceptions of calls that were taken, which end there: the others of the node go on."""
    faults: list[str] = field(default_factory=list)

    def note_error(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Count an exception that nobody has caught."""
        error = context.get("exception")
        self.errors[f"{context['message'].split(' <')[0][:40]}: {error!r:.60}"] += 1


def damaged(data: bytes, chance: random.Random) -> bytes:
    """Return some bytes with bits flipped, bytes written over, or an end or a middle missing."""
    changed = bytearray(data)
    for _ in range(chance.randrange(1, 4)):
        at, length = chance.randrange(len(data)), chance.choice((1, 2, 8, 16, 64))
        match chance.randrange(5):
            case 0 | 1:
                changed[at % len(changed)] ^= 1 << chance.randrange(8)
            case 2:
                changed[at : at + length] = chance.randbytes(length)[: len(changed) - at]
            case 3:
                changed[at : at + length] = bytes(length)[: max(0, len(changed) - at)]
            case _ if chance.random() < 0.1:
                del changed[at : at + chance.randrange(1, 1 + len(data))]
        if not changed:
            break
    return bytes(changed)


def strange(value: Any, chance: random.Random) -> Any:
    """Return some decoded MessagePack with one value replaced, dropped, or added."""
    holders: list[tuple[Any, Any]] = []

    def collect(one: Any) -> None:
        keys = one if isinstance(one, dict) else range(len(one)) if isinstance(one, list) else ()
        for key in keys:
            holders.append((one, key))
            collect(one[key])

    collect(value)
    holder, key = chance.choice(holders)
    former = holder[key]
    match chance.randrange(8):
        case 0:
            del holder[key]
        case 1 if isinstance(former, int):
            holder[key] = former + chance.choice((-1, 1, -1000, 1000, 1 << 20))
        case 2 if isinstance(former, bytes | str):
            holder[key] = former[: chance.randrange(len(former) + 1)]
        case 3 if isinstance(former, list):
            holder[key] = former * 2
        case _:
            holder[key] = chance.choice(STRANGE)
    return value


def ledger_of(ceilings: dict[int, tuple[int, int]]) -> bytes:
    """Return a ledger with these numbers used, of packets and reports by SSRC."""
    memory = bytearray(BYTES)
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    ledger = Ledger(memoryview(memory), address)
    for ssrc, (packet, report) in ceilings.items():
        slot = ledger.open(ssrc)
        assert slot is not None
        for before in (packet - 2 * used_numbers.PACKETS_AHEAD, packet):
            slot.reserve_packets(max(0, before))
        slot.reserve_reports(report)
    return bytes(memory)


def try_ledgers(cases: int, chance: random.Random, found: Found) -> None:
    """Read damaged ledgers; what they tell of a stream is never too little."""
    used = {
        chance.randrange(1 << 32): (chance.randrange(1 << 30), chance.randrange(1 << 20))
        for _ in range(20)
    }
    whole = ledger_of(used)
    busy = (1 + len(used)) * SLOT_BYTES
    for _ in range(cases):
        head = damaged(whole[:busy], chance)
        told = used_numbers.read(head + whole[busy:])
        found.ledgers["taken" if len(told) == len(used) else "refused"] += 1
        for ssrc, (packet, report) in used.items():
            one = told.get(ssrc)
            if one is not None and (one.packet <= packet or one.report < report):
                found.faults.append(f"ledger: {one} of {packet}, {report}: {head.hex()}")


class Copies:
    """A live call, and a bridge that is given damaged copies of it."""

    def __init__(self, calls: MovingCalls, call_id: str, found: Found) -> None:
        self.found = found
        self._calls, self._call_id = calls, CallId(call_id)
        self._snapshot, self._descriptors = calls.handovers[0].suspend(self._call_id)
        legs = msgspec.msgpack.decode(self._snapshot[:-CHECKSUM_BYTES])["legs"]
        states = [leg["state"] for leg in legs]
        senders = [one["peer"]["session"]["sender"] for one in states if "peer" in one]
        numbers = [Numbering(*one["numbering"]) for one in senders]
        self._ledger = ledger_of({one.ssrc: (one.sequence, 50) for one in numbers})

    async def try_one(self, change: Callable[[bytes, bytes], tuple[bytes, bytes]]) -> None:
        """Offer a changed snapshot and ledger; whatever was taken is let go again."""
        snapshot, ledger = change(self._snapshot, self._ledger)
        descriptors = [os.dup(one) for one in self._descriptors]
        loop = asyncio.get_running_loop()
        try:
            now, read = loop.time(), used_numbers.read
            advanced = advance_copy(snapshot, ledger, now, read=read, now=now)
            taken = self._calls.adoptions[1].adopt(advanced, descriptors)
        except HandoverRefused as error:
            for one in descriptors:
                os.close(one)
            self.found.copies["refused"] += 1
            self.found.copies[_reason(error)] += 1
            await asyncio.sleep(0)  # what it had made is freed
            return
        self.found.copies["taken"] += 1
        await asyncio.sleep(0.01)  # it reads, and sends
        try:
            await self._let_go(taken)
        except Exception as error:
            self.found.errors[f"{type(error).__name__}: {error!s:.60}"] += 1

    async def _let_go(self, call_id: CallId) -> None:
        handover = self._calls.handovers[1]
        if self._calls.clients[1].bridge.manager.running(call_id) is None:
            return  # it has ended by itself
        try:
            handover.suspend(call_id)
        except HandoverRefused:
            runner = self._calls.clients[1].bridge.manager.running(call_id)
            if runner is not None:
                runner.dispatch(HangupRequested())
        else:
            await handover.abandon(call_id)


def _reason(error: HandoverRefused) -> str:
    return str(error).split(":")[0][:60]


def checked(data: bytes) -> bytes:
    """Return the bytes of a copy with their checksum."""
    return data + zlib.crc32(data).to_bytes(CHECKSUM_BYTES, "big")


def changes(chance: random.Random) -> Iterator[Callable[[bytes, bytes], tuple[bytes, bytes]]]:
    """Yield ways of damaging a snapshot, and now and then a ledger, without an end."""

    def version(snapshot: bytes) -> bytes:
        fields = msgspec.msgpack.decode(snapshot[:-CHECKSUM_BYTES])
        fields["version"] = chance.choice((0, 2, -1, 1 << 40, "1", None))
        return checked(msgspec.msgpack.encode(fields))

    def value(snapshot: bytes) -> bytes:
        fields = msgspec.msgpack.decode(snapshot[:-CHECKSUM_BYTES])
        return checked(msgspec.msgpack.encode(strange(fields, chance)))

    def cut(snapshot: bytes) -> bytes:
        return checked(damaged(snapshot[:-CHECKSUM_BYTES], chance))

    while True:
        match chance.randrange(20):
            case 0:
                yield lambda snapshot, ledger: (version(snapshot), ledger)
            case 1:
                yield lambda snapshot, ledger: (damaged(snapshot, chance), ledger)
            case 2:
                yield lambda snapshot, ledger: (cut(snapshot), ledger)
            case 3:
                yield lambda snapshot, ledger: (snapshot, damaged(ledger, chance))
            case _:
                yield lambda snapshot, ledger: (value(snapshot), ledger)


@contextmanager
def _quiet() -> Iterator[None]:
    """Log nothing of the calls that are refused."""
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


async def study(*, ledgers: int, copies: int, seed: int) -> Found:
    """Try damaged ledgers, and damaged copies of a call."""
    found, chance = Found(), random.Random(seed)
    try_ledgers(ledgers, chance, found)
    async with moving_calls() as calls, LightPeer() as browser:
        call_id = await calls.client.dial(ECHO)
        await browser.call(calls.client.exchange(call_id))
        while call_id not in calls.movable() or len(browser.arrivals) < HEARD:
            await browser.speak(speech())
        asyncio.get_running_loop().set_exception_handler(found.note_error)
        damage, before = changes(chance), descriptors(os.getpid())
        tried = Copies(calls, call_id, found)
        for _ in range(copies):
            await tried.try_one(next(damage))
        # The node goes on.
        await tried.try_one(lambda snapshot, ledger: (snapshot, ledger))
        if not tried.found.copies["taken"]:
            found.faults.append("a whole copy was refused")
        calls.handovers[0].resume(CallId(call_id))
        await asyncio.sleep(0.5)
        if (left := descriptors(os.getpid()) - before) > MAX_LEFT:
            found.faults.append(f"{left} descriptors are left open")
    return found


def main() -> int:
    """Try, print, judge."""
    faulthandler.enable()
    parser = argparse.ArgumentParser(prog="python -m tests.bench.studies.recoveries.corrupted")
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    half = options.cases // 2
    with _quiet():
        found = asyncio.run(study(ledgers=half, copies=options.cases - half, seed=options.seed))
    print(f"ledgers: {dict(found.ledgers)}")
    for what, count in found.copies.most_common():
        print(f"copies: {count:6} {what}")
    for what, count in found.errors.most_common():
        print(f"errors: {count:6} {what}")
    print("\n".join(found.faults[:3]))
    return 1 if found.faults else 0


if __name__ == "__main__":
    sys.exit(main())
