"""The engine: whom it lets a line dial. What becomes of calls is tested in tests/api/test_lines.py."""

import pytest

from bridge.call.model import CallId, LegId, LineName
from bridge.errors import CallNotFound, EngineOff
from bridge.legs.dial import DialOrder
from bridge.net.database import Database
from bridge.node.engine import Engine
from bridge.node.lines import LineConfig

SALES, SUPPORT = LineName("sales"), LineName("support")


class NoDialer:
    """Reaches nobody, and says that it was asked."""

    async def dial(self, line, number, leg_id, order):
        raise CallNotFound("asked")


@pytest.fixture
async def engine(tmp_path):
    database = Database(tmp_path / "bridge.sqlite3")
    yield Engine(database, NoDialer(), {})
    await database.aclose()


async def dial(engine, line):
    return await engine.dial(line, "15550100001", LegId("leg"), DialOrder(CallId("call")))


async def test_a_line_that_is_on_asks_its_provider(engine):
    with pytest.raises(CallNotFound, match="asked"):
        await dial(engine, SALES)


async def test_a_line_that_is_off_dials_nobody(engine):
    await engine.lines.put(SALES, LineConfig(calls_enabled=False))
    await engine.lines.connect(SALES)
    with pytest.raises(EngineOff):
        await dial(engine, SALES)
    with pytest.raises(CallNotFound, match="asked"):
        await dial(engine, SUPPORT)
