"""Parties made of LiveKit's client SDKs, unchanged: each a program in a process of its own, or a page.

A party takes commands as callers do (tests/stacks/caller.py):

- `join`: `url` and `token` of `POST /call/{callId}/livekit`, `single` for one peer connection; replies
  with the `others` in the room, each as identity, kind and attributes
- `publish`: a microphone that says a tone of so many `hertz`
- `mute` (`muted`), `leave`, `send` (`text` over the data channel)
- `hear`: what it hears for so many `seconds`: `pcm`, `rate` and `offset`
- `events`: what the SDK has told so far, each a list of its name in Python's words and what there is to say about it
"""

import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import numpy as np

from tests.stacks.caller import Caller, program
from tests.stacks.clients import FOLDER
from tests.stacks.sound import Heard
from tests.support.inprocess import Client
from tests.support.sound.speech_compare import RATE, level_db, longest_gap, tone
from tests.support.waiting import until_answer

SDK_RATE = 48_000
PEAK = 8_000
"""Of the tone, of 32,768."""
EVENTS = (
    "connected",
    "track_subscribed",
    "track_muted",
    "track_unmuted",
    "participant_attributes_changed",
    "connection_quality_changed",
    "active_speakers_changed",
    "reconnecting",
    "reconnected",
    "disconnected",
)
LOUD, FADED, QUIET = -25.0, -35.0, -50.0
"""Levels in dB of full scale: the tone has -15 dB."""
PIECE_SECONDS = 0.3


COMMANDS = {
    "python": (sys.executable, "-m", "tests.stacks.livekit_sdks.python_sdk"),
    "node": ("node", str(FOLDER / "livekit_sdks" / "node_sdk.mjs")),
}
"""By SDK: what starts its program."""


def party(sdk: str, folder: Path) -> AbstractAsyncContextManager[Caller]:
    """Start the program of an SDK."""
    return program(COMMANDS[sdk], folder)


async def join(
    client: Client,
    call_id: str,
    party: Caller,
    *,
    side: str = "near",
    identity: str = "alice",
    **options: Any,
) -> dict[str, Any]:
    """Let a party join a call of a bridge in this process, with a token of the bridge's."""
    wanted = {"party": side, "identity": identity}
    answer = await client.data(f"/call/{call_id}/livekit", wanted)
    options = {"url": answer["url"], "token": answer["token"]} | options
    return await party.ask("join", **options)


def near_legs(client: Client, call_id: str) -> list[Any]:
    """Return the near legs of a call."""
    [runner] = [one for one in client.bridge.manager.calls() if one.facts.call_id == call_id]
    return list(runner.machine.legs.near())


async def heard_tone(party: Caller, hertz: float) -> Heard:
    """Wait until a party hears the tone that another, or its echo, says; check its frequency and level."""
    heard = await until_loud(party)
    expected = level_db(tone(1.0, level=PEAK / 32768))
    seen = frequency(heard)
    assert abs(seen - hertz) < 5, f"{seen:.0f} Hz at {heard.level:.1f} dB"
    assert abs(heard.level - expected) < 3, f"{seen:.0f} Hz at {heard.level:.1f} dB"
    return heard


async def until_loud(party: Caller, seconds: float = 1.0) -> Heard:
    """Wait until a party hears something all along; return so much more of it."""
    await until_answer(lambda: _hears(party, lambda heard: heard.level > LOUD and heard.gap < 0.02))
    return await party.hear(seconds)


async def until_quiet(party: Caller) -> None:
    """Wait until a party hears nothing."""
    await until_answer(lambda: _hears(party, lambda heard: heard.level < QUIET))


async def _hears(party: Caller, good: Callable[[Heard], bool]) -> bool:
    heard = await party.hear(PIECE_SECONDS)
    return len(heard.sound) > 0 and good(heard)


def silence(heard: Heard, seconds: float) -> float:
    """Return how long a tone was away in so many seconds at most; what the SDK makes up for lost packets fades."""
    missing = seconds - len(heard.sound) / RATE
    return max(longest_gap(heard.sound, threshold_db=FADED), missing)


def frequency(heard: Heard) -> float:
    """Return the frequency of the strongest tone, in hertz."""
    spectrum = np.abs(np.fft.rfft(heard.sound * np.hanning(len(heard.sound))))
    return float(np.argmax(spectrum) * RATE / len(heard.sound))


async def told(party: Caller, event: str, *words: str, times: int = 1) -> list[str]:
    """Wait until the SDK has told an event so often, each with these words in it; return the last."""

    async def found() -> list[Any]:
        events = (await party.ask("events"))["events"]
        return [one for one in events if one[0] == event and set(words) <= set(one)][times - 1 :]

    return list((await until_answer(found))[-1])
