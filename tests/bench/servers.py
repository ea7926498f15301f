"""Start the servers that the bench compares, each fresh and on a core of its own."""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.bench import measure, scrape
from tests.bench.generators import janus, stopping
from tests.support.machine import free_port

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 20.0
PRIORITY = -15
"""So that whatever else the machine does delays neither server nor generator."""
LAST = 19
"""So that a server that waits takes from others on its core only what they leave."""

MEDIA_THREAD = "media"
"""Name of the bridge's thread that handles packets without the interpreter."""


@dataclass(frozen=True, slots=True)
class Server:
    """A running server."""

    url: str
    pid: int


def cores() -> tuple[int | None, int | None]:
    """Choose the server's core and the generator's; None when there is only one."""
    usable = sorted(os.sched_getaffinity(0))
    return (usable[0], usable[-1]) if len(usable) > 1 else (None, None)


@dataclass(frozen=True, slots=True)
class _Recipe:
    """How a server is started."""

    command: list[str]
    environment: dict[str, str]
    url: str
    ready: str = ""
    """URL that answers 200 once it is ready; empty: ready once its port takes connections."""


@contextmanager
def start(target: str, *, core: int | None, root: str = str(ROOT), **more: str) -> Iterator[Server]:
    """Start `bridge`, `stopping`, `stock`, `wrtc`, `janus` or `pipecat`, wait until it is ready, and stop it at the end.

    Args:
        target: Which server.
        core: Where it is to run; None: anywhere.
        root: The checkout whose bridge is started.
        more: Environment variables for it.

    Raises:
        RuntimeError: it ended, or was not ready in 20 s; its output is in the message.
    """
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        port = free_port()
        recipe = _how(target, port, Path(folder))
        log = Path(folder) / "output"
        with log.open("wb") as output:
            process = subprocess.Popen(
                recipe.command,
                env=recipe.environment | more,
                cwd=root,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        try:
            pin(process.pid, core)
            _wait_ready(recipe.ready, port, process, log)
            yield Server(recipe.url, process.pid)
        finally:
            _stop(process)


def pin(pid: int, core: int | None) -> None:
    """Keep a process, and what it starts from now on, on one core, before others if allowed.

    The kernel may weigh whole sessions against each other (autogroup) and a process only within
    its own; so the process should have been started in a new session, whose weight is raised too.
    """
    if core is not None:
        os.sched_setaffinity(pid, {core})
    _weigh(pid, PRIORITY)


def move(pid: int, core: int, priority: int) -> None:
    """Move a process with all its threads, and those it has started, to a core, at a priority."""
    for one in measure.family(pid):
        for task in Path(f"/proc/{one}/task").iterdir():
            with suppress(ProcessLookupError):
                os.sched_setaffinity(int(task.name), {core})
                _weigh(int(task.name), priority)


def set_apart(pid: int, *, core: int, beside: int) -> None:
    """Leave a core to the thread of a bridge that handles packets, and move all its others beside it.

    Raises:
        RuntimeError: it has none: there is one once it has had a call.
    """
    move(pid, beside, PRIORITY)
    tasks = Path(f"/proc/{pid}/task").iterdir()
    found = [task for task in tasks if (task / "comm").read_text().strip() == MEDIA_THREAD]
    if not found:
        raise RuntimeError(f"process {pid} has no thread {MEDIA_THREAD}")
    for task in found:
        os.sched_setaffinity(int(task.name), {core})


def _weigh(pid: int, priority: int) -> None:
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, pid, priority)
        Path(f"/proc/{pid}/autogroup").write_text(str(priority))


def _how(target: str, port: int, folder: Path) -> _Recipe:
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("BRIDGE_")}
    url = f"http://127.0.0.1:{port}"
    if target == "janus":
        command = janus.configure(folder, port)
        return _Recipe(command, inherited, f"ws://127.0.0.1:{port}")
    if target == "pipecat":
        command = [sys.executable, str(ROOT / "examples" / "pipecat" / "echo.py")]
        logged = {"PORT": str(port), "LOGURU_LEVEL": "WARNING"}
        return _Recipe(command, inherited | logged, f"ws://127.0.0.1:{port}/ws")
    if target in ("stock", "wrtc"):
        command = [sys.executable, "-m", "tests.bench.generators.stock_echo", "--port", str(port)]
        command += ["--library", "webrtc.aiortc"] if target == "wrtc" else []
        return _Recipe(command, inherited, url, f"{url}/readyz")
    environment = inherited | {
        "BRIDGE_HTTP__HOST": "127.0.0.1",
        "BRIDGE_HTTP__PORT": str(port),
        "BRIDGE_DATA__DIR": str(folder),
        "BRIDGE_LIMITS__CALLS": "2000",
        "BRIDGE_LIMITS__OVERLOAD_SECONDS": "0",  # what it cannot carry is to be seen, not refused
        "BRIDGE_LOG__LEVEL": "warning",
        "BRIDGE_METRICS__KEYS": json.dumps([scrape.KEY["token"]]),
        "BRIDGE_RTC__BIND": '["127.0.0.1"]',
        "BRIDGE_RTC__PORTS": "20000-29999",
        "BRIDGE_RTC__STUN_URLS": "[]",
        "BRIDGE_SIMULATOR__RING_SECONDS": "0",
    }
    program = ["-m", "bridge"] if target == "bridge" else ["-P", stopping.__file__]
    return _Recipe([sys.executable, *program], environment, url, f"{url}/readyz")


def _wait_ready(url: str, port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if not url:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                return
            with urllib.request.urlopen(url, timeout=1) as response:
                if response.status == 200:
                    return
        except OSError:
            pass
        time.sleep(0.05)
    raise RuntimeError(f"the server did not get ready:\n{log.read_text(errors='replace')}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
