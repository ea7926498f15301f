"""Debian's sipp, with the scenarios of tests/trunk/scenarios."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.support.machine import free_port
from tests.support.waiting import until

SCENARIOS = Path(__file__).parent / "scenarios"


@dataclass(frozen=True, slots=True)
class Sipp:
    """A running sipp."""

    port: int
    folder: Path
    process: asyncio.subprocess.Process

    async def finish(self, *, timeout: float = 20.0) -> None:
        """Wait until all its calls have ended as its scenario says.

        Raises:
            AssertionError: one did not, or it took too long.
        """
        try:
            async with asyncio.timeout(timeout):
                await self.process.wait()
        except TimeoutError:
            raise AssertionError(f"sipp does not end:\n{self.report()}") from None
        assert self.process.returncode == 0, self.report()

    def report(self) -> str:
        """Return what it complains about."""
        return "\n".join(
            path.read_text(errors="replace")[-4000:] for path in sorted(self.folder.glob("*.log"))
        )


@asynccontextmanager
async def sipp(
    folder: Path,
    scenario: str,
    *options: str,
    to: str = "",
    calls: int = 1,
    transport: str = "u1",
    port: int = 0,
) -> AsyncIterator[Sipp]:
    """Run a scenario until the block is left; `to` is host:port for one that calls.

    Args:
        folder: where it writes its logs.
        scenario: the name of a file, without `.xml`.
        options: more of its options.
        to: where to call; empty for a scenario that is called.
        calls: after so many it ends.
        transport: its option -t.
        port: its own; 0 for any that is free.
    """
    place = folder / f"sipp-{scenario}"
    place.mkdir(exist_ok=True)
    port = port or free_port()
    command = [
        *("sipp", "-sf", str(SCENARIOS / f"{scenario}.xml"), "-m", str(calls), "-t", transport),
        *("-i", "127.0.0.1", "-p", str(port), "-nostdin", "-timeout", "60s", "-timeout_error"),
        *("-trace_err", "-error_file", str(place / "errors.log"), "-skip_rlimit"),
        *("-cid_str", "%u-%p@sipp", *options, *([to] if to else [])),
    ]
    with (place / "output.log").open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=place,
            env={"TERM": "dumb", "PATH": "/usr/bin:/bin"},
        )
    try:
        if not to:
            await _wait_until_it_listens(process, port)
        yield Sipp(port, place, process)
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _wait_until_it_listens(process: asyncio.subprocess.Process, port: int) -> None:
    """Wait until the kernel lists a socket of the process with this local port.

    Connections of others may have the same port: as their remote one, or locally to another protocol.
    """
    wanted = f":{port:04X}"

    def own() -> set[str]:
        names = set()
        for descriptor in Path(f"/proc/{process.pid}/fd").iterdir():
            with suppress(OSError):  # it may be closed by now
                names.add(os.readlink(descriptor))
        return names

    def listens() -> bool:
        assert process.returncode is None, f"sipp ended with {process.returncode}"
        rows = [
            row.split()
            for name in ("udp", "tcp")
            for row in Path(f"/proc/net/{name}").read_text().splitlines()[1:]
        ]
        inodes = {f"socket:[{row[9]}]" for row in rows if row[1].endswith(wanted)}
        return bool(inodes & own())

    await until(listens, timeout=20)
