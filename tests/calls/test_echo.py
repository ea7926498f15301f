"""Whole calls with a stock browser: what is said is heard."""

import numpy as np
import pytest

from tests.support.inprocess import running
from tests.support.peers.stock_peer import RATE, StockPeer, read_wav
from tests.support.sound.speech_compare import align, compare, level_db, tone
from tests.support.sound.voices import SPEECH, TALKING
from tests.support.waiting import until, until_answer

ECHO, TALKS, HANGS_UP, SILENT, REPEATS = (f"1555010000{n}" for n in (1, 2, 7, 8, 9))

pytestmark = pytest.mark.call


@pytest.mark.real_time
@pytest.mark.pesq
async def test_the_echo_contact_is_heard_as_it_was_said():
    said = read_wav(SPEECH[0])[: 4 * RATE]
    async with running() as client, StockPeer(said) as peer:
        await peer.call(client.exchange(await client.dial(ECHO)))
        await peer.wait_heard(5.0)
        heard = compare(said, peer.heard())
    # aiortc's own Opus and its mono-to-stereo conversion (3 dB) are in these figures twice.
    assert heard.pesq > 3.0
    assert heard.stoi > 0.98
    assert abs(heard.level_db) < 4.0


async def test_the_talking_contact_is_heard():
    async with running() as client, StockPeer() as peer:
        await peer.call(client.exchange(await client.dial(TALKS)))
        await peer.wait_heard(4.0)
        recording = read_wav(TALKING)
        assert align(recording[: 2 * RATE], peer.heard()).correlation > 0.8


async def test_a_contact_that_hangs_up_ends_the_call_and_the_browsers_connection():
    async with running() as client, StockPeer(tone(10)) as peer:
        call_id = await client.dial(HANGS_UP)
        await peer.call(client.exchange(call_id))
        await peer.wait_ended()
        assert await client.state(call_id) == "gone"
        assert (await client.quality(call_id))["endReason"] == "remote_hangup"


async def test_the_silent_contact_answers_and_says_nothing():
    async with running() as client, StockPeer(tone(3)) as peer:
        call_id = await client.dial(SILENT)
        await peer.call(client.exchange(call_id))
        await until(lambda: peer.microphone.started)
        assert await client.state(call_id) == "active"
        heard = peer.heard()
        assert len(heard) == 0 or level_db(heard) < -60


async def test_the_repeating_contact_says_a_phrase_again_after_it():
    phrase = np.concatenate([read_wav(SPEECH[0])[: int(1.5 * RATE)], np.zeros(5 * RATE, np.int16)])
    async with running() as client, StockPeer(phrase) as peer:
        await peer.call(client.exchange(await client.dial(REPEATS)))
        await peer.wait_heard(4.5)
        found = align(phrase[: int(1.5 * RATE)], peer.heard())
    assert found.correlation > 0.7
    assert found.seconds > 1.5


async def test_mute_silences_the_browser_for_the_contact_only():
    async with running() as client, StockPeer(tone(20)) as peer:
        call_id = await client.dial(ECHO)

        async def packets(way: str) -> int:
            legs = (await client.quality(call_id))["legs"]
            [near] = [leg for leg in legs if leg["party"] == "near"]
            return int(near[way]["packets"])

        async def ten_more_are_received() -> None:
            goal = await packets("received") + 10

            async def received() -> bool:
                return await packets("received") >= goal

            await until_answer(received)

        await peer.call(client.exchange(call_id))
        await peer.wait_heard(1.0)
        await client.data("/call/mute", {"callId": call_id, "muted": True})
        await ten_more_are_received()  # what was on its way has arrived
        before = await packets("sent")
        await ten_more_are_received()
        assert await packets("sent") == before
        await client.data("/call/mute", {"callId": call_id, "muted": False})
        length = peer.ear.seconds
        await peer.wait_heard(length + 0.5)


async def test_everybody_on_a_call_hears_the_others():
    async with (
        running() as client,
        StockPeer(tone(20, 440)) as ann,
        StockPeer(tone(20, 880)) as bob,
    ):
        call_id = await client.dial(SILENT)
        await ann.call(client.exchange(call_id))
        await bob.call(client.exchange(call_id))
        await ann.wait_heard(1.5)
        await bob.wait_heard(1.5)
        assert loudest(ann.heard()[-RATE // 2 :]) == pytest.approx(880, abs=10)
        assert loudest(bob.heard()[-RATE // 2 :]) == pytest.approx(440, abs=10)


async def test_two_browsers_talk_when_one_is_the_far_party():
    async with (
        running() as client,
        StockPeer(tone(20, 440)) as ann,
        StockPeer(tone(20, 880)) as far,
    ):
        call_id = (await client.data("/call/dial", {"channel": "webrtc"}))["callId"]
        await ann.call(client.exchange(call_id))
        assert await client.state(call_id) == "ringing"
        await far.call(client.exchange(call_id, party="far"))
        await ann.wait_heard(1.0)
        await far.wait_heard(1.0)
        assert await client.state(call_id) == "active"
        assert loudest(ann.heard()[-RATE // 2 :]) == pytest.approx(880, abs=10)
        assert loudest(far.heard()[-RATE // 2 :]) == pytest.approx(440, abs=10)


@pytest.mark.real_time  # reports carry the machine's time, and MOS their round trip
async def test_quality_tells_what_a_leg_received_and_sent():
    async with running() as client, StockPeer(tone(20)) as peer:
        call_id = await client.dial(ECHO)
        await peer.call(client.exchange(call_id))
        await peer.wait_heard(2.0)
        legs = (await client.quality(call_id))["legs"]
        [near] = [leg for leg in legs if leg["kind"] == "webrtc"]
    assert near["received"]["packets"] > 90
    assert near["sent"]["packets"] > 90
    assert near["received"]["lost"] == 0
    assert near["received"]["levelDbov"] > -30
    assert 3.0 < near["mos"] <= 4.5


def loudest(sound) -> float:
    """The strongest frequency, in hertz."""
    spectrum = np.abs(np.fft.rfft(sound.astype(float) * np.hanning(len(sound))))
    return float(np.argmax(spectrum)) * RATE / len(sound)
