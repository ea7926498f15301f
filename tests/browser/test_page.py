"""The page as people use it, in a real Chromium whose microphone is a speech file."""

import asyncio
import re
from pathlib import Path

import pytest
from playwright.async_api import Browser, Request, expect

from tests.browser.stage.chromium import SCHEMES, SPEECH, Visitor, launch, record
from tests.browser.stage.speech import level
from tests.browser.stage.window import Engines
from tests.support.server import Server, running, stop

pytestmark = pytest.mark.browser

ECHO, TALKER, HANGS_UP = "15550100001", "15550100002", "15550100007"
TALK = Path(__file__).parents[2] / "bridge" / "legs" / "simulator_speech.wav"


@pytest.mark.quick
async def test_the_page_loads_without_a_complaint(visitor: Visitor):
    await expect(visitor.see("bridge")).to_have_text("Ready for calls")
    await expect(visitor.page.locator("#contacts button")).to_have_count(10)

    assert visitor.complaints == []


async def test_the_links_at_the_foot_lead_somewhere(visitor: Visitor):
    links = await visitor.page.locator("footer a").all()

    replies = [await visitor.page.request.get(await link.evaluate("a => a.href")) for link in links]

    assert len(replies) >= 2
    assert [reply.status for reply in replies] == [200] * len(replies)


async def test_the_page_follows_what_the_bridge_hears_of_us(visitor: Visitor):
    await visitor.call(ECHO)

    # It goes on from the second up to which the bridge has told about our leg.
    def goes_on(request: Request) -> bool:
        _, _, since = request.url.partition("/quality?since=")
        return bool(since) and float(since) > 0

    await visitor.page.wait_for_event("request", goes_on, timeout=20_000)


async def test_the_page_shows_the_other_sides_connection_where_that_carries_rtp(visitor: Visitor):
    shown = visitor.page.locator("#far-quality")
    show = (
        """(leg) => import("/web/figures.js").then(({ showFarQuality }) => showFarQuality(leg))"""
    )
    heard = {"mos": [4.2, 3.44], "lossRatio": [0.0, 0.05], "jitterMs": [4.0, None]}
    await expect(shown).to_be_hidden()

    await visitor.page.evaluate(show, {"received": heard, "roundTripMs": [80.2, 80.2]})

    await expect(shown).to_have_text(
        "The other side to the bridge: MOS 3.4, round trip 80 ms, jitter 4 ms, lost 5.0 %"
    )
    await visitor.page.evaluate(show, None)
    await expect(shown).to_be_hidden()


async def test_hanging_up_ends_the_call_on_the_bridge(visitor: Visitor, server: Server):
    await visitor.call(ECHO)

    await visitor.page.get_by_role("button", name="Hang up").click()

    await expect(visitor.see("dialler")).to_be_visible()
    await expect(visitor.see("problem")).to_be_hidden()
    await asyncio.sleep(0.5)
    assert server.get("/call/status")["calls"] == []
    assert await visitor.page.evaluate("() => window.heard.microphones[0].readyState") == "ended"


@pytest.mark.full
async def test_a_simulated_telephone_is_called_over_sip(visitor: Visitor, server: Server):
    await visitor.call("15550200001")

    [call] = server.get("/call/status")["calls"]
    kinds = {leg["kind"] for leg in server.get(f"/call/{call['callId']}/quality")["legs"]}
    assert kinds == {"sip", "webrtc"}


async def test_the_figures_of_a_call_appear(visitor: Visitor):
    await visitor.call(ECHO)

    # While other tests keep the machine busy, even Chromium's own sound is not always good.
    await expect(visitor.see("mos-value")).to_have_text(re.compile(r"^[34]\.\d$"), timeout=60_000)
    await expect(visitor.see("round-trip-value")).to_have_text(re.compile(r"^\d+ ms$"))
    await expect(visitor.see("jitter-value")).to_have_text(re.compile(r"^\d+ ms$"))
    await expect(visitor.see("loss-value")).to_have_text(re.compile(r"^\d+\.\d %$"))
    await expect(visitor.see("verdict")).to_have_text(re.compile("[Gg]ood"), timeout=30_000)
    await expect(visitor.see("duration")).to_have_text(re.compile(r"^[01]:[0-5]\d$"))


