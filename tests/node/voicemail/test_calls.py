"""Callers at voicemail: what they hear, what ends their message, and what becomes of it."""

import asyncio

import msgspec
import pytest

from bridge.audio.file.wav import parse_wav
from bridge.call import events
from bridge.call.model import LegKind, LineName, Party, State
from bridge.call.recording import RecordingRequest
from bridge.call.routing import LegRole
from bridge.errors import DatabaseFailed, DatabaseLost, InvalidState
from bridge.node.lines import LineConfig
from bridge.settings.model import Data, Line, Recording, Voicemail
from tests.support.clients.caller import call_in
from tests.support.fake_leg import FakeLeg
from tests.support.inprocess import running, settings
from tests.support.published import Published
from tests.support.waiting import until, until_answer

pytestmark = pytest.mark.virtual_time

LINE = LineName("demo")
BEEP, FIRST_TONE = 1000.0, 523.25


def with_voicemail(*, recording: Recording | None = None, **voicemail):
    line = Line(keys=["demo"], voicemail=Voicemail(**voicemail))
    chosen = settings(lines={"demo": line})
    return msgspec.structs.replace(chosen, recording=recording or Recording())


class House:
    """A bridge, and what it publishes."""

    def __init__(self, client):
        self.client = client
        self.bridge = client.bridge
        self.manager = client.bridge.manager
        self.calls = self.bridge.control.voicemail_calls
        self.published = Published()
        self.manager.publisher.subscribe(self.published.events.append)

    async def sent(self):
        """Let a caller ring, send it to voicemail, and wait until it may speak."""
        caller, runner = await call_in(self.manager)
        self.calls.send(runner)
        await until(lambda: any(leg.kind is LegKind.RECORDER for leg in runner.legs()))
        return caller, runner

    async def voicemails(self):
        return (await self.bridge.records.voicemails.store.page(LINE, limit=9, offset=0))[0]

    async def received(self):
        [voicemail] = await until_answer(self.voicemails, timeout=60.0)
        return voicemail

    async def counted(self, outcome):
        name = f'bridge_voicemails_total{{outcome="{outcome}"}} 1.0'
        text = self.bridge.node.metrics.render

        await until(lambda: name in text().decode(), timeout=60.0)

    async def recordings(self, call_id):
        return await self.bridge.records.recordings.archive.of_call(LINE, call_id)


@pytest.fixture
async def house():
    async with running(with_voicemail(max_seconds=30.0)) as client:
        yield House(client)


async def test_a_caller_hears_tones_and_a_beep_and_is_recorded_until_silence(house):
    caller, runner = await house.sent()
    assert caller.answered
    assert caller.hears(FIRST_TONE)
    assert caller.hears(BEEP)
    await caller.say(3.0)
    voicemail = await house.received()
    assert not runner.live
    assert voicemail.from_ == "+15550100002"
    assert voicemail.seconds == pytest.approx(8.0, abs=0.5)
    [event] = house.published.of("voicemail.received")
    assert event["reason"] == "silence"
    assert event["recordingId"] == voicemail.recording_id
    [track] = await house.recordings(voicemail.call_id)
    spoken = parse_wav(house.bridge.records.recordings.archive.path(track).read_bytes()).pcm
    assert max(spoken[:64_000]) > 0


async def test_a_key_ends_the_message(house):
    caller, _ = await house.sent()
    await caller.say(2.0)
    caller.press("#")
    assert (await house.received()).seconds == pytest.approx(2.0, abs=0.5)
    assert house.published.of("voicemail.received")[0]["reason"] == "key"


async def test_a_caller_who_hangs_up_has_left_a_message(house):
    caller, _ = await house.sent()
    await caller.say(2.0)
    caller.hang_up()
    await house.received()
    assert house.published.of("voicemail.received")[0]["reason"] == "hangup"
    await house.counted("received")


async def test_the_longest_message_ends_the_call(house):
    caller, runner = await house.sent()
    await caller.say(31.0)
    assert not runner.live
    await house.received()
    assert house.published.of("voicemail.received")[0]["reason"] == "max_length"


async def test_a_caller_who_says_nothing_leaves_nothing(house):
    _, runner = await house.sent()
    await until(lambda: not runner.live, timeout=60.0)
    await house.counted("empty")
    assert await house.voicemails() == []
    assert await house.recordings(runner.facts.call_id) == []


async def test_a_caller_who_leaves_during_the_greeting_leaves_nothing(house):
    caller, runner = await call_in(house.manager)
    house.calls.send(runner)
    await until(lambda: caller.hears(FIRST_TONE))
    caller.hang_up()
    await house.counted("abandoned")
    assert await house.recordings(runner.facts.call_id) == []


async def test_a_key_skips_the_greeting(house):
    caller, runner = await call_in(house.manager)
    house.calls.send(runner)
    await until(lambda: runner.machine.state is State.ACTIVE)
    caller.press("#")
    await until(lambda: caller.hears(BEEP))
    assert not caller.hears(FIRST_TONE)


async def test_who_answers_before_the_greeting_is_at_hand_has_the_call(house):
    _, runner = await call_in(house.manager)
    house.calls.send(runner)
    runner.dispatch(events.AnswerRequested())
    assert not runner.record().at_voicemail
    await asyncio.sleep(20.0)
    assert runner.live
    await house.counted("abandoned")


