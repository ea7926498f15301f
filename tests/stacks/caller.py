"""Callers made of other WebRTC stacks, each a program in a process of its own, or a page.

    PROGRAM SOUND ADDRESS

SOUND is a JSON file of what it says over and over: `pcm` (signed 16-bit in base64, at `rate`) and
`packets` (the same in Opus packets of 20 ms, in base64; null is a pause). ADDRESS is where it sends
from. It takes a command a line on standard input and replies with a line to each, in JSON:

- `open`: `lines` that it offers in order (`audio`, `video`, `data`), `bundle` (`bundled`, `balanced`,
  `separate`), and if asked `camera` (to send video, for as long as the stack lets it), `certificate` (`rsa`, `ecdsa`; `pem` is one of that kind), `relay` (the only
  server and path, as an RTCIceServer), `semantics`, `tracks`, `mdns`, `dtx`
- `offer`: replies with `sdp`; with `restart` of ICE, then perhaps from another `address`; with
  `trickle` before candidates are known
- `accept`: takes `sdp`, replies when it is connected, or at once unless it is to `wait` (some
  stacks are not before the lines are that the answer rejects); the first time it begins to speak
- `hold` (`held`), `mute` (`muted`), `press` (`digit`), `close`
- `hear`: what it hears for so many `seconds`: `packets` as [seconds since it began to speak,
  payload], or `pcm`, `rate` and `offset`, the seconds between its beginnings to speak and to hear

It replies with `cannot` and the reason to what its stack does not offer, and with `error`.
"""

import asyncio
import json
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, TypeAlias

from tests.stacks.sound import Heard, heard, recorded
from tests.support.peers.signalling import Exchange

Run: TypeAlias = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]

PROJECT = Path(__file__).parents[2]
REPLY_SECONDS = 30.0


class CallerError(Exception):
    """The program gave up; the text is what it wrote."""


class NotOffered(Exception):
    """The stack cannot do it; the text is the reason."""


class Caller:
    """Somebody who calls the bridge.

    Args:
        run: Hands over a command and brings its reply.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self.offered = ""
        """Its last offer."""

    async def ask(self, name: str, **options: Any) -> dict[str, Any]:
        """Run a command.

        Raises:
            NotOffered: the stack cannot do it.
            CallerError: it failed.
        """
        async with asyncio.timeout(REPLY_SECONDS):
            reply = await self._run({"do": name, **options})
        if "cannot" in reply:
            raise NotOffered(reply["cannot"])
        if "error" in reply:
            raise CallerError(f"{name}: {reply['error']}")
        return reply

    async def open(
        self, *, lines: Sequence[str] = ("audio",), bundle: str = "balanced", **more: Any
    ) -> None:
        """Make its connection."""
        await self.ask("open", lines=list(lines), bundle=bundle, **more)

    async def offer(self, **options: Any) -> str:
        """Make an offer."""
        self.offered = (await self.ask("offer", **options))["sdp"]
        return self.offered

    async def connect(self, exchange: Exchange, **options: Any) -> None:
        """Offer, take the answer and wait until it is connected."""
        await self.ask("accept", sdp=await exchange(await self.offer(**options)))

    async def hear(self, seconds: float = 1.2) -> Heard:
        """Return what it hears from now on."""
        return heard(await self.ask("hear", seconds=seconds))


@asynccontextmanager
async def program(
    command: Sequence[str],
    folder: Path,
    *,
    address: str = "127.0.0.1",
    pauses: bool = False,
    prefix: Sequence[str] = (),
) -> AsyncIterator[Caller]:
    """Run a program that calls.

    Args:
        command: Starts it, without its arguments.
        folder: Takes a file.
        address: Where it sends from.
        pauses: Whether every second half of a second is silence.
        prefix: Words before the command.
    """
    sound = folder / f"sound{'-with-pauses' if pauses else ''}.json"
    sound.write_text(json.dumps(recorded(pauses=pauses)))
    errors = folder / "program.log"
    with errors.open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *(*prefix, *command, str(sound), address),
            cwd=PROJECT,
            stdin=PIPE,
            stdout=PIPE,
            stderr=log,
            limit=1 << 22,
        )

        async def run(wanted: dict[str, Any]) -> dict[str, Any]:
            return await _exchange(process, wanted, errors)

        try:
            yield Caller(run)
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()


async def _exchange(process: Process, wanted: dict[str, Any], errors: Path) -> dict[str, Any]:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(wanted).encode() + b"\n")
    while line := await process.stdout.readline():
        # A stack may write words of its own, or a log in JSON.
        if line.startswith(b"{") and not line.startswith(b'{"level":'):
            parsed: dict[str, Any] = json.loads(line)
            return parsed
    raise CallerError(await asyncio.to_thread(errors.read_text, errors="replace"))
