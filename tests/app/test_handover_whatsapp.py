"""Calls of WhatsApp users pass from one bridge to another while Meta's webhooks come to either."""

from contextlib import asynccontextmanager

import numpy as np
import pytest

from bridge.call.model import EndReason, State
from bridge.settings.model import Line, WhatsApp
from tests.calls.whatsapp.test_gateway import line
from tests.support.handover.moving_calls import MovingCalls, moving_calls
from tests.support.peers.stock_peer import StockPeer
from tests.support.sound.speech_compare import tone
from tests.support.waiting import until, until_answer
from tests.support.whatsapp.gateway_double import DOUBLES
from tests.support.whatsapp.graph_double import NUMBER_ID, SECRET, TOKEN, USER, VERIFY, GraphDouble

pytestmark = [pytest.mark.call, pytest.mark.virtual_time]


@asynccontextmanager
async def meta():
    async with GraphDouble(speech=tone(5, 880), repeat=True) as graph:
        whatsapp = WhatsApp(
            provider="cloud", phone_number_id=NUMBER_ID, access_token=TOKEN, app_secret=SECRET,
            verify_token=VERIFY, base_url=graph.url,
        )  # fmt: skip
        line = Line(keys=["demo"], numbers=["15550101000"], whatsapp=whatsapp)
        async with moving_calls(lines={"main": line}) as calls:
            tell(graph, calls)
            yield graph, calls
            await graph.wait_idle()
    assert graph.complaints == []


def tell(graph: GraphDouble, calls: MovingCalls) -> None:
    """Have Meta's webhooks come to the bridge that has the calls."""
    graph.webhook = str(calls.client.http.make_url("/whatsapp/webhook"))
    graph.webhooks.rings = graph.webhook


async def talking(graph: GraphDouble, calls: MovingCalls, page: StockPeer, *, inbound: bool) -> str:
    if inbound:
        call = await graph.ring()
        await until_answer(calls.client.calls)
        call_id = str((await calls.client.calls())[0]["callId"])
        await call.media.wait_connected()
        await page.call(calls.client.exchange(call_id))
        await calls.client.data("/call/answer", {"callId": call_id})
    else:
        call_id = await calls.client.dial(USER)
        await page.call(calls.client.exchange(call_id))
        await until(lambda: calls.runner(call_id).machine.state is State.RINGING)
        await graph.pick_up(graph.last)
    await until(lambda: calls.runner(call_id).machine.state is State.ACTIVE)
    await heard_anew(graph, page)
    return call_id


async def heard_anew(graph: GraphDouble, page: StockPeer) -> None:
    """Wait until both hear what is said from now on."""
    user = graph.last.media
    before = len(page.heard()), len(user.heard)
    await until(lambda: len(page.heard()) > before[0] + 8000, timeout=10.0)
    await until(lambda: len(user.heard) > before[1] + 8000, timeout=10.0)
    assert np.abs(page.heard()[before[0] + 4000 :].astype(float)).max() > 1000
    assert np.abs(user.heard[before[1] + 4000 :].astype(float)).max() > 1000


@pytest.mark.parametrize(
    "inbound",
    [True, pytest.param(False, marks=pytest.mark.full)],
    ids=["they rang us", "we rang them"],
)
async def test_a_user_and_a_page_talk_on_and_a_hang_up_ends_the_call_at_meta(inbound):
    async with meta() as (graph, calls), StockPeer(tone(5, 440), repeat=True) as page:
        call_id = await talking(graph, calls, page, inbound=inbound)
        told = calls.events
        for _ in range(2):
            await until(lambda: calls.movable() == [call_id])
            await calls.move(call_id)
            tell(graph, calls)
            await heard_anew(graph, page)
        assert [kind for kind in calls.events if kind != "call.latency"] == [
            kind for kind in told if kind != "call.latency"
        ]
        assert "terminate" not in graph.actions()
        await calls.client.data("/call/hangup", {"callId": call_id})
        await until(lambda: graph.actions()[-1] == "terminate")
        assert calls.events.count("call.ended") == 1


@pytest.mark.parametrize(
    "inbound",
    [True, pytest.param(False, marks=pytest.mark.full)],
    ids=["they rang us", "we rang them"],
)
async def test_a_user_and_a_page_talk_on_from_an_older_copy(inbound):
    async with meta() as (graph, calls), StockPeer(tone(5, 440), repeat=True) as page:
        call_id = await talking(graph, calls, page, inbound=inbound)
        copy = calls.copy(call_id)
        await heard_anew(graph, page)
        await calls.crash(call_id, copy, silent=2.0)
        tell(graph, calls)
        await heard_anew(graph, page)
        assert "terminate" not in graph.actions()
        await calls.client.data("/call/hangup", {"callId": call_id})
        await until(lambda: graph.actions()[-1] == "terminate")
        assert calls.events.count("call.ended") == 1


