"""The control socket below the data folder: `media-bridge drain` and `media-bridge upgrade` connect to it.

Only the bridge's own user may open it. A client sends one request, a line of JSON, and gets lines until what it
asked for is done or has failed (`bridge.wire.supervision`); what was begun goes on when the client has gone.
"""

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

from bridge.cluster.sockets import listen
from bridge.errors import BridgeError, SettingsError
from bridge.stores.directory import FOLDER
from bridge.tasks import Tasks, wait_set
from bridge.wire import supervision
from bridge.wire.supervision import Done, DrainNodes, Failed, Progress, Reply, Request, Spares

log = logging.getLogger(__name__)

REQUEST_SECONDS: Final = 5.0
REPORT_SECONDS: Final = 1.0
"""Between two reports of how many calls are left."""
MAX_CLIENTS: Final = 8

Report: TypeAlias = Callable[[Progress | Spares], None]
Perform: TypeAlias = Callable[[Request, Report], Awaitable[None]]
"""Does what is asked for and reports on it; a `BridgeError` is what went wrong."""


def control_path(data: str) -> Path:
    """Return the path of the control socket in a data folder."""
    return Path(data) / FOLDER / supervision.CONTROL_SOCKET


@contextlib.asynccontextmanager
async def serving(path: Path, perform: Perform) -> AsyncIterator[None]:
    """Answer on the control socket; without it, with a warning, where its path is too long."""
    tasks = Tasks()

    async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(tasks) < MAX_CLIENTS:
            tasks.spawn(_answer(reader, writer, perform), name="control")
        else:
            writer.close()

    try:
        listener = _listen(path)
    except SettingsError as error:
        log.warning("control.unavailable", extra={"error": str(error)})
        yield
        return
    server = await asyncio.start_unix_server(accepted, sock=listener)
    try:
        yield
    finally:
        server.close()
        _unlink(path)
        await tasks.aclose()


def _listen(path: Path) -> socket.socket:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    return listen(path)


def _unlink(path: Path) -> None:
    path.unlink(missing_ok=True)


async def _answer(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, perform: Perform
) -> None:
    def send(reply: Reply) -> None:
        if not writer.is_closing():
            writer.write(supervision.serialize(reply))

    try:
        async with asyncio.timeout(REQUEST_SECONDS):
            request = supervision.request(await reader.readline())
        if request is None:
            send(Failed(text="this version of the bridge does not know the command"))
            return
        await perform(request, send)
        send(Done())
    except BridgeError as error:
        send(Failed(text=str(error)))
    except (OSError, ValueError):
        pass  # the client has gone, or sent a line without an end
    finally:
        writer.close()


class Left(NamedTuple):
    """What a drain still waits for."""

    calls: int
    seconds: float | None
    """Until they are ended; None for never."""
    handed: int = 0
    """How many calls other nodes have taken over."""


async def report_calls(
    left: Callable[[], Left], over: asyncio.Event, report: Callable[[Progress], None]
) -> None:
    """Report how many calls are left, and for how many seconds, until a drain is over."""
    last = ""
    while not over.is_set():
        calls, seconds, handed = left()
        text = f"{calls} {'call' if calls == 1 else 'calls'} left"
        if handed:
            text = f"{handed} {'call' if handed == 1 else 'calls'} handed over, {calls} left"
        if seconds is not None:
            text += f", {seconds:.0f} s left"
        if text != last:
            report(Progress(text=text, begun=True))
        last = text
        await wait_set(over, REPORT_SECONDS)


def refuse_upgrade(request: Request) -> DrainNodes:
    """Return a request to drain.

    Raises:
        SettingsError: it is another one.
    """
    if isinstance(request, DrainNodes):
        return request
    raise SettingsError("only a bridge under a supervisor can do that: start it with --supervised")
