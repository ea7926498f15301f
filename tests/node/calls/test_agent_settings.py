"""How agents are set reaches them."""

from bridge.call.model import LineName
from bridge.node.lines import LineConfig
from bridge.settings.line import Agent, Line
from tests.support.inprocess import running, settings


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
