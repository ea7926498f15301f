"""How agents are set reaches them."""

from bridge.agent.provider_client import NO_CALL
from bridge.call.model import LineName
from bridge.node.lines import LineConfig
from bridge.settings.agent import Agent
from bridge.settings.line import Line
from tests.support.inprocess import running, settings


async def test_a_line_with_settings_of_its_own_has_no_others():
    lines = {
        "own": Line(keys=["demo"], agent=Agent(no_input_prompt="Hallo?")),
        "other": Line(keys=["other"]),
    }
    chosen = settings(lines=lines, agent=Agent(no_input_prompt="Anybody?", goodbye="Bye."))
    async with running(chosen) as client:
        part = client.bridge.control.agents._profile_of
        names = (LineName("own"), LineName("other"))
        own, other = (part(name, LineConfig(), None, NO_CALL).settings for name in names)
    assert (own.no_input_prompt, own.goodbye) == ("Hallo?", "Goodbye.")
    assert (other.no_input_prompt, other.goodbye) == ("Anybody?", "Bye.")
