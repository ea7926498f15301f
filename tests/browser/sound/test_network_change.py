"""A call whose browser changes its network: one round of each kind; `make outages` measures many."""

from pathlib import Path

import pytest

from tests.browser.stage.network import available
from tests.browser.stage.roaming import LIMITS, roaming
from tests.browser.stage.window import FIREFOX_IN_LONG

pytestmark = pytest.mark.skipif(
    not available(), reason="network namespaces cannot be made (as root, with iproute2)"
)

BUSY_FACTOR = 3


@pytest.mark.full
@pytest.mark.parametrize("engine", FIREFOX_IN_LONG)
async def test_sound_comes_back_soon_after_a_change_of_network(engine: str, tmp_path: Path):
    async with roaming(engine, tmp_path / "bridge") as browser:
        lost = await browser.change("hole", seconds=5.0)
        moved = await browser.change("move")
        states = await browser.states()

    # What an idle machine reaches is measured by `make outages`; here it has to come back at all.
    assert lost < BUSY_FACTOR * LIMITS["hole"]
    assert moved < BUSY_FACTOR * LIMITS["move"]
    assert states == ["connecting", "connected", *(["reconnecting", "connected"] * 2)]
