"""Debian's baresip: a telephone of somebody else, which answers by itself, sends back what it hears, and is told what to do."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from tests.support.machine import free_port
from tests.support.waiting import until

MODULES = Path("/usr/lib/baresip/modules")
NUMBER = "+15550300001"
"""Of its account; it takes calls to no other."""
CONFIGURATION = """
module_path {modules}
sip_listen 127.0.0.1:{port}
{certificate}
net_interface 127.0.0.1
audio_source aubridge,echo
audio_player aubridge,echo
rtp_timeout 60
module aubridge.so
module g711.so
module g722.so
module opus.so
module srtp.so
module_app account.so
module_app menu.so
module_app ctrl_tcp.so
ctrl_tcp_listen 127.0.0.1:{control}
"""


class Baresip:
    """A running baresip."""

    def __init__(self, folder: Path, port: int, control: int) -> None:
        self.folder = folder
        self.port = port
        """Of SIP over UDP and TCP; TLS has the next one."""
        self.events: list[dict[str, Any]] = []
        """What it reported, in order."""
        self._control = control

    async def connect(self) -> None:
        """Connect to it, once it is ready."""
        async with asyncio.timeout(20):
            while True:
                with suppress(OSError):
                    self._reader, self._writer = await asyncio.open_connection(
                        "127.0.0.1", self._control
                    )
                    break
                await asyncio.sleep(0.02)
        self._listening = asyncio.create_task(self._listen())

    async def command(self, name: str, parameters: str = "") -> None:
        """Have it do something."""
        text = json.dumps({"command": name, "params": parameters, "token": "1"})
        self._writer.write(f"{len(text)}:{text},".encode())
        await self._writer.drain()

    async def until(self, kind: str, *, timeout: float = 10.0) -> dict[str, Any]:
        """Wait until it has reported an event; return the last."""
        found: list[dict[str, Any]] = []

        def there() -> bool:
            found[:] = [event for event in self.events if event.get("type") == kind]
            return bool(found)

        try:
            await until(there, timeout=timeout)
        except TimeoutError:
            raise AssertionError(f"no {kind} among {self.events}\n{self.log()}") from None
        return found[-1]

    def count(self, kind: str) -> int:
        """Return how many events of a type it has reported."""
        return sum(event.get("type") == kind for event in self.events)

    def log(self) -> str:
        """Return what it printed."""
        return (self.folder / "output.log").read_text(errors="replace")[-4000:]

    async def aclose(self) -> None:
        """Disconnect from it."""
        self._listening.cancel()
        self._writer.close()
        with suppress(OSError):
            await self._writer.wait_closed()

    async def _listen(self) -> None:
        """Read its netstrings of JSON, until it ends."""
        with suppress(asyncio.IncompleteReadError):
            while length := await self._reader.readuntil(b":"):
                text = await self._reader.readexactly(int(length[:-1]) + 1)
                self.events.append(json.loads(text[:-1]))


@asynccontextmanager
async def baresip(
    folder: Path, *, transport: str = "udp", **account: str
) -> AsyncIterator[Baresip]:
    """Run it until the block is left; `account` are parameters of its account, such as `audio_codecs`."""
    place = folder / "baresip"
    place.mkdir()
    identity = folder / "identity.pem"
    certificate = f"sip_certificate {identity}" if identity.exists() else ""
    port, control = _ports()
    (place / "config").write_text(
        CONFIGURATION.format(
            modules=MODULES,
            port=port,
            certificate=certificate,
            folder=place,
            control=control,
        )
    )
    own = port + 1 if transport == "tls" else port
    parameters = {"regint": "0", "answermode": "auto"} | account
    written = "".join(f";{name}={value}" for name, value in parameters.items())
    (place / "accounts").write_text(
        f"<sip:{NUMBER}@127.0.0.1:{own};transport={transport}>{written}\n"
    )
    (place / "contacts").write_text("")
    with (place / "output.log").open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            "baresip",
            "-f",
            str(place),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    made = Baresip(place, port, control)
    try:
        await made.connect()
        try:
            yield made
        finally:
            await made.aclose()
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def _ports() -> tuple[int, int]:
    """Return a port for SIP, the one after which is free too, for TLS, and one for control."""
    while True:
        port, control = free_port(), free_port()
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port + 1))
            if control not in (port, port + 1):
                return port, control
