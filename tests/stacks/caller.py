"""Callers made of other WebRTC stacks: small programs, each in a process of its own.

    PROGRAM LINES SOUND [BUNDLE]

LINES names the media lines it offers, in order (`audio`, `video`, `data`). SOUND is a JSON file of
Opus packets in base64, of 20 ms each, that it says over and over; webrtcbin makes its own tone. It
writes `{"offer": SDP}`, reads `{"answer": SDP}`, connects, speaks, writes the first 25 payloads
that it hears as `{"heard": [base64, ...]}` and ends. All of it is one JSON object a line.
"""

import asyncio
import base64
import json
import shutil
import subprocess
from asyncio.subprocess import PIPE
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.support.bridge_peer import speech
from tests.support.signalling import Exchange

FOLDER = Path(__file__).parent
PROJECT = FOLDER.parents[1]
DEBIAN_PYTHON = "/usr/bin/python3"
PION = PROJECT / "build" / "pion-caller"
SECONDS = 20.0
HOW = "make test-tools, as root on Debian"


def gstreamer_missing() -> str | None:
    """Say what webrtcbin lacks here."""
    code = 'import gi; gi.require_version("GstWebRTC", "1.0")'
    bound = shutil.which(DEBIAN_PYTHON) and not subprocess.call(
        [DEBIAN_PYTHON, "-c", code], stderr=subprocess.DEVNULL
    )
    nice = [*Path("/usr/lib").glob("*/gstreamer-1.0/libgstnice.so")]
    return None if bound and nice else f"GStreamer's webrtcbin is not installed ({HOW})"


def pion_missing() -> str | None:
    """Say what Pion lacks here."""
    return None if PION.exists() else f"the caller made of Pion is not built ({HOW})"


def node_missing() -> str | None:
    """Say what the stacks for Node lack here."""
    found = shutil.which("node") and (FOLDER / "node_modules" / "werift").exists()
    return None if found else f"werift and node-datachannel are not installed ({HOW})"


STACKS: dict[str, tuple[list[str], Callable[[], str | None]]] = {
    "webrtcbin": ([DEBIAN_PYTHON, str(FOLDER / "gstreamer.py")], gstreamer_missing),
    "pion": ([str(PION)], pion_missing),
    "werift": (["node", str(FOLDER / "werift.mjs")], node_missing),
    "node-datachannel": (["node", str(FOLDER / "node_datachannel.mjs")], node_missing),
}
"""By name: how it is started, and what says whether it can be."""


class CallerError(Exception):
    """The program gave up; the text is what it wrote on standard error."""


async def call(
    stack: str, lines: Sequence[str], exchange: Exchange, folder: Path, *, bundle: str = ""
) -> list[bytes]:
    """Let a stack make a call; returns the Opus payloads that it heard.

    Args:
        stack: A key of `STACKS`.
        lines: What it offers, in order.
        exchange: Answers its offer.
        folder: Takes a file.
        bundle: webrtcbin's bundle policy.

    Raises:
        CallerError: it gave up.
        TimeoutError: it heard nothing in time.
    """
    sound = folder / "sound.json"
    sound.write_text(json.dumps([base64.b64encode(one).decode() for one in speech(50)]))
    command = [*STACKS[stack][0], ",".join(lines), str(sound), *([bundle] if bundle else [])]
    process = await asyncio.create_subprocess_exec(
        *command, cwd=FOLDER, stdin=PIPE, stdout=PIPE, stderr=PIPE, limit=1 << 20
    )
    assert process.stdin is not None
    try:
        async with asyncio.timeout(SECONDS):
            offer = (await _read(process))["offer"]
            answer = await exchange(offer)
            process.stdin.write(json.dumps({"answer": answer}).encode() + b"\n")
            heard = (await _read(process))["heard"]
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
    return [base64.b64decode(text) for text in heard]


async def _read(process: asyncio.subprocess.Process) -> dict[str, str]:
    assert process.stdout is not None
    assert process.stderr is not None
    line = await process.stdout.readline()
    if not line:
        raise CallerError((await process.stderr.read()).decode(errors="replace"))
    parsed: dict[str, str] = json.loads(line)
    return parsed
