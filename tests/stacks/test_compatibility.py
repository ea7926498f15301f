"""Independent WebRTC stacks call the bridge; docs/compatibility.md says what came of each check.

`make compatibility` runs all of it for the page; otherwise it must come to what the page says.
"""

import pytest

from tests.conftest import missing
from tests.stacks.checks import ALONE
from tests.stacks.clients import STACKS
from tests.stacks.running import run_alone, run_steps
from tests.stacks.stage import ProgramStage

pytestmark = [pytest.mark.full, pytest.mark.call]


def stage(name, tmp_path):
    """Return the stage of a stack, if it is on this machine."""
    if lack := STACKS[name].missing():
        pytest.skip(lack)
    return ProgramStage(name, tmp_path)


@pytest.mark.parametrize("name", STACKS)
async def test_a_stack_hears_itself_through_all_that_happens_in_a_call(name, tmp_path):
    await run_steps(stage(name, tmp_path))


@pytest.mark.long
@pytest.mark.parametrize("check", ALONE)
@pytest.mark.parametrize("name", STACKS)
async def test_a_stack_gets_on_with_the_bridge(name, check, tmp_path):
    if check.startswith("turn") and (lack := missing("coturn")):
        pytest.skip(lack)
    await run_alone(stage(name, tmp_path), check)