async def test_who_joins_during_the_message_has_the_call_and_the_message_is_kept(house):
    caller, runner = await house.sent()
    await caller.say(2.0)
    runner.add_leg(FakeLeg("near", LegKind.SOCKET), LegRole(Party.NEAR))
    assert not runner.record().at_voicemail
    await house.received()
    await asyncio.sleep(20.0)
    assert runner.live


async def test_who_waits_for_the_caller_leaves_when_it_is_sent_to_voicemail(house):
    caller, runner = await call_in(house.manager)
    runner.add_leg(FakeLeg("near", LegKind.SOCKET), LegRole(Party.NEAR))
    house.calls.send(runner)
    await until(lambda: caller.hears(BEEP))
    assert runner.machine.legs.near() == []


async def test_only_an_inbound_call_that_rings_can_be_sent_to_voicemail(house):
    _, runner = await house.sent()
    with pytest.raises(InvalidState):
        house.calls.send(runner)
    _, other = await call_in(house.manager)
    house.calls.send(other)
    with pytest.raises(InvalidState, match="already"):
        house.calls.send(other)


async def test_the_call_is_at_voicemail_until_its_end(house):
    caller, runner = await house.sent()
    assert runner.record().at_voicemail
    caller.hang_up()
    assert not runner.record().at_voicemail


async def test_a_greeting_that_cannot_be_had_is_replaced_by_tones():
    async with running(with_voicemail(greeting="missing.wav")) as client:
        caller, _ = await House(client).sent()
        assert caller.hears(FIRST_TONE)


async def test_a_message_is_recorded_without_an_announcement_and_nothing_else_is():
    async with running(with_voicemail(recording=Recording(announcement="beep"))) as client:
        house = House(client)
        await client.bridge.lines.lines.put(LINE, LineConfig(record=True))
        await client.bridge.lines.lines.connect(LINE)
        caller, runner = await house.sent()
        await caller.say(2.0)
        caller.hang_up()
        voicemail = await house.received()
        assert [track.kind for track in await house.recordings(runner.facts.call_id)] == ["inbound"]
        assert voicemail.seconds == pytest.approx(2.0, abs=0.5)
        assert not caller.hears(1400.0)


async def test_a_message_is_kept_when_the_bridge_shuts_down_in_the_middle_of_it(tmp_path):
    chosen = msgspec.structs.replace(with_voicemail(), data=Data(dir=str(tmp_path)))
    async with running(chosen) as client:
        caller, runner = await House(client).sent()
        await caller.say(2.0)
    async with running(chosen) as client:
        [voicemail] = await House(client).voicemails()
        assert voicemail.call_id == runner.facts.call_id
        assert voicemail.seconds == pytest.approx(2.0, abs=0.5)


async def test_a_call_of_which_only_the_mix_is_recorded_takes_no_message(house):
    _, runner = await call_in(house.manager)
    house.calls.send(runner)
    await until(lambda: runner.machine.state is State.ACTIVE)
    await house.bridge.records.recordings.start(runner, RecordingRequest(("mixed",)))
    await until(lambda: not runner.live, timeout=60.0)
    await house.counted("failed")


@pytest.mark.parametrize("takes", [True, False])
async def test_a_rejected_call_goes_to_voicemail_where_the_line_wants_that(takes):
    async with running(with_voicemail(rejected=takes)) as client:
        house = House(client)
        caller, runner = await call_in(house.manager)
        house.calls.reject(runner)
        await asyncio.sleep(1.0)
        assert runner.live is takes
        assert caller.answered is takes


async def test_a_full_disk_ends_the_call():
    async with running(with_voicemail(recording=Recording(min_free_mb=1e12))) as client:
        house = House(client)
        _, runner = await call_in(house.manager)
        house.calls.send(runner)
        await until(lambda: not runner.live, timeout=60.0)
        await house.counted("failed")
        assert await house.voicemails() == []


async def test_a_message_that_the_database_does_not_take_is_forgotten(house, monkeypatch):
    async def fail(*_: object, **__: object) -> None:
        raise DatabaseFailed("no room")

    caller, _ = await house.sent()
    await caller.say(2.0)
    monkeypatch.setattr(house.bridge.records.recordings.archive, "finish", fail)
    caller.hang_up()
    await house.counted("failed")
    assert await house.voicemails() == []


@pytest.mark.parametrize("what", ["archive.find", "store.complete"])
async def test_a_message_that_ends_while_the_database_is_away_is_kept_afterwards(
    house, monkeypatch, caplog, what
):
    place, name = what.split(".")
    owner = {
        "archive": house.bridge.records.recordings.archive,
        "store": house.bridge.records.voicemails.store,
    }[place]
    work, failures = getattr(owner, name), [DatabaseLost("away")] * 3

    async def lost_at_first(*given):
        if failures:
            raise failures.pop()
        return await work(*given)

    caller, _ = await house.sent()
    await caller.say(2.0)
    monkeypatch.setattr(type(owner), name, lambda _, *given: lost_at_first(*given))
    caller.hang_up()
    assert (await house.received()).seconds == pytest.approx(2.0, abs=0.5)
    assert failures == []
    assert "task.failed" not in caplog.text


async def test_the_log_names_no_caller(house, caplog):
    caplog.set_level("DEBUG")
    caller, _ = await house.sent()
    await caller.say(2.0)
    caller.press("#")
    await house.received()
    assert "voicemail.received" in caplog.text
    assert all("15550100002" not in str(vars(record)) for record in caplog.records)
