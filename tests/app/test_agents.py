"""How agents are set reaches them."""

import msgspec
import pytest

from bridge.agent.providers import Models, ProviderLimits
from bridge.agent.talk_settings import TalkSettings
from bridge.app.agents import agent_settings
from bridge.call.model import LineName
from bridge.node.agent import AgentSettings
from bridge.node.lines import LineConfig
from bridge.settings.line import Agent, Line
from tests.support.inprocess import running, settings

FIELDS = [field for field in msgspec.structs.fields(Agent) if field.name != "voices"]


def test_the_defaults_of_the_settings_are_those_of_the_agents():
    assert agent_settings(Agent()) == AgentSettings(TalkSettings(), ProviderLimits(), Models())


@pytest.mark.parametrize("name", [field.name for field in FIELDS])
def test_every_setting_reaches_the_agents(name):
    value = getattr(Agent(), name)
    other = "another" if isinstance(value, str) else value + 1
    assert agent_settings(msgspec.structs.replace(Agent(), **{name: other})) != agent_settings(
        Agent()
    )


async def test_a_line_with_settings_of_its_own_has_no_others():
    lines = {
        "own": Line(keys=["demo"], agent=Agent(nudge="Hallo?")),
        "other": Line(keys=["other"]),
    }
    chosen = settings(lines=lines, agent=Agent(nudge="Anybody?", goodbye="Bye."))
    async with running(chosen) as client:
        part = client.bridge.services.agents._profile_of
        own, other = (part(LineName(name), LineConfig()).settings for name in ("own", "other"))
    assert (own.nudge, own.goodbye) == ("Hallo?", "Goodbye.")
    assert (other.nudge, other.goodbye) == ("Anybody?", "Bye.")