async def test_an_incoming_call_is_answered(visitor: Visitor):
    await visitor.see("clean").uncheck()
    await visitor.page.get_by_role("button", name="Talker").first.click()
    await visitor.page.get_by_role("button", name="Let Talker call me").click()

    await expect(visitor.see("incoming-who")).to_have_text("Talker")
    await expect(visitor.see("answer")).to_be_in_viewport()
    await visitor.page.get_by_role("button", name="Answer", exact=True).click()
    await visitor.connected()

    assert level((await record(visitor.page, 4)).received) > -40


async def test_an_incoming_call_is_declined(visitor: Visitor, server: Server):
    call = server.post("/simulator/incoming", {"from": TALKER})["callId"]

    await visitor.page.get_by_role("button", name="Decline").click()

    await expect(visitor.see("incoming")).to_be_hidden()
    await asyncio.sleep(0.5)
    assert server.get(f"/call/{call}/quality")["endReason"] == "rejected"


async def test_a_hang_up_on_the_other_side_is_told(visitor: Visitor):
    await visitor.call(HANGS_UP)

    await expect(visitor.see("problem-text")).to_have_text("They hung up.", timeout=15_000)
    await expect(visitor.see("dialler")).to_be_visible()


@pytest.mark.parametrize(
    ("number", "words"),
    [
        ("15550100004", "The line is busy."),
        ("15550100005", "The call was rejected."),
        ("15550100006", "Check the number, and try again later."),
    ],
)
async def test_a_call_that_fails_says_why(visitor: Visitor, number: str, words: str):
    await visitor.see("number").fill(number)
    await visitor.page.get_by_role("button", name="Call", exact=True).click()

    await expect(visitor.see("problem-text")).to_contain_text(words, timeout=15_000)


async def test_keys_pressed_during_a_call_reach_the_bridge(visitor: Visitor):
    await visitor.call(ECHO)
    await visitor.page.get_by_role("button", name="Keypad").click()

    async with visitor.page.expect_response("**/call/dtmf") as pending:
        await visitor.page.get_by_role("button", name="5", exact=True).click()
    reply = await pending.value

    assert reply.ok
    assert (reply.request.post_data_json or {})["digits"] == "5"
    await expect(visitor.see("digits")).to_have_text("5")


async def test_a_call_needs_no_mouse(visitor: Visitor, server: Server):
    press = visitor.page.keyboard.press
    await expect(visitor.page.locator("body.loading")).to_have_count(0)
    await press("Tab")
    await expect(visitor.see("number")).to_be_focused()
    await press("Control+A")
    await visitor.page.keyboard.type(ECHO)
    await press("Enter")
    await visitor.connected()

    await visitor.see("hangup").focus()
    await press("Enter")

    await expect(visitor.see("dialler")).to_be_visible()
    await expect(visitor.see("number")).to_be_focused()


@pytest.mark.parametrize(
    ("microphone", "argument", "words"),
    [
        (
            SPEECH,
            "--use-fake-ui-for-media-stream=deny",
            "The microphone was refused by the browser",
        ),
        (None, "--disable-audio-input", "No microphone was found"),
    ],
)
async def test_a_missing_microphone_is_explained(
    engines: Engines, server: Server, microphone, argument, words
):
    async with (
        await launch(engines.playwright, microphone=microphone, more=(argument,)) as browser,
        Visitor.visit(browser, server) as visitor,
    ):
        await visitor.see("number").fill(ECHO)
        await visitor.page.get_by_role("button", name="Call", exact=True).click()

        await expect(visitor.see("problem-text")).to_contain_text(words)
        assert server.get("/call/status")["calls"] == []


async def test_an_insecure_origin_is_explained(browser: Browser, keyed_server: Server):
    """Beyond loopback and without TLS the browser gives no microphone."""
    async with Visitor.visit(browser, keyed_server, path="/healthz") as visitor:
        address = f"http://bridge.test:{keyed_server.port}/#key={keyed_server.key}"
        await visitor.page.goto(address)

        await expect(visitor.see("problem-text")).to_contain_text("not on a secure origin")
        await expect(visitor.see("bridge")).to_have_text("Ready for calls")


async def test_a_call_whose_sound_did_not_come_back_does_not_say_that_it_is_connected(
    visitor: Visitor,
):
    words = "import('/web/words.js').then(({ standing }) => standing('active', 'MEDIA'))"

    assert await visitor.page.evaluate(words.replace("MEDIA", "connected")) == "Connected"
    assert "Without sound" in await visitor.page.evaluate(words.replace("MEDIA", "failed"))


