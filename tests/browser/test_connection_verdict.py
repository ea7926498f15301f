"""What the figures of a test before the call mean, in words."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Page

from tests.browser.stage.window import Engines
from tests.browser.test_connection_test import codes, page_of
from tests.support.server import Server

pytestmark = pytest.mark.browser

JUDGE = """
async ([microphone, paths, echo]) => (await import("/web/test-verdict.js")).judge(microphone, paths, echo)
"""
FINE = {
    "relayed": False,
    "roundTrip": 0.02,
    "loss": 0.0,
    "sentLoss": 0.0,
    "jitter": 0.002,
    "sentJitter": 0.002,
    "delay": 0.08,
    "mos": 4.3,
    "level": 0.1,
}
HEARD = {"state": "ok", "level": 0.1, "error": None}


def path(name: str, state: str = "ok", **more: object) -> dict[str, object]:
    known = {
        "gathered": state == "ok",
        "connected": state == "ok",
        "reason": None,
        "errorCode": None,
    }
    return {"name": name, "state": state, "seconds": None, **known, **more}


ALL = [path("udp"), path("turn_udp"), path("turn_tcp"), path("websocket")]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def judge(engines: Engines, shared_server: Server) -> AsyncIterator[Page]:
    async with page_of(await engines.chromium(), shared_server) as page:
        yield page


@pytest.mark.parametrize(
    ("microphone", "paths", "echo", "verdict", "code", "words"),
    [
        (HEARD, ALL, FINE, "good", None, "Calls will sound good. The bridge is 20 ms away"),
        (HEARD, ALL, FINE | {"mos": 3.3, "loss": 0.06}, "fair", "network_lossy", "6.0 %"),
        (HEARD, ALL, FINE | {"mos": 2.1, "sentLoss": 0.2}, "poor", "network_lossy", "20 %"),
        (HEARD, ALL, FINE | {"sentJitter": 0.05}, "good", "network_jittery", "50 ms"),
        (HEARD, ALL, FINE | {"roundTrip": 0.5}, "good", "round_trip_long", "500 ms"),
        (HEARD, ALL, FINE | {"level": 0}, "failed", "echo_silent", "only silence comes back"),
        (HEARD, ALL, None, "failed", "echo_missing", "no audio came back"),
        ({**HEARD, "state": "silent"}, ALL, FINE, "failed", "microphone_silent", "but silence"),
        ({**HEARD, "state": "quiet"}, ALL, FINE, "good", "microphone_quiet", "sound good"),
        (HEARD, [path("udp", "failed"), *ALL[1:]], FINE, "good", "udp_blocked", "sound good"),
        (
            HEARD,
            [path("udp"), path("turn_udp", "failed", gathered=True)],
            FINE,
            "good",
            "turn_not_relaying",
            "sound good",
        ),
        (
            HEARD,
            [path("udp", "failed"), path("turn_udp", "failed", errorCode=486)],
            None,
            "failed",
            "turn_refused",
            "none through the TURN relay",
        ),
    ],
)
async def test_the_verdict_says_what_is_wrong(
    judge: Page, microphone, paths, echo, verdict, code, words
):
    told = await judge.evaluate(JUDGE, [microphone, paths, echo])

    assert told["verdict"] == verdict
    assert words in told["summary"]
    assert code is None or code in codes(told)
    assert [problem for problem in told["problems"] if not problem["fix"]] == []
    assert (told["problems"] == []) == (code is None)


async def test_packets_that_go_one_way_only_are_told_from_those_that_go_none(judge: Page):
    paths = [path("udp", "failed", reason="ice_one_way"), path("websocket")]
    told = await judge.evaluate(JUDGE, [HEARD, paths, None])

    assert "UDP from here reaches the bridge" in told["problems"][0]["fix"]
