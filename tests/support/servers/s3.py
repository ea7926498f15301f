"""A real S3 server (SeaweedFS) for tests, on ports and in a folder of its own, and a proxy to hurt it."""

import asyncio
import contextlib
import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import obstore
from obstore.store import S3Store

from bridge.settings import recording

BUCKET = "recordings"
KEY, SECRET = "tests", "a-secret-of-the-tests"
READER, READER_SECRET = "reader", "another-secret-of-the-tests"
"""May look, and neither write nor delete."""
START_SECONDS = 60.0
PORTS = 8


@dataclass(frozen=True, slots=True)
class S3:
    """A server with an empty bucket."""

    port: int

    def account(self, *, port: int | None = None, reader: bool = False) -> recording.S3:
        """Who the bridge is to it, maybe by proxy of another port."""
        return recording.S3(
            bucket=BUCKET,
            region="us-east-1",
            endpoint=f"http://127.0.0.1:{port or self.port}",
            access_key=READER if reader else KEY,
            secret_key=READER_SECRET if reader else SECRET,
        )

    @property
    def store(self) -> S3Store:
        """The bucket, as somebody else sees it."""
        return S3Store(
            BUCKET,
            endpoint=f"http://127.0.0.1:{self.port}",
            region="us-east-1",
            access_key_id=KEY,
            secret_access_key=SECRET,
            client_options={"allow_http": True},
        )

    def objects(self) -> dict[str, int]:
        """The length of every object, by key."""
        return {item["path"]: item["size"] for page in obstore.list(self.store) for item in page}

    def content(self, key: str) -> bytes:
        return bytes(obstore.get(self.store, key).bytes())

    def empty(self) -> None:
        """Delete everything."""
        for key in self.objects():
            obstore.delete(self.store, key)


@contextmanager
def running(folder: Path) -> Iterator[S3]:
    """Run a server; it is killed at the end, with all it has."""
    first = _free_ports(PORTS)
    s3 = S3(first + 6)
    config = folder / "s3.json"
    config.write_text(json.dumps({"identities": [_identity(KEY, SECRET, "Admin"), _reader()]}))
    with (folder / "log.txt").open("wb") as log:
        process = subprocess.Popen(
            _command(folder, first, config), stdout=log, stderr=subprocess.STDOUT
        )
        try:
            _wait(process, s3)
            yield s3
        finally:
            process.kill()
            process.wait()
            for port in range(first, first + PORTS):  # of sockets that a killed server leaves
                for left in Path(tempfile.gettempdir()).glob(f"seaweedfs-*-{port}.sock"):
                    left.unlink()


def _command(folder: Path, first: int, config: Path) -> list[str]:
    program = shutil.which("weed", path=str(Path(sys.executable).parent)) or "weed"
    (folder / "data").mkdir()
    names = ("master", "master.grpc", "volume", "volume.grpc", "filer", "filer.grpc", "s3")
    ports = {
        f"{name.partition('.')[0]}.port{'.grpc' if name.endswith('.grpc') else ''}": first + index
        for index, name in enumerate((*names, "s3.grpc"))
    }
    return [
        program,
        f"-logdir={folder}",
        "server",
        f"-dir={folder / 'data'}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        "-filer",
        "-s3",
        f"-s3.config={config}",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-master.volumeSizeLimitMB=64",
        "-master.telemetry=false",
        "-volume.max=20",
        *(f"-{name}={port}" for name, port in ports.items()),
    ]


def _identity(key: str, secret: str, *actions: str) -> dict[str, object]:
    credentials = [{"accessKey": key, "secretKey": secret}]
    return {"name": key, "credentials": credentials, "actions": list(actions)}


def _reader() -> dict[str, object]:
    return _identity(READER, READER_SECRET, f"Read:{BUCKET}", f"List:{BUCKET}")


def _wait(process: subprocess.Popen[bytes], s3: S3) -> None:
    """Wait until the server keeps objects, in a bucket that is made."""
    until = time.monotonic() + START_SECONDS
    create = obstore.sign(s3.store, "PUT", "", timedelta(seconds=START_SECONDS))
    made = False
    while time.monotonic() < until and process.poll() is None:
        with contextlib.suppress(OSError, obstore.exceptions.BaseError):
            if not made:
                urllib.request.urlopen(urllib.request.Request(create, method="PUT"), timeout=5)
                made = True
            obstore.put(s3.store, "ready", b"yes")
            obstore.delete(s3.store, "ready")
            return
        time.sleep(0.1)
    raise AssertionError("the S3 server did not start")


def _free_ports(count: int) -> int:
    """Find the first of several TCP ports in a row that nobody uses now."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            first: int = probe.getsockname()[1]
        if first + count < 65536 and all(_free(port) for port in range(first, first + count)):
            return first


def _free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


class FaultyProxy:
    """A TCP proxy to a server that can be slow, or end in nothing; ask for `port` once it is open."""

    def __init__(self, to: int) -> None:
        self._to = to
        self.port = 0
        self.bytes_per_second = 0.0
        """0 = as fast as it goes."""
        self.cut = False
        """Whether connections are refused, and those there are broken off."""
        self._writers: set[asyncio.StreamWriter] = set()
        self._serving: set[asyncio.Task[None]] = set()

    def break_off(self) -> None:
        self.cut = True
        for writer in self._writers:
            writer.transport.abort()

    async def aclose(self) -> None:
        self.break_off()
        for task in self._serving:  # they may be asleep for long
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.cut:
            writer.transport.abort()
            return
        there, back = await asyncio.open_connection("127.0.0.1", self._to)
        self._writers |= {writer, back}
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._carry(reader, back))
                group.create_task(self._carry(there, writer))
        finally:
            self._writers -= {writer, back}
            writer.close()
            back.close()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while piece := await reader.read(16 * 1024):
                if self.bytes_per_second:
                    await asyncio.sleep(len(piece) / self.bytes_per_second)
                writer.write(piece)
                await writer.drain()
            if not writer.transport.is_closing():
                writer.write_eof()


@asynccontextmanager
async def faulty_proxy(to: int) -> AsyncIterator[FaultyProxy]:
    """Open a proxy of a server's port."""
    proxy = FaultyProxy(to)
    server = await asyncio.start_server(proxy.accept, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        await proxy.aclose()
        server.close()
        await server.wait_closed()
