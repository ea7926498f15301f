"""Debian's PostgreSQL: a server of the tests, whose data is in memory, and a database for each test."""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg

from bridge.db.postgres import Postgres
from tests.support.machine import free_port

USER = "bridge"
PASSWORD = "a-password-of-tests"
TEMPLATE = "bridge_template"
SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "shared_buffers": "16MB",
    "max_connections": "60",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    # Below the data folder, so that a server that was killed leaves nothing behind.
    "dynamic_shared_memory_type": "mmap",
    "autovacuum": "off",
    "listen_addresses": "127.0.0.1",
}
"""Fast, and what is committed survives a crash of the server, though not of the machine."""


def programs() -> Path | None:
    """Return the folder of the server's programs; Debian has them outside the path."""
    found = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[4])
    )
    if found:
        return found[-1].parent
    elsewhere = shutil.which("initdb")
    return Path(elsewhere).parent if elsewhere else None


@dataclass
class Server:
    """A running server."""

    folder: Path
    port: int
    settings: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    made: int = 0

    def url(self, database: str, *, user: str = USER) -> str:
        """Return the URL of a database, over the Unix socket."""
        return f"postgresql://{user}@/{database}?host={self.folder}&port={self.port}"

    def tcp_url(self, database: str, *, user: str = USER, options: str = "") -> str:
        """Return the URL of a database, over TCP and with a password."""
        return f"postgresql://{user}:{PASSWORD}@127.0.0.1:{self.port}/{database}{options}"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        folder = programs()
        assert folder is not None
        options = {**SETTINGS, **self.settings, "port": str(self.port)}
        options["unix_socket_directories"] = str(self.folder)
        command = [str(folder / "postgres"), "-D", str(self.folder / "data")]
        for name, value in options.items():
            command += ["-c", f"{name}={value}"]
        log = (self.folder / "log").open("ab")
        with log:
            # It ends with the worker that started it, whatever happens to that.
            self.process = subprocess.Popen(
                [*_as_postgres(), "--pdeathsig", "QUIT", *command] if _as_postgres() else command,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
            )
        until = time.monotonic() + 30
        while True:
            try:
                self.execute("SELECT 1", database="postgres")
            except (OSError, asyncpg.PostgresError):
                if time.monotonic() > until or self.process.poll() is not None:
                    log_text = (self.folder / "log").read_text(errors="replace")
                    raise AssertionError(
                        f"PostgreSQL does not start:\n{log_text[-2000:]}"
                    ) from None
                time.sleep(0.02)
            else:
                return

    def stop(self, number: signal.Signals = signal.SIGQUIT) -> None:
        """End it: at once, without closing its connections, or by another signal."""
        if self.process is not None:
            self.process.send_signal(number)
            self.process.send_signal(signal.SIGCONT)
            self.process.wait(20)
            self.process = None

    def pause(self) -> None:
        """Stop it so that it answers nothing, and keeps its connections."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused server go on."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        own = self.process.pid
        children = Path(f"/proc/{own}/task/{own}/children").read_text().split()
        for pid in [own, *map(int, children)]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def execute(self, *statements: str, database: str = "postgres") -> None:
        """Execute statements as the server's superuser."""

        async def execute() -> None:
            connection = await asyncpg.connect(self.url(database, user="postgres"), timeout=5)
            try:
                for statement in statements:
                    await connection.execute(statement)
            finally:
                await connection.close()

        # In a thread, since the test may have a running loop.
        with ThreadPoolExecutor(1) as thread:
            thread.submit(asyncio.run, execute()).result()

    @contextlib.contextmanager
    def database(self, *, template: str = TEMPLATE) -> Iterator[str]:
        """Make a database with all tables, or none (`template0`); yields its name, and drops it afterwards."""
        self.made += 1
        name = f"test_{self.made}"
        self.execute(f"CREATE DATABASE {name} OWNER {USER} TEMPLATE {template} STRATEGY FILE_COPY")
        try:
            yield name
        finally:
            if self.process is not None:
                self.execute(f"DROP DATABASE {name} WITH (FORCE)")


@contextlib.contextmanager
def running_postgres(above: Path | None = None, **settings: str) -> Iterator[Server]:
    """Run a server until the block is left, in a folder below one; `settings` are those of postgresql.conf."""
    found = programs()
    assert found is not None
    # A Unix socket's path must be short, and the server's user must reach the folder.
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir=above))
    try:
        if _as_postgres():
            shutil.chown(folder, "postgres", "postgres")
        folder.chmod(0o755)
        subprocess.run(
            [
                *(*_as_postgres(), str(found / "initdb"), "-D", str(folder / "data")),
                *("-U", "postgres", "--no-sync", "--no-instructions"),
                # As most servers sort: not by bytes.
                *("--encoding=UTF8", "--locale=C.UTF-8"),
                *("--locale-provider=icu", "--icu-locale=en-US"),
                *("--auth-local=trust", "--auth-host=scram-sha-256"),
            ],
            check=True,
            capture_output=True,
            cwd=folder,
        )
        server = Server(folder, free_port("127.0.0.1"), settings)
        server.start()
        try:
            server.execute(
                f"CREATE ROLE {USER} LOGIN PASSWORD '{PASSWORD}'",
                f"CREATE DATABASE {TEMPLATE} OWNER {USER} TEMPLATE template0",
            )
            Postgres(server.url(TEMPLATE)).open().close()
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _as_postgres() -> list[str]:
    """Return what runs a program as another user than root, whom the server refuses."""
    if os.geteuid() != 0:
        return []
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"]
