"""Programs that run on a host of the network, started, killed, paused and ended by the test."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.machines.network import Host

PROJECT = Path(__file__).parents[2]
STOP_SECONDS = 30.0


@dataclass(slots=True)
class Program:
    """A program of a host; may be started again after it has ended."""

    host: Host
    command: Sequence[str]
    folder: Path
    """Takes its log."""
    environment: Mapping[str, str] = field(default_factory=dict)
    user: str = ""
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; its log goes on where it was."""
        as_user = ("setpriv", f"--reuid={self.user}", f"--regid={self.user}", "--init-groups")
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("BRIDGE_")}
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                [*self.host.prefix, *(as_user if self.user else ()), *self.command],
                cwd=PROJECT,
                env=inherited | dict(self.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def log_file(self) -> Path:
        """Where it writes."""
        return self.folder / "log.txt"

    @property
    def log(self) -> str:
        """What it has written, over all its starts."""
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    @property
    def running(self) -> bool:
        """Whether it has been started and has not ended."""
        return self.process is not None and self.process.poll() is None

    def send(self, number: signal.Signals, *, family: bool = True) -> None:
        """Send a signal to it, and to what it has started unless `family` is false."""
        assert self.process is not None
        with suppress(ProcessLookupError):
            if family:
                os.killpg(self.process.pid, number)
            else:
                self.process.send_signal(number)

    def kill(self) -> None:
        """End it and what it has started, without any notice."""
        self.send(signal.SIGKILL)
        assert self.process is not None
        self.process.wait()

    def stop(self, *, seconds: float = STOP_SECONDS) -> int:
        """Ask it to end and wait; returns its exit code.

        Raises:
            AssertionError: it did not end; it is killed.
        """
        assert self.process is not None
        self.send(signal.SIGCONT)
        self.send(signal.SIGTERM, family=False)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"did not end:\n{self.log[-5000:]}") from None


def wait_until(condition: Callable[[], object], what: str, seconds: float = 30.0) -> None:
    """Wait in a blocking way until a condition holds.

    Raises:
        AssertionError: it does not, and `what` says what does not hold.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)
