"""Start the servers that the bench compares, each fresh and on a core of its own."""

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

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 20.0
PRIORITY = -15
"""So that whatever else the machine does delays neither server nor generator."""


@dataclass(frozen=True, slots=True)
class Server:
    """A running server."""

    url: str
    pid: int


def cores() -> tuple[int | None, int | None]:
    """Choose the server's core and the generator's; None when there is only one."""
    usable = sorted(os.sched_getaffinity(0))
    return (usable[0], usable[-1]) if len(usable) > 1 else (None, None)


@contextmanager
def start(target: str, *, core: int | None, **more: str) -> Iterator[Server]:
    """Start `bridge` or `stock`, wait until it is ready, and stop it at the end.

    `more` are environment variables for it.

    Raises:
        RuntimeError: it ended, or was not ready in 20 s; its output is in the message.
    """
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        port = free_port()
        command, environment = _how(target, port, folder)
        log = Path(folder) / "output"
        with log.open("wb") as output:
            process = subprocess.Popen(
                command,
                env=environment | more,
                cwd=ROOT,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        try:
            pin(process.pid, core)
            _wait_ready(f"http://127.0.0.1:{port}/readyz", process, log)
            yield Server(f"http://127.0.0.1:{port}", process.pid)
        finally:
            _stop(process)


def pin(pid: int, core: int | None) -> None:
    """Keep a process, and what it starts from now on, on one core, before others if allowed.

    The kernel may weigh whole sessions against each other (autogroup) and a process only within
    its own; so the process should have been started in a new session, whose weight is raised too.
    """
    if core is not None:
        os.sched_setaffinity(pid, {core})
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, pid, PRIORITY)
        Path(f"/proc/{pid}/autogroup").write_text(str(PRIORITY))


def free_port() -> int:
    """Find a TCP port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _how(target: str, port: int, folder: str) -> tuple[list[str], dict[str, str]]:
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("BRIDGE_")}
    if target == "stock":
        return [sys.executable, "-m", "tests.load.stock_echo", "--port", str(port)], inherited
    return [sys.executable, "-m", "bridge"], inherited | {
        "BRIDGE_HTTP__HOST": "127.0.0.1",
        "BRIDGE_HTTP__PORT": str(port),
        "BRIDGE_DATA__DIR": folder,
        "BRIDGE_LIMITS__OVERLOAD_SECONDS": "0",  # what it cannot carry is to be seen, not refused
        "BRIDGE_LOG__LEVEL": "warning",
        "BRIDGE_RTC__BIND": '["127.0.0.1"]',
        "BRIDGE_RTC__STUN_URLS": "[]",
        "BRIDGE_SIMULATOR__RING_SECONDS": "0",
    }


def _wait_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=1) as response:
                if response.status == 200:
                    return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError(f"the server did not get ready:\n{log.read_text(errors='replace')}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
