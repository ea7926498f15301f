"""Which agents answer questions about their call: those of the demonstration, where the recogniser is installed."""

import pytest

from bridge.agent import answers, demonstration
from bridge.agent.demonstration import Demonstration, QuestionRecognizer
from bridge.agent.provider_client import NO_CALL
from bridge.app import calls
from bridge.call.model import LineName
from bridge.node.lines import LineConfig
from bridge.settings.model import Line
from tests.support.inprocess import running, settings


async def profile(monkeypatch, *, installed, **changed):
    monkeypatch.setattr(calls, "has_recognizer", lambda: installed)
    async with running(settings(**changed)) as client:
        made = client.bridge.control.agents._profile_of
        config = LineConfig(stt_url="https://stt.example") if changed else LineConfig()
        return made(LineName("demo"), config, None, NO_CALL)


async def test_with_the_recogniser_the_demonstration_says_what_to_ask(monkeypatch):
    made = await profile(monkeypatch, installed=True)
    assert made.greeting == answers.GREETING
    assert isinstance(made.providers.stt, QuestionRecognizer)


async def test_without_it_the_demonstration_understands_no_words(monkeypatch):
    made = await profile(monkeypatch, installed=False)
    assert made.greeting == demonstration.GREETING
    assert isinstance(made.providers.stt, Demonstration)
    assert isinstance(made.providers.llm, Demonstration)


@pytest.mark.parametrize("installed", [True, False])
async def test_a_line_of_the_operator_has_no_demonstration(monkeypatch, installed):
    made = await profile(monkeypatch, installed=installed, lines={"demo": Line(keys=["demo"])})
    assert made.greeting == ""
    assert not isinstance(made.providers.llm, Demonstration)
