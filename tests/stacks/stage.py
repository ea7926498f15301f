"""Where a check takes place: bridges in this process, and the client that calls them."""

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from bridge.node.load import Load
from bridge.settings.model import Rtc
from tests.stacks.caller import Caller, program
from tests.stacks.clients import CLIENTS
from tests.stacks.sound import Heard
from tests.support.inprocess import Client, free_udp_ports, running, settings
from tests.support.peers.signalling import HttpExchange

ECHO = "15550100001"
"""The contact that sends back what it hears."""
LOUD, QUIET = 0.05, 0.02
"""Amplitudes of the tone."""
SECONDS = 20.0
PIECE = 0.4


class Stage(Protocol):
    """What a check needs of its client."""

    @property
    def name(self) -> str:
        """A key of `CLIENTS`."""
        ...

    @property
    def folder(self) -> Path:
        """Takes files."""
        ...

    @property
    def media(self) -> str:
        """Where the bridge receives its packets."""
        ...

    def caller(
        self, *, pauses: bool = False, address: str = "127.0.0.1", prefix: Sequence[str] = ()
    ) -> AbstractAsyncContextManager[Caller]:
        """Start the client; it ends without a word, as a page does that is reloaded."""
        ...


@dataclass(frozen=True, slots=True)
class ProgramStage:
    """A stage for a client that is a program."""

    name: str
    folder: Path
    media: str = "127.0.0.1"

    def caller(self, **options: Any) -> AbstractAsyncContextManager[Caller]:
        """Start the program."""
        return program(CLIENTS[self.name].command, self.folder, **options)


@dataclass(frozen=True, slots=True)
class Call:
    """A call to the contact that echoes."""

    client: Client
    call_id: str
    exchange: HttpExchange

    def contact(self) -> Any:
        """Return the far leg."""
        [runner] = self.client.bridge.manager.calls()
        [leg] = [leg for leg in runner.legs() if leg.kind == "simulator"]
        return leg

    async def near(self) -> Any:
        """Return the figures of the near leg; the newest, where one has come back."""
        legs = (await self.client.quality(self.call_id))["legs"]
        return [leg for leg in legs if leg["party"] == "near"][-1]


@asynccontextmanager
async def calling(stage: Stage, **changed: Any) -> AsyncIterator[Call]:
    """Run a bridge with one call; `changed` are its settings."""
    first = free_udp_ports()
    changed.setdefault("rtc", Rtc(bind=[stage.media], ports=f"{first}-{first + 39}"))
    update = Load.update
    # Where many tests run, the bridge would step down, and its sound with it.
    Load.update = lambda *_, **__: None  # type: ignore[method-assign]
    try:
        async with running(settings(**changed)) as client:
            call_id = await client.dial(ECHO)
            yield Call(client, call_id, client.exchange(call_id))
    finally:
        Load.update = update  # type: ignore[method-assign]


@asynccontextmanager
async def connected(stage: Stage, **options: Any) -> AsyncIterator[tuple[Caller, Call]]:
    """Let the client call and hear itself; `options` are those of `open`."""
    async with calling(stage) as call, stage.caller() as caller:
        await caller.open(**options)
        await caller.connect(call.exchange)
        await until_heard(caller)
        yield caller, call


async def until_heard(caller: Caller) -> Heard:
    """Wait until the client hears its tone."""
    return await _until(caller, lambda heard: heard.tone > LOUD, "it does not hear itself")


async def until_silent(caller: Caller) -> Heard:
    """Wait until the client hears its tone no longer."""
    return await _until(caller, lambda heard: heard.tone < QUIET, "it still hears itself")


async def _until(caller: Caller, good: Callable[[Heard], bool], otherwise: str) -> Heard:
    heard = None
    try:
        async with asyncio.timeout(SECONDS):
            while heard is None or not good(heard):
                heard = await caller.hear(PIECE)
            return heard
    except TimeoutError:
        amplitude = math.nan if heard is None else heard.tone
        raise AssertionError(f"{otherwise}: amplitude {amplitude:.3f}") from None
