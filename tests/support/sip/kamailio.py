"""Debian's kamailio: with the configuration that the project ships, or as a carrier's registrar."""

import os
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

READY_SECONDS = 60.0
SHIPPED = Path(__file__).parents[3] / "deploy" / "kamailio"
MODULES = "/etc/kamailio/"


@contextmanager
def running_kamailio(
    folder: Path, configuration: str, *, tcp_port: int, environment: Mapping[str, str] = {}
) -> Iterator[Path]:
    """Run kamailio with a configuration until the block is left; gives its log.

    `tcp_port` is one that it listens on for TCP, on 127.0.0.1: when it is open, kamailio is ready.
    """
    file, log = folder / "kamailio.cfg", folder / "kamailio.log"
    file.write_text(configuration)
    command = [
        *("kamailio", "-f", str(file), "-DD", "-E", "-m", "32", "-M", "4"),
        *("-w", str(folder), "-Y", str(folder), "-P", str(folder / "kamailio.pid")),
    ]
    with (
        log.open("wb") as output,
        subprocess.Popen(
            command,
            stdout=output,
            stderr=output,
            cwd=folder,
            env={**os.environ, **environment},
            start_new_session=True,
        ) as process,
    ):
        try:
            _wait_until_it_listens(process, tcp_port, log)
            yield log
        finally:
            process.terminate()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, 9)


def shipped(folder: Path, replaced: Mapping[str, str], **files: str) -> str:
    """Return the shipped configuration with a test's own addresses; its other files are written to `folder`.

    Args:
        folder: takes the place of /etc/kamailio.
        replaced: shipped text, each there once, and the test's own.
        files: the text of dispatcher, address and so on, instead of the shipped.
    """
    text = (SHIPPED / "kamailio.cfg").read_text()
    for old, new in replaced.items():
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    assert f'"{MODULES}tls.cfg"' in text
    for path in SHIPPED.glob("*.*"):
        if path.name != "kamailio.cfg":
            content = files.get(path.stem) or path.read_text()
            (folder / path.name).write_text(content.replace(MODULES, f"{folder}/"))
    return text.replace(MODULES, f"{folder}/")


def _wait_until_it_listens(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise AssertionError(f"kamailio does not listen:\n{log.read_text(errors='replace')[-3000:]}")
