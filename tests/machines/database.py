"""Debian's PostgreSQL on a host of its own, which keeps what it has committed when it is killed."""

import shutil
import subprocess
from pathlib import Path

from tests.machines.network import Host
from tests.machines.programs import Program, wait_until
from tests.support.servers.postgres import programs

PORT = 5432
SLOW_PORT = 5433
"""Of the proxy that delays every answer."""
NAME = "bridge"
USER = "postgres"
_PASSWORD = "cluster"


class DatabaseServer(Program):
    """The database's server."""

    @property
    def url(self) -> str:
        """For `data.url`."""
        return self.url_at(PORT)

    def url_at(self, port: int) -> str:
        """For `data.url`, at another port of this host."""
        return f"postgresql://{USER}:{_PASSWORD}@{self.host.address}:{port}/{NAME}"

    def wait_ready(self) -> None:
        """Wait until it takes connections."""
        ready = [str(_binary("pg_isready")), "-q", "-h", self.host.address, "-p", str(PORT)]

        def accepts() -> bool:
            return subprocess.run(ready, check=False, capture_output=True).returncode == 0

        wait_until(accepts, f"PostgreSQL is not ready:\n{self.log}")


def create(host: Host, folder: Path) -> DatabaseServer:
    """Make a new database below the folder, which must be one that other users may enter, and run it."""
    data = folder / "data"
    folder.mkdir(parents=True, exist_ok=True)
    password = folder / "password"
    password.write_text(_PASSWORD)
    for each in (folder, password):
        shutil.chown(each, USER, USER)
    as_user = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--init-groups"]
    options = ["--no-sync", "--encoding=UTF8", "--locale=C", "--auth-host=scram-sha-256"]
    initialise = [*as_user, str(_binary("initdb")), f"--pgdata={data}", *options]
    subprocess.run(
        [*initialise, f"--username={USER}", f"--pwfile={password}"],
        check=True, capture_output=True, cwd="/",
    )  # fmt: skip
    with (data / "pg_hba.conf").open("a") as rules:
        rules.write("host all all 10.232.0.0/16 scram-sha-256\n")
    single = [*as_user, str(_binary("postgres")), "--single", "-D", str(data), "postgres"]
    subprocess.run(
        single,
        check=True,
        capture_output=True,
        cwd="/",
        input=f"CREATE DATABASE {NAME};\n".encode(),
    )
    settings = {
        "listen_addresses": "*",
        "port": str(PORT),
        "unix_socket_directories": str(folder),
        # Commits wait for the disk, as in earnest: what is killed must have kept them.
        "fsync": "on",
        # Nothing is left in /dev/shm by a server that is killed.
        "dynamic_shared_memory_type": "mmap",
        "max_connections": "60",
    }
    command = [str(_binary("postgres")), "-D", str(data)]
    command += [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    server = DatabaseServer(host, command, folder, user=USER)
    server.start()
    server.wait_ready()
    return server


def available() -> bool:
    """Whether PostgreSQL is installed."""
    return programs() is not None


def _binary(name: str) -> Path:
    folder = programs()
    assert folder is not None
    return folder / name
