"""What is asked about an agent's overlaps, beside the talk."""

import asyncio

from bridge.agent.overlap_tasks import OverlapTasks
from bridge.agent.providers import Providers
from bridge.audio.detect.overlap import OverlapKind
from tests.support.sound.agent_talk import Minds


class Detector:
    async def ask(self, pcm):
        return OverlapKind.NOISE


async def test_the_operators_detector_answers_later():
    minds = Minds()
    answers: list[OverlapKind | None] = []
    tasks = OverlapTasks(Providers(minds, minds, minds, Detector()), "", print)
    assert not tasks.ask(b"", answers.append)
    async with asyncio.TaskGroup() as tasks.group:
        assert tasks.ask(b"", answers.append)
        assert answers == []
    assert answers == [OverlapKind.NOISE]


async def test_nobody_is_asked_where_there_is_no_detector():
    minds = Minds()
    async with asyncio.TaskGroup() as group:
        tasks = OverlapTasks(Providers(minds, minds, minds), "", print)
        tasks.group = group
        assert not tasks.ask(b"", print)


async def test_one_utterance_is_read_at_a_time():
    minds = Minds()
    said: list[object] = []
    async with asyncio.TaskGroup() as group:
        tasks = OverlapTasks(Providers(minds, minds, minds), "en", print)
        tasks.group = group
        for _ in range(2):
            tasks.read(b"", lambda *found: said.append(found))
    assert said == [("A table, please.", None)]