async def test_a_wrong_key_is_asked_for_again(browser: Browser, keyed_server: Server):
    async with Visitor.visit(browser, keyed_server) as visitor:
        field = visitor.page.get_by_label("This bridge needs a key")
        await field.fill("guessed")
        await visitor.page.get_by_role("button", name="Use key").click()
        field = visitor.page.get_by_label("This key is not valid")
        await expect(field).to_be_visible()
        await field.fill(keyed_server.key)
        await visitor.page.get_by_role("button", name="Use key").click()

        await expect(visitor.see("bridge")).to_have_text("Ready for calls")
        await expect(field).to_be_hidden()


async def test_a_key_behind_the_address_is_used_and_taken_away(
    browser: Browser, keyed_server: Server
):
    path = f"/#key={keyed_server.key}"
    async with Visitor.visit(browser, keyed_server, path=path) as visitor:
        await expect(visitor.see("bridge")).to_have_text("Ready for calls")
        await expect(visitor.see("key-form")).to_be_hidden()

        assert visitor.page.url == f"{keyed_server.url}/"


async def test_the_page_says_that_its_bridge_is_gone(browser: Browser, tmp_path: Path):
    with running(tmp_path / "bridge") as server:
        async with Visitor.visit(browser, server) as visitor:
            await expect(visitor.see("bridge")).to_have_text("Ready for calls")
            stop(server)

            await expect(visitor.see("bridge")).to_contain_text("cannot be reached", timeout=10_000)


@pytest.mark.parametrize("scheme", SCHEMES)
async def test_nothing_scrolls_sideways_on_a_phone(browser: Browser, server: Server, scheme: str):
    phone = {"width": 360, "height": 740}
    async with Visitor.visit(browser, server, viewport=phone, color_scheme=scheme) as visitor:
        await expect(visitor.page.locator("#contacts button")).to_have_count(10)
        widths = [await visitor.page.evaluate("document.documentElement.scrollWidth")]
        await visitor.call(ECHO)
        await visitor.page.get_by_role("button", name="Keypad").click()
        await visitor.see("diagnosis").locator("summary").click()
        widths.append(await visitor.page.evaluate("document.documentElement.scrollWidth"))

        assert widths == [360, 360]


async def test_the_page_shows_that_a_call_is_recorded(visitor: Visitor, server: Server):
    await visitor.call(TALKER)
    await expect(visitor.see("recorded")).to_be_hidden()
    [call] = server.get("/call/status")["calls"]
    server.post("/call/record/start", {"callId": call["callId"]})
    await expect(visitor.see("recorded")).to_have_text("● This call is being recorded")
    server.post("/call/record/stop", {"callId": call["callId"]})
    await expect(visitor.see("recorded")).to_be_hidden()


# The contrast of each visible text with the first opaque colour behind it (WCAG 2.2, 1.4.3).
CONTRASTS = """
() => {
  const parse = (text) => text.match(/[\\d.]+/g).map(Number);
  const bright = ([r, g, b]) => [r, g, b].map((c) => c / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (node) => {
    for (let at = node; at; at = at.parentElement) {
      const colour = parse(getComputedStyle(at).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  return [...document.querySelectorAll("body *")]
    .filter((node) => node.checkVisibility() && !node.disabled
      && [...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim()))
    .map((node) => {
      const [a, b] = [bright(parse(getComputedStyle(node).color)), bright(behind(node))];
      return { text: node.textContent.trim().slice(0, 30), contrast: (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05) };
    });
}
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_every_text_can_be_read_in_light_and_dark(browser: Browser, server: Server, scheme):
    async with Visitor.visit(browser, server, color_scheme=scheme) as visitor:
        await expect(visitor.page.locator("#contacts button")).to_have_count(10)
        texts = await visitor.page.evaluate(CONTRASTS)
        await visitor.call(ECHO)
        await visitor.page.get_by_role("button", name="Keypad").click()
        await visitor.see("diagnosis").locator("summary").click()
        await expect(visitor.page.locator("#stations li")).to_have_count(5)
        texts += await visitor.page.evaluate(CONTRASTS)

        page = await visitor.page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert [text for text in texts if text["contrast"] < 4.5] == []
        assert len(texts) > 40
        assert (sum(map(int, re.findall(r"\d+", page))) < 300) == (scheme == "dark")
