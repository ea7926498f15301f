"""The settings of agents."""

import pytest

from bridge.errors import SettingsError
from bridge.settings.agent import Agent, check_agent

URL = "https://detector.example.com/overlap"


@pytest.mark.parametrize(
    ("agent", "wrong"),
    [
        (Agent(interruptions="meant", interruption_url="ftp://example.com"), "https or http"),
        (Agent(interruption_url=URL), 'interruptions = "meant"'),
    ],
)
def test_a_detector_that_cannot_be_asked_is_refused(agent, wrong):
    with pytest.raises(SettingsError, match=wrong):
        check_agent("agent", agent)


@pytest.mark.parametrize(
    "agent", [Agent(), Agent(interruptions="meant", interruption_url=URL, interruption_words="en")]
)
def test_what_makes_sense_is_taken(agent):
    check_agent("lines.a.agent", agent)
