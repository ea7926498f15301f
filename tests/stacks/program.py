"""Runs a caller in Python: a JSON command a line on standard input, its reply on standard output."""

import asyncio
import base64
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Run: TypeAlias = Callable[[str, dict[str, Any]], Awaitable[dict[str, Any]]]


def pcm(file: str) -> NDArray[np.int16]:
    """Read the samples that a program is to say."""
    coded = json.loads(Path(file).read_text())["pcm"]
    return np.frombuffer(base64.b64decode(coded), "<i2").copy()


async def serve(run: Run) -> None:
    """Take commands until standard input ends; one that fails is replied to with `error`."""
    while line := await asyncio.to_thread(sys.stdin.readline):
        command = json.loads(line)
        try:
            reply = await run(command.pop("do"), command)
        except Exception as error:
            reply = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(reply), flush=True)


def without_candidates(sdp: str) -> str:
    """Return an offer as it is before any candidate is known."""
    lines = sdp.splitlines()
    kept = [line for line in lines if not line.startswith(("a=candidate", "a=end-of-candidates"))]
    return "\r\n".join(kept) + "\r\n"
