"""What the browser tells of its half of a call, and what the page shows of the diagnosis, in a real Chromium."""

import asyncio
import json
from typing import Any

import pytest
from playwright.async_api import Browser, Route, expect

from bridge.call.diagnosis.problems import RULES, Code
from tests.browser.stage.chromium import SPEECH, Visitor, launch
from tests.browser.stage.window import Engines
from tests.support.server import Server

pytestmark = pytest.mark.browser

ECHO = "15550100001"
HOSTILE = "<img src=x onerror='window.hacked = true'>"
# Run by the page itself: what Playwright evaluates counts as a gesture of the person.
LISTENER = """
addEventListener("DOMContentLoaded", async () => {
  const { BridgeApi, BridgeCall } = await import("/web/bridge.js");
  const api = new BridgeApi();
  const call = new BridgeCall(api, await api.dial("15550100001"));
  const player = Object.assign(document.createElement("audio"), { autoplay: true, srcObject: call.remoteStream });
  document.body.append(player);
  await call.connect(null);
});
"""


def problems(server: Server) -> dict[str, dict[str, Any]]:
    """The open problems of the calls, by code."""
    calls = server.get("/call/status")["calls"]
    found = [server.get(f"/call/{call['callId']}/diagnosis")["problems"] for call in calls]
    return {one["code"]: one for some in found for one in some if one["until"] is None}


async def until_problem(server: Server, code: str, seconds: float = 15.0) -> dict[str, Any]:
    async with asyncio.timeout(seconds):
        while code not in (found := await asyncio.to_thread(problems, server)):
            await asyncio.sleep(0.2)
    return found[code]


async def test_a_page_that_may_not_play_before_a_gesture_is_told(engines: Engines, server: Server):
    policy = "--autoplay-policy=document-user-activation-required"
    async with await launch(engines.playwright, microphone=SPEECH, more=(policy,)) as browser:
        page = await (await browser.new_context(bypass_csp=True)).new_page()
        await page.add_init_script(LISTENER)
        await page.goto(server.url + "/docs")

        found = await until_problem(server, "speaker_blocked")

    assert (found["hop"], found["severity"]) == ("browser.speaker", "broken")
    assert "browser_sends_nothing" not in problems(server)


async def test_a_track_that_is_switched_off_is_a_muted_microphone(visitor: Visitor, server: Server):
    await visitor.call(ECHO)
    await visitor.see("diagnosis").locator("summary").click()
    stations = visitor.page.locator("#stations li")
    await expect(stations).to_have_count(5)

    await visitor.page.evaluate("() => { window.heard.microphones[0].enabled = false; }")
    found = await until_problem(server, "microphone_muted")

    assert (found["hop"], found["severity"]) == ("browser.microphone", "notice")
    await visitor.see("mute").click()  # an event, after which the page asks anew
    await expect(stations.first).to_have_text("‖Your microphone paused", timeout=10_000)
    await expect(visitor.see("fault")).to_be_hidden()


async def test_a_speaker_that_is_gone_is_told_by_the_browser_and_shown_in_the_card(
    visitor: Visitor,
):
    await visitor.call(ECHO)

    await visitor.page.evaluate(
        "() => Object.defineProperty(HTMLMediaElement.prototype, 'sinkId', { get: () => 'gone' })"
    )

    await expect(visitor.see("fault-summary")).to_have_text(
        RULES[Code.SPEAKER_MISSING].summary, timeout=10_000
    )
    await expect(visitor.see("fault-fix")).to_have_text(RULES[Code.SPEAKER_MISSING].fix)
    link = await visitor.see("fault-more").evaluate("(link) => link.href")
    assert link.endswith("/docs/guide/troubleshooting.html#speaker_missing")


# A reporter on a clock of the test's, which looks once a second.
REPORTS = """
async () => {
  const [{ Reporter }, { BridgeError }] = await Promise.all([import("/web/report.js"), import("/web/errors.js")]);
  let look, now = 0, sent = 0, refused = 0;
  const [interval, clock] = [window.setInterval, performance.now];
  window.setInterval = (act) => { look = act; return 0; };
  performance.now = () => now;
  const leg = { legId: "leg_1", pc: undefined, turnError: null, track: null, remote: new MediaStream() };
  const reporter = new Reporter(() => leg, async () => {
    sent++;
    if (refused) throw new BridgeError("refused", "", { status: refused });
  });
  reporter.start();
  const seconds = async (count) => {
    sent = 0;
    for (let second = 0; second < count; second++) {
      now += 1000;
      await look();
      await new Promise((done) => setTimeout(done));
    }
    return sent;
  };
  const found = { unchanged: await seconds(20) };
  leg.turnError = 401;
  found.changed = await seconds(1);
  refused = 404;
  leg.turnError = 402;
  found.refused = await seconds(20);
  [leg.legId, refused] = ["leg_2", 429];
  found.tooMany = await seconds(20);
  [window.setInterval, performance.now] = [interval, clock];
  return found;
}
"""


