"""What is played, collected and left goes on from older copies, as if the process that had it had been killed."""

import asyncio

import numpy as np
import pytest

from bridge.call import events
from bridge.call.digits import DigitRules
from bridge.call.model import LegKind
from bridge.settings.model import Data, Line, Recording, Voicemail
from bridge.wire.call_event import CallEvent
from tests.support.handover.moving_calls import moving_calls
from tests.support.sound.speech_compare import tone
from tests.support.sound.wav import wav_file
from tests.support.waiting import until

pytestmark = pytest.mark.call

TALKS, SILENT = "15550100002", "15550100008"
MUSIC = 1.5
"""Seconds."""


@pytest.fixture
async def calls(tmp_path):
    music = tmp_path / "music.wav"
    music.write_bytes(wav_file(np.asarray(tone(MUSIC), "<i2").tobytes()))
    line = Line(keys=["demo"], hold_music=str(music), voicemail=Voicemail(max_seconds=60.0))
    chosen = {
        "data": Data(dir=str(tmp_path / "data")),
        "recording": Recording(min_free_mb=0.0),
        "lines": {"demo": line},
    }
    async with moving_calls(**chosen) as calls:
        yield calls


async def active(calls):
    call_id = await calls.client.dial(SILENT)
    await calls.client.until_state(call_id, "active")
    return call_id


def playback(calls, call_id):
    [leg] = calls.legs(call_id, LegKind.PLAYBACK)
    return leg


async def test_a_playback_goes_on_where_it_was_when_its_process_died(calls, tmp_path):
    told: list[CallEvent] = []
    calls.clients[1].bridge.manager.publisher.subscribe(told.append)
    call_id = await active(calls)
    media = calls.client.bridge.media
    sound = media.sounds.spool((tmp_path / "music.wav").read_bytes())
    await media.playbacks.play(calls.runner(call_id), sound)
    old = playback(calls, call_id)
    await until(lambda: old.played_seconds > 0.1)
    copy = calls.copy(call_id)
    await until(lambda: old.played_seconds > 0.6)
    heard = old.played_seconds
    await calls.crash(call_id, copy)
    assert playback(calls, call_id).played_seconds == pytest.approx(heard, abs=0.3)
    await until(lambda: "playback.completed" in calls.events)
    [completed] = [event for event in told if event.type == "playback.completed"]
    assert completed.data["status"] == "completed"
    assert completed.data["seconds"] == pytest.approx(MUSIC, abs=0.1)
    assert calls.events.count("playback.started") == 1


@pytest.mark.full
async def test_the_music_of_a_hold_goes_on(calls):
    call_id = await active(calls)
    await calls.client.data("/call/hold", {"callId": call_id})
    await until(lambda: playback(calls, call_id).played_seconds > 0.1)
    copy = calls.copy(call_id)
    await until(lambda: playback(calls, call_id).played_seconds > MUSIC)
    await calls.crash(call_id, copy)
    music = playback(calls, call_id)
    played = music.played_seconds
    assert played > MUSIC - 0.3
    await until(lambda: music.played_seconds > played + 0.5)
    await calls.client.data("/call/unhold", {"callId": call_id})
    assert calls.legs(call_id, LegKind.PLAYBACK) == []


@pytest.mark.virtual_time
async def test_the_time_for_a_digit_stands_still_while_nobody_listens(calls):
    call_id = await active(calls)
    rules = DigitRules(timeout_seconds=3.0)
    await calls.client.bridge.control.digits.collect(calls.runner(call_id), rules)
    [far] = calls.legs(call_id, LegKind.SIMULATOR)
    calls.runner(call_id).dispatch(events.DigitReceived(far.leg_id, "4"))
    copy = calls.copy(call_id)
    await asyncio.sleep(1.0)
    await calls.crash(call_id, copy, silent=12.0)
    await asyncio.sleep(1.0)
    assert "digits.collected" not in calls.events
    await until(lambda: "digits.collected" in calls.events)


@pytest.mark.virtual_time
async def test_a_caller_leaves_a_message_across_a_crash(calls):
    call_id = (await calls.client.data("/simulator/incoming", {"from": TALKS}))["callId"]
    await calls.client.data("/call/voicemail", {"callId": call_id})
    await until(lambda: calls.legs(call_id, LegKind.RECORDER))
    await until(lambda: calls.copies(call_id))
    copy = calls.copy(call_id)
    await asyncio.sleep(2.0)
    await calls.crash(call_id, copy, silent=12.0)
    await asyncio.sleep(2.0)
    await calls.client.data("/call/hangup", {"callId": call_id})
    await until(lambda: "voicemail.received" in calls.events)
    [found] = (await calls.client.data_of("/voicemails"))["voicemails"]
    assert found["durationMs"] > 14_000
    assert calls.events.count("voicemail.received") == 1
