"""Talks, ended in every way, leave nothing behind."""

import asyncio
import gc
import ipaddress
import os
from itertools import cycle
from typing import cast

import pytest

from bridge.agent.http_providers import http_providers
from bridge.agent.script import AgentMode, Script
from bridge.agent.voice_detector import VoiceDetectors, silero
from bridge.audio.frame import SILENCE, Frame
from bridge.call.model import LegId, LineName
from bridge.http.address_guard import Guard
from bridge.http.client import Http
from bridge.legs.agent import AgentLeg
from bridge.metrics.agent import AgentMetrics
from bridge.settings.agent import Agent
from tests.support.servers.provider_double import ProviderDouble, providing
from tests.support.sound.agent_talk import VOICE, Counts
from tests.support.waiting import until

AT_ONCE = 20
SETTINGS = Agent(
    end_seconds=0.1,
    silence_seconds=0.6,
    filler_seconds=0.2,
    stt_seconds=0.2,
    llm_seconds=0.2,
    tts_seconds=0.2,
    text_bytes=20_000,
    sound_bytes=40_000,
)

FAULTS: tuple[tuple[str, object], ...] = (
    ("", None),
    ("stt", 500), ("llm", 500), ("tts", 500),
    ("stt", "hang"), ("llm", "hang"), ("tts", "hang"),
    ("stt", "drip"), ("llm", "drip"), ("tts", "drip"),
    ("stt", b"\x00"), ("llm", b"{"), ("tts", b"<html>no</html>"),
    ("stt", bytes(60_000)), ("llm", bytes(60_000)), ("tts", bytes(60_000)),
)  # fmt: skip
"""Which step does what instead of its work."""
FRAMES = (1, 5, 12, 25, 40, 60, 90)
"""After so many the caller hangs up: in the greeting, while it speaks, in each step, in fillers."""


async def talk(
    number: int, double: ProviderDouble, http: Http, voices: VoiceDetectors, frames: int
) -> None:
    urls = (f"{double.root}/stt", f"{double.root}/llm", f"{double.root}/tts")
    leg = AgentLeg(
        LegId(f"leg_{number}"),
        Script(AgentMode.AI, greeting="Good day." if number % 2 else "", settings=SETTINGS),
        http_providers(http.of(LineName("main")), urls, "", SETTINGS),
        voices=voices,
        counters=cast("AgentMetrics", Counts()),
        hang_up=lambda: None,
    )
    running = asyncio.get_running_loop().create_task(leg.run(lambda event: None))
    for frame in range(frames):
        leg.pull()
        leg.push(Frame(VOICE if frame % 50 < 15 else SILENCE, 0, "t"), 0.0)
        await asyncio.sleep(0.004)
    if number % 3:
        running.cancel()  # as the call's runner does
    else:
        leg._over.set()
    await asyncio.gather(running, return_exceptions=True)


def handles() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize("count", [40, pytest.param(200, marks=pytest.mark.long)])
async def test_talks_leave_no_task_no_handle_and_no_file(tmp_path, monkeypatch, count):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    guard = Guard(allow=[ipaddress.ip_network("127.0.0.0/8")], require_tls=False)
    tasks, before = asyncio.all_tasks(), handles()
    async with providing() as double:
        http, voices = Http(guard), VoiceDetectors(silero(), maximum=4)
        work = cycle(FAULTS)
        good = dict(double.answers)
        for start in range(0, count, AT_ONCE):
            step, fault = next(work) if start else ("", None)
            double.answers = {**good, **({step: fault} if step else {})}
            talks = [
                talk(number, double, http, voices, FRAMES[number % len(FRAMES)])
                for number in range(start, start + AT_ONCE)
            ]
            await asyncio.gather(*talks)
            left = {task for task in asyncio.all_tasks() - tasks if "agent" in task.get_name()}
            assert left == set()
        await http.aclose()
    del voices
    gc.collect()
    await until(lambda: len(asyncio.all_tasks() - tasks) <= 0)
    await until(lambda: handles() <= before)
    assert os.listdir(tmp_path) == []