async def test_reports_are_few_and_end_where_a_bridge_knows_none(visitor: Visitor):
    counts = await visitor.page.evaluate(REPORTS)

    assert counts == {"unchanged": 4, "changed": 1, "refused": 1, "tooMany": 4}


# What is reported of the jitter buffer, second by second; a changed error makes each a report.
DELAYS = """
async (delays) => {
  const { Reporter } = await import("/web/report.js");
  const [interval, sent] = [window.setInterval, []];
  let look;
  window.setInterval = (act) => { look = act; return 0; };
  const leg = { legId: "leg_1", pc: undefined, turnError: 0, track: null, remote: new MediaStream() };
  const reporter = new Reporter(() => leg, async (report) => sent.push(report.jitterBufferMs ?? null));
  reporter.start();
  window.setInterval = interval;
  for (const delay of delays) {
    leg.turnError++;
    reporter.note(delay === null ? null : { delay, concealed: 0, levelOut: null });
    look();
    await new Promise((done) => setTimeout(done));
  }
  return sent;
}
"""


async def test_the_jitter_buffer_that_is_reported_is_the_last_that_was_measured(visitor: Visitor):
    """A bridge that has nothing to say sends no packets, so that there is nothing to measure."""
    assert await visitor.page.evaluate(DELAYS, [0, 0.05, 0, None, 0, 0.04]) == [
        *(None, 50, 50),
        *(None, None, 40),
    ]


async def test_the_card_says_what_is_wrong_and_how_to_mend_it_as_text(
    browser: Browser, server: Server
):
    problem: dict[str, Any] = {
        "code": "far_silent",
        "hop": "provider.far",
        "legID": None,
        "severity": "broken",
        "since": 1.0,
        "until": None,
        "summary": f"The far party {HOSTILE} sends silence.",
        "evidence": {},
        "fix": f"Ask it {HOSTILE}.",
        "docs": "/docs/guide/troubleshooting.html#far_silent",
    }
    told = {
        "verdict": "problem",
        "summary": problem["summary"],
        "hops": [{"hop": "provider.far", "legID": None, "state": "broken"}],
        "problems": [problem, problem | {"severity": "degraded"}, problem | {"until": 2.0}],
    }

    async def answer(route: Route) -> None:
        body = json.dumps({"code": 200, "data": told, "success": True})
        await route.fulfill(body=body, content_type="application/json")

    async with Visitor.visit(browser, server) as visitor:
        await visitor.page.route("**/diagnosis", answer)
        await visitor.call(ECHO)
        await expect(visitor.see("fault")).to_contain_text(f"Ask it {HOSTILE}.")
        await visitor.see("diagnosis").locator("summary").click()
        await expect(visitor.page.locator("#stations .broken")).to_have_text("✕WhatsApp broken")
        await expect(visitor.page.locator("#faults .degraded")).to_contain_text(HOSTILE)
        await expect(visitor.page.locator("#faults .quiet")).to_contain_text(HOSTILE)

        assert await visitor.page.evaluate("() => window.hacked") is None
        assert await visitor.page.locator("#conversation img").count() == 0

        [call] = server.get("/call/status")["calls"]
        server.post("/call/hangup", {"callId": call["callId"]})
        ended = visitor.see("problem-text")
        await expect(ended).to_contain_text(f"{problem['summary']} {problem['fix']}")


@pytest.mark.full
async def test_the_beeps_of_chromiums_own_test_microphone_are_heard(
    engines: Engines, server: Server
):
    beeps = ("--use-fake-device-for-media-stream",)
    async with (
        await launch(engines.playwright, microphone=None, more=beeps) as browser,
        Visitor.visit(browser, server) as visitor,
    ):
        await visitor.call(ECHO, clean=True)
        # Twice as long as a silence must last to be a problem.
        await asyncio.sleep(2 * RULES[Code.FAR_SILENT].after)
        found = await asyncio.to_thread(problems, server)
    assert not {"microphone_silent", "far_silent"} & found.keys(), found
