"""Ways of making a call at each kind of server, all alike for the load generator."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Protocol

import aiohttp
from typing_extensions import override

from tests.bench.generators import janus
from tests.bench.generators.trunk import OPUS, PCMU, PlainParty, Trunk, trunk
from tests.support.peers.signalling import HttpExchange, StockExchange

ECHO_CONTACT = "15550100001"
TELEPHONE = "493012345678"
KEY = "demo"
_MAX_TRIES = 50
_TRY_SECONDS = 0.02


class EndedError(ConnectionError):
    """The call has ended already, as calls do at a server that cannot carry its load."""


class Offering(Protocol):
    """An exchange that knows how long the last answer took."""

    seconds: float

    async def __call__(self, offer: str) -> str:
        """Take the offer, bring the answer."""
        ...


@dataclass(frozen=True, slots=True)
class Call:
    """One call whose legs have yet to join."""

    seats: Sequence[Offering]
    """Where the legs join, in this order."""
    hears: Sequence[int | None]
    """For each leg, whose bursts it hears: the number of a seat; None: they are not looked for."""
    talks: Sequence[bool]
    """For each leg, whether it says the bursts, or next to nothing."""
    end: Callable[[], Awaitable[None]]
    record: Callable[[bool], Awaitable[None]]
    """Lets it be recorded from now on, or no more."""
    call_id: str = ""
    """Where calls have one."""
    parties: Sequence[PlainParty] = ()
    """Telephones that are connected already and talk; `hears` goes on with them."""


class Caller(Protocol):
    """Makes calls."""

    async def call(self) -> Call:
        """Make the next call."""
        ...


class StockEcho:
    """Calls to the stock echo server."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url

    async def call(self) -> Call:
        """Make the next call."""
        return Call(
            [StockExchange(self._session.post, self._url)], [0], [True], _nothing, _unrecorded
        )


class Bridge:
    """Calls at a bridge, by what is on the far side.

    Args:
        session: For requests.
        url: Of the bridge.
        kind: `echo`, the contact that echoes; `pair`, a far party in a browser; `bot`, the same with a bot
            that is quiet as the near leg; `trio`, with a third leg that is quiet, so that everyone hears a mix.
        nodes: Calls are spread evenly over so many nodes.
    """

    def __init__(
        self, session: aiohttp.ClientSession, url: str, *, kind: str, nodes: int = 1
    ) -> None:
        self._session = session
        self._url = url
        self._kind = kind
        self._nodes = nodes
        self._calls = 0

    async def call(self) -> Call:
        """Make the next call."""
        body = {"phone": ECHO_CONTACT} if self._kind == "echo" else {"channel": "webrtc"}
        call_id = await self._dial(body, self._calls % self._nodes)
        self._calls += 1

        async def end() -> None:
            with suppress(EndedError):
                await self._post("/call/hangup", {"callId": call_id})

        async def record(recorded: bool) -> None:
            verb = "start" if recorded else "stop"
            await self._post(f"/call/record/{verb}", {"callId": call_id})

        if self._kind == "echo":
            return Call([self._seat(call_id)], [0], [True], end, record, call_id)
        seats = [
            self._seat(call_id, machine=self._kind == "bot"),
            self._seat(call_id, party="far"),
        ]
        if self._kind in ("pair", "bot"):
            return Call(seats, [1, 0], [self._kind == "pair", True], end, record, call_id)
        third = [*seats, self._seat(call_id)]
        return Call(third, [1, 0, None], [True, True, False], end, record, call_id)

    async def _dial(self, body: dict[str, str], node: int) -> str:
        """Make a call on a node: whichever takes the connection has it, so try until it is.

        One for each node at once: on an idle machine the same node takes all that come one after the other.
        """
        for _ in range(_MAX_TRIES):
            replies = await asyncio.gather(
                *(self._post("/call/dial", body) for _ in range(self._nodes))
            )
            made: list[str] = [reply["data"]["callId"] for reply in replies]
            right = [one for one in made if self._nodes == 1 or node_of(one) == node]
            for call_id in made:
                if call_id not in right[:1]:
                    await self._post("/call/hangup", {"callId": call_id})
            if right:
                return right[0]
            await asyncio.sleep(_TRY_SECONDS)
        raise ConnectionError(f"node {node} takes no connection")

    def _seat(self, call_id: str, **more: Any) -> HttpExchange:
        return HttpExchange(self._session.post, self._url, call_id=call_id, key=KEY, **more)

    async def _post(self, path: str, body: dict[str, str]) -> Any:
        # With several nodes a connection is not to stay with the one that took it.
        headers = {"token": KEY} | ({"Connection": "close"} if self._nodes > 1 else {})
        async with self._session.post(self._url + path, json=body, headers=headers) as response:
            if response.status != 200:
                kind = EndedError if response.status == 404 else ConnectionError
                raise kind(f"{path}: {response.status} {await response.text()}")
            return await response.json(content_type=None)


class Telephones(Bridge):
    """Calls from a browser at a bridge to a telephone behind its trunk."""

    def __init__(self, session: aiohttp.ClientSession, url: str, far_end: Trunk) -> None:
        super().__init__(session, url, kind="telephone")
        self._far_end = far_end

    @override
    async def call(self) -> Call:
        """Make the next call."""
        begun = time.monotonic()
        call_id = await self._dial({"phone": TELEPHONE, "channel": "pstn"}, 0)
        party = await self._far_end.called()
        party.times["dial"] = begun

        async def end() -> None:
            await self._post("/call/hangup", {"callId": call_id})

        # What telephones hear is not decoded.
        return Call([self._seat(call_id)], [1, None], [True], end, _unrecorded, call_id, [party])


class JanusRooms:
    """Calls at Janus: a room of two legs each."""

    def __init__(self, api: janus.Api) -> None:
        self._api = api
        self._rooms = 0

    async def call(self) -> Call:
        """Make the next call."""
        self._rooms += 1
        room = self._rooms
        handles = await janus.make_room(self._api, room)

        async def end() -> None:
            await janus.close_room(self._api, room, handles)

        seats = [janus.JanusExchange(self._api, handle, room) for handle in handles]
        return Call(seats, [1, 0], [True, True], end, _unrecorded)


def node_of(call_id: str) -> int:
    """Tell which node owns a call: its number leads the id."""
    return int(call_id[:2], 16)


@asynccontextmanager
async def caller(
    session: aiohttp.ClientSession, url: str, *, kind: str, nodes: int = 1, trunk_port: int = 0
) -> AsyncIterator[Caller]:
    """Make the caller for a kind of call: `stock`, `janus`, a trunk's codec, or one of `Bridge`."""
    if kind == "stock":
        yield StockEcho(session, url)
    elif kind == "janus":
        async with janus.connect(session, url) as api:
            yield JanusRooms(api)
    elif kind in (PCMU, OPUS):
        async with trunk(kind, trunk_port) as far_end:
            yield Telephones(session, url, far_end)
    else:
        yield Bridge(session, url, kind=kind, nodes=nodes)


async def _nothing() -> None:
    pass


async def _unrecorded(recorded: bool) -> None:
    raise NotImplementedError("only a bridge records")