@pytest.mark.parametrize(
    "inbound",
    [True, pytest.param(False, marks=pytest.mark.full)],
    ids=["they rang us", "we rang them"],
)
async def test_a_user_who_hangs_up_after_the_move_ends_the_call_there(inbound):
    async with meta() as (graph, calls), StockPeer(tone(5, 440), repeat=True) as page:
        call_id = await talking(graph, calls, page, inbound=inbound)
        runner = calls.runner(call_id)
        await calls.move(call_id)
        tell(graph, calls)
        moved = calls.runner(call_id)
        await graph.hang_up(graph.last)
        await until(lambda: moved.machine.reason is EndReason.REMOTE_HANGUP)
        assert runner.live
        assert "terminate" not in graph.actions()
        assert calls.events.count("call.ended") == 1


async def test_a_user_who_hangs_up_while_the_call_moves_is_noticed_where_it_stays():
    async with meta() as (graph, calls), StockPeer(tone(5, 440), repeat=True) as page:
        call_id = await talking(graph, calls, page, inbound=True)
        runner = calls.runner(call_id)
        handover = calls.handovers[0]
        handover.suspend(runner.facts.call_id)
        await graph.hang_up(graph.last)
        assert runner.live
        handover.resume(runner.facts.call_id)
        await until(lambda: runner.machine.reason is EndReason.REMOTE_HANGUP)


@asynccontextmanager
async def engine(dialect: str):
    """Run two bridges whose line has a gateway."""
    async with DOUBLES[dialect]() as double:
        double.speech = tone(60, 880)
        async with moving_calls(lines={"main": line(double)}) as calls:
            yield double, calls
    assert double.problems == []


@pytest.mark.parametrize(
    "inbound",
    [True, pytest.param(False, marks=pytest.mark.full)],
    ids=["they rang us", "we rang them"],
)
@pytest.mark.parametrize("dialect", sorted(DOUBLES))
async def test_a_call_over_a_gateway_goes_on_by_a_socket_of_the_other_bridge(dialect, inbound):
    async with (
        engine(dialect) as (double, calls),
        StockPeer(tone(5, 440), repeat=True) as page,
    ):
        if inbound:
            double.ring()
            await until_answer(calls.client.calls, timeout=20)
            call_id = str((await calls.client.calls())[0]["callId"])
            await calls.client.data("/call/answer", {"callId": call_id})
        else:
            call_id = await calls.client.dial(USER)
        await page.call(calls.client.exchange(call_id))
        far = double.only
        told: list[str] = []
        for opened in (1, 2, 3):
            if told:
                await calls.move(call_id)
            await until(lambda: far.opened == opened and len(far.sockets) == 1)  # noqa: B023
            heard = len(page.heard()), len(far.heard)
            await until(lambda: len(page.heard()) > heard[0] + 16_000)  # noqa: B023
            await until(lambda: len(far.heard) > heard[1] + 10)  # noqa: B023
            assert np.abs(page.heard()[heard[0] + 8000 :].astype(float)).max() > 1000
            assert np.abs(double.decode(b"".join(far.heard[-5:])).astype(float)).max() > 1000
            await until(lambda: calls.movable() == [call_id])
            told = told or calls.events
        assert calls.events == told
        await double.end(far)
        await calls.client.until_state(call_id, "gone", timeout=20)
        # Of those who ring, the bridge that does not answer has a call too.
        assert calls.events.count("call.ended") == 1 + inbound
        assert ("POST", "hangup") not in double.requests


async def test_a_call_that_moved_ends_at_the_gateway_when_we_hang_up():
    async with engine("wadial") as (double, calls):
        call_id = await calls.client.dial(USER)
        await until(lambda: calls.movable() == [call_id])
        await calls.move(call_id)
        await calls.client.data("/call/hangup", {"callId": call_id})
        await until(lambda: not double.calls)


async def test_a_ringing_call_stays():
    async with meta() as (graph, calls):
        await calls.client.dial(USER)
        await until_answer(calls.client.calls)
        assert calls.movable() == []
        await graph.hang_up(graph.last)
