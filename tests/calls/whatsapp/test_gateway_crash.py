"""What a killed bridge leaves on an engine, and rings that the first of two nodes does not take."""

import asyncio
import time

import pytest

from bridge.call.model import LineName
from bridge.settings.model import Limits
from tests.calls.whatsapp.test_gateway import NUMBER, gone, line
from tests.support import server as servers
from tests.support.inprocess import running, settings
from tests.support.two_nodes import one_node_only, two_nodes
from tests.support.waiting import until
from tests.support.whatsapp.gateway_double import DOUBLES, SESSION, TOKEN

# They run processes or nodes of their own.
pytestmark = [pytest.mark.call, one_node_only]


@pytest.fixture(params=sorted(DOUBLES))
def dialect(request):
    return request.param


def written(folder, engine):
    """Write the settings of a line on this engine."""
    path = folder / "bridge.toml"
    whatsapp = [
        'provider = "gateway"',
        f'dialect = "{engine.dialect}"',
        f'url = "{engine.url}"',
        f'token = "{TOKEN}"',
    ]
    if engine.dialect == "wadial":
        whatsapp.append(f'session = "{SESSION}"')
    path.write_text(
        "\n".join(["[lines.main]", 'keys = ["demo"]', "[lines.main.whatsapp]", *whatsapp])
    )
    return str(path)


@pytest.mark.real_time  # its bridge is another process
async def test_a_killed_bridge_hangs_up_at_its_next_start_and_takes_rings_anew(dialect, tmp_path):
    async with DOUBLES[dialect]() as engine:
        config = written(tmp_path, engine)
        await asyncio.to_thread(_first_life, tmp_path, config)
        talking = engine.only
        ring = engine.ring()

        def is_over():
            return talking.call_id not in engine.calls

        listed = await asyncio.to_thread(_second_life, tmp_path, config, is_over)
        assert [call["direction"] for call in listed] == ["inbound"]
        # The bridge's own end declines what still rings.
        assert ring.call_id not in engine.calls


def _first_life(folder, config):
    with servers.running(folder, CONFIG=config) as server:
        server.post("/call/dial", {"phone": NUMBER})
        server.process.kill()
        server.process.wait()


def _second_life(folder, config, is_over):
    """Run until the old call is over and the other one rings; gives the calls."""
    with servers.running(folder, CONFIG=config) as server:
        for _ in range(300):
            if (listed := server.get("/call/status")["calls"]) and is_over():
                return listed
            time.sleep(0.1)
    raise AssertionError("the old call goes on, or nothing rings")


async def test_a_ring_is_taken_by_the_second_node_while_the_first_is_stuck(dialect):
    async with (
        DOUBLES[dialect]() as engine,
        two_nodes(settings(lines={"main": line(engine)})) as (first, second),
    ):
        first.bridge.lines.gateways._followers[LineName("main")].take = None
        far = engine.ring()
        await until(lambda: second.bridge.manager.calls(), timeout=60)
        assert far.call_id in engine.calls
        assert not first.bridge.manager.calls()


async def test_a_call_that_nobody_answers_ends_and_is_hung_up(dialect):
    async with DOUBLES[dialect]() as engine:
        engine.answers_at_once = False
        chosen = settings(lines={"main": line(engine)}, limits=Limits(ring_seconds=1.0))
        async with running(chosen) as client:
            call_id = await client.dial(NUMBER)
            assert await gone(client, call_id) == "no_answer"
            await until(lambda: engine.calls == {})
