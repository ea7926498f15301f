"""What is played into a call, collected from its party or left by a caller passes with the call."""

import asyncio
from pathlib import Path

import numpy as np
import pytest

from bridge.audio.file.wav import parse_wav
from bridge.call import events
from bridge.call.digits import DigitRules
from bridge.call.model import LegKind
from bridge.settings.model import Data, Line, Recording, Voicemail
from bridge.wire.call_event import CallEvent
from tests.support.handover.moving_calls import moving_calls
from tests.support.sound.speech_compare import tone
from tests.support.sound.wav import wav_file
from tests.support.waiting import until, until_answer

pytestmark = pytest.mark.call

TALKS, SILENT = "15550100002", "15550100008"


@pytest.fixture
async def calls(tmp_path):
    music = tmp_path / "music.wav"
    music.write_bytes(wav_file(np.asarray(tone(1.5), "<i2").tobytes()))
    line = Line(keys=["demo"], hold_music=str(music), voicemail=Voicemail(max_seconds=2.0))
    chosen = {
        "data": Data(dir=str(tmp_path / "data")),
        "recording": Recording(min_free_mb=0.0),
        "lines": {"demo": line},
    }
    async with moving_calls(**chosen) as calls:
        yield calls


async def move(calls, call_id):
    await until(lambda: calls.movable() == [call_id])
    await calls.move(call_id)


async def active(calls):
    call_id = await calls.client.dial(SILENT)
    await calls.client.until_state(call_id, "active")
    return call_id, calls.runner(call_id)


def playback(runner):
    return next((leg for leg in runner.legs() if leg.kind is LegKind.PLAYBACK), None)


def legs(runner, kind):
    return [leg for leg in runner.legs() if leg.kind is kind]


async def test_a_file_is_played_to_its_end_once(calls, tmp_path):
    call_id, runner = await active(calls)
    told: list[CallEvent] = []
    for client in calls.clients:
        client.bridge.manager.publisher.subscribe(told.append)
    sound = calls.client.bridge.media.sounds.spool((tmp_path / "music.wav").read_bytes())
    await calls.client.bridge.media.playbacks.play(runner, sound)
    await until(lambda: playback(runner).played_seconds > 0.1)
    await move(calls, call_id)
    assert not sound.path.exists()
    await until(lambda: "playback.completed" in calls.events)
    [completed] = [event for event in told if event.type == "playback.completed"]
    assert (completed.data["status"], completed.data["seconds"]) == ("completed", 1.5)
    assert calls.events.count("playback.started") == 1
    await until(lambda: not list((tmp_path / "data" / "spool").glob("*/*")))


@pytest.mark.full
async def test_hold_music_goes_on_until_the_call_is_resumed(calls):
    call_id, _ = await active(calls)
    await calls.client.data("/call/hold", {"callId": call_id})
    await move(calls, call_id)
    music = playback(calls.runner(call_id))
    played = music.played_seconds
    await until(lambda: music.played_seconds > played + 0.7)
    await calls.client.data("/call/unhold", {"callId": call_id})
    assert playback(calls.runner(call_id)) is None


async def test_digits_before_and_after_the_move_are_collected_together(calls, tmp_path):
    call_id, runner = await active(calls)
    told: list[CallEvent] = []
    calls.clients[1].bridge.manager.publisher.subscribe(told.append)
    sound = calls.client.bridge.media.sounds.spool((tmp_path / "music.wav").read_bytes())
    digits = calls.client.bridge.control.digits
    await digits.collect(runner, DigitRules(max_digits=3, interrupts=False), prompt=sound)
    far = runner.legs()[0].leg_id
    runner.dispatch(events.DigitReceived(far, "4"))
    await move(calls, call_id)
    calls.runner(call_id).dispatch(events.DigitReceived(far, "7"))
    await until(lambda: "playback.completed" in calls.events)
    calls.runner(call_id).dispatch(events.DigitReceived(far, "1"))
    [collected] = [event for event in told if event.type == "digits.collected"]
    assert collected.data["digits"] == "471"
    assert calls.events.count("digits.started") == 1
    await until(lambda: not list((tmp_path / "data" / "spool").glob("*/*")))


@pytest.mark.virtual_time
async def test_the_time_for_a_digit_goes_on(calls):
    call_id, runner = await active(calls)
    await calls.client.bridge.control.digits.collect(runner, DigitRules(timeout_seconds=0.5))
    await move(calls, call_id)
    await until(lambda: "digits.failed" in calls.events)
    assert calls.told[-1] == (1, "digits.failed")


@pytest.mark.virtual_time
@pytest.mark.parametrize("during", ["greeting", "message"])
async def test_a_caller_leaves_a_message_across_a_move(calls, tmp_path, during):
    answer = await calls.client.data("/simulator/incoming", {"from": TALKS})
    call_id = answer["callId"]
    await calls.client.data("/call/voicemail", {"callId": call_id})
    runner = calls.runner(call_id)
    kind = LegKind.VOICEMAIL if during == "greeting" else LegKind.RECORDER
    await until(lambda: legs(runner, kind))
    await move(calls, call_id)
    assert legs(calls.runner(call_id), LegKind.VOICEMAIL)
    if during == "message":
        await asyncio.sleep(0.3)
    await until(lambda: "voicemail.received" in calls.events)
    assert [at for at, told in calls.told if told == "voicemail.received"] == [1]
    [found] = await until_answer(lambda: voicemails(calls))
    heard = recorded(tmp_path / "data")
    assert 1900 < found["durationMs"] == len(heard) / 16 < 2100
    assert np.abs(heard.astype(int)).max() > 1000


def recorded(data: Path):
    """What the only recording has."""
    [track] = data.glob("recordings/**/*.wav")
    return np.frombuffer(parse_wav(track.read_bytes()).pcm, np.int16)


async def voicemails(calls):
    answer = await calls.client.get("/voicemails")
    return (await answer.json())["data"]["voicemails"]
