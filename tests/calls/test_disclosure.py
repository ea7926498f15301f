"""Whole calls in which a machine speaks: nobody hears it before they have been told, on any road."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from typing import Any

import numpy as np
import pytest

from bridge.audio.codec.g711 import MULAW
from bridge.audio.file.wav import make_header
from bridge.audio.frame import FRAME_SAMPLES, SAMPLE_RATE
from bridge.call import events
from bridge.call.model import LegId, LegKind, LineName, Party, State
from bridge.call.routing import LegRole, Subscription
from bridge.node.lines import InboundMode, LineConfig
from bridge.node.runner import CallRunner
from bridge.settings.http import Console
from bridge.settings.model import Disclosure, Line, Net, Recording
from bridge.wire.stream.media_stream import StreamProtocol
from tests.support.clients.caller import Caller, call_in
from tests.support.fake_leg import FakeLeg
from tests.support.inprocess import KEY, Client, running, settings
from tests.support.published import Published
from tests.support.servers.provider_double import ProviderDouble, providing
from tests.support.servers.realtime_double import Say, Script, realtime_server
from tests.support.servers.stream_customer import customer_server
from tests.support.two_nodes import one_node_only
from tests.support.waiting import until

pytestmark = [pytest.mark.call, pytest.mark.virtual_time, one_node_only]

LINE = LineName("demo")
LOCAL = Net(allow=["127.0.0.0/8"])
CONSOLE = {"token": "the-key-of-the-console"}
STATEMENT, MACHINE, RECORDED = 700, 1500, 2300
"""Hertz of what is disclosed, of what machines say, and of the announcement of a recording."""
SECONDS = 0.6
"""Of what is disclosed."""


def tone(hertz: int, seconds: float, rate: int = SAMPLE_RATE) -> bytes:
    time = np.arange(round(seconds * rate)) / rate
    return (8000 * np.sin(2 * np.pi * hertz * time)).astype("<i2").tobytes()


def wav(hertz: int, seconds: float) -> bytes:
    pcm = tone(hertz, seconds)
    return make_header(len(pcm)) + pcm


@cache
def is_tone(pcm: bytes, hertz: int) -> bool:
    wave = np.frombuffer(pcm, "<i2").astype(float)
    spectrum = np.abs(np.fft.rfft(wave))
    loudest = float(np.argmax(spectrum)) * SAMPLE_RATE / FRAME_SAMPLES
    return bool(spectrum.max() > 1e5 and abs(loudest - hertz) <= 25)


def frames(leg: FakeLeg, hertz: int) -> list[int]:
    """The numbers of the frames of a tone, of those that a leg was sent."""
    return [number for number, frame in enumerate(leg.heard) if is_tone(frame.pcm, hertz)]


def was_told_first(leg: FakeLeg) -> bool:
    """Whether a party has heard a whole disclosure, and a machine only after it."""
    told, machine = frames(leg, STATEMENT), frames(leg, MACHINE)
    whole = round(SECONDS / 0.02)
    return len(told) >= whole and bool(machine) and machine[0] > told[whole - 1]


class Told:
    """A bridge whose line discloses something."""

    def __init__(self, client: Client, double: ProviderDouble) -> None:
        self.client = client
        self.double = double
        self.bridge = client.bridge
        self.manager = client.bridge.manager
        self.published = Published()
        self.manager.publisher.subscribe(self.published.events.append)

    def spoken(self) -> list[dict[str, Any]]:
        return self.published.of("disclosure.spoken")

    async def ring(
        self, mode: InboundMode = InboundMode.MANUAL, **config: Any
    ) -> tuple[Caller, CallRunner]:
        """Let a caller ring, whom the line answers so; machines that speak from then on have a tone of their own."""
        lines = self.bridge.lines.lines
        await lines.put(LINE, LineConfig(mode=mode, tts_url=f"{self.double.root}/tts", **config))
        await lines.connect(LINE)
        caller, runner = await call_in(self.manager)
        if mode is InboundMode.MANUAL:
            runner.dispatch(events.AnswerRequested())
        else:
            await until(lambda: self.double.count("tts"))
            if isinstance(self.double.answers["tts"], bytes):
                self.double.answers["tts"] = wav(MACHINE, 0.6)
        return caller, runner


@asynccontextmanager
async def telling(recording: Recording | None = None, **given: Any) -> AsyncIterator[Told]:
    """Run a bridge whose lines disclose something."""
    disclosure = Disclosure(text="You are talking to a machine.", **given)
    line = Line(keys=["demo"])
    async with providing() as double:
        double.answers["tts"] = wav(STATEMENT, SECONDS)
        chosen = settings(
            lines={LINE: line},
            net=LOCAL,
            console=Console(keys=[CONSOLE["token"]]),
            disclosure=disclosure,
            recording=recording or Recording(),
        )
        async with running(chosen) as client:
            yield Told(client, double)


async def heard(leg: FakeLeg, count: int = 20) -> None:
    """Wait until a party has heard so many frames of a machine."""
    await until(lambda: len(frames(leg, MACHINE)) >= count)


async def count(line: Told, result: str) -> float:
    text = await (await line.client.get("/metrics")).text()
    [row] = [
        row
        for row in text.splitlines()
        if row.startswith("bridge_disclosures_total") and f'result="{result}"' in row
    ]
    return float(row.rsplit(" ", 1)[1])


async def test_a_caller_is_told_before_an_agent_speaks():
    async with telling() as line:
        caller, _ = await line.ring(InboundMode.BOT, greeting="Good day.")
        await heard(caller)
        assert was_told_first(caller)
        [spoken] = line.spoken()
        assert spoken["parties"] == [caller.leg_id]
        assert len(str(spoken["textHash"])) == 64
        assert not spoken["interrupted"]


async def test_the_history_of_a_call_says_when_and_in_what_words_it_disclosed():
    async with telling() as line:
        caller, runner = await line.ring(InboundMode.BOT, greeting="Good day.")
        path = f"/calls/{runner.facts.call_id}"
        assert (await line.client.data_of(path))["disclosedAt"] is None
        await heard(caller)
        live = await line.client.data_of(path)
        assert live["startedAt"] < live["disclosedAt"]
        said = {"asset": None, "textHash": line.spoken()[0]["textHash"], "language": "en"}
        assert live["disclosure"] == said
        await line.client.data("/call/hangup", {"callId": runner.facts.call_id})
        await until(lambda: line.published.of("call.ended"))
        ended = await line.client.data_of(path)
        assert (ended["disclosedAt"], ended["disclosure"]) == (live["disclosedAt"], said)
        [listed] = (await line.client.data_of("/calls"))["calls"]
        assert listed["disclosedAt"] == live["disclosedAt"]


@pytest.mark.full
async def test_the_console_shows_when_a_call_disclosed_and_in_what_words():
    async with telling() as line:
        caller, runner = await line.ring(InboundMode.BOT, greeting="Good day.")
        await heard(caller)
        path = f"/console/api/calls/{runner.facts.call_id}"
        shown = (await (await line.client.get(path, headers=CONSOLE)).json())["data"]
        assert shown["call"]["disclosedAt"]
        [event] = [one for one in shown["events"] if one["type"] == "disclosure.spoken"]
        assert event["data"]["textHash"] == line.spoken()[0]["textHash"]
        assert event["data"]["language"] == "en"


@pytest.mark.full
async def test_a_caller_is_told_before_a_model_speaks():
    async with realtime_server(Script([[Say(1.0, MACHINE)]])) as server, telling() as line:
        caller, _ = await line.ring(
            InboundMode.STREAM,
            stream_url=server.url,
            stream_protocol=StreamProtocol.OPENAI_REALTIME,
            greeting="Hello.",
        )
        await heard(caller)
        assert was_told_first(caller)


@pytest.mark.full
@pytest.mark.parametrize("protocol", [StreamProtocol.NATIVE, StreamProtocol.TWILIO])
async def test_a_caller_is_told_before_a_server_speaks_whose_protocol_the_line_names(protocol):
    async with customer_server() as server, telling(for_=[protocol.value]) as line:
        caller, _ = await line.ring(
            InboundMode.STREAM, stream_url=server.url, stream_protocol=protocol
        )
        customer = await server.customer()
        await until(lambda: customer.of("start"))
        if protocol is StreamProtocol.TWILIO:
            stream = customer.of("start")[0]["streamSid"]
            await customer.play(MULAW.encode(tone(MACHINE, 1.0, 8_000)), streamSid=stream)
        else:
            await customer.play(tone(MACHINE, 1.0, 24_000))
        await heard(caller)
        assert was_told_first(caller)


@pytest.mark.full
async def test_a_caller_is_told_before_a_media_socket_speaks_that_says_it_is_a_machine():
    async with telling() as line:
        caller, runner = await line.ring()
        path = f"/call/{runner.facts.call_id}/stream?machine=true"
        async with line.client.http.ws_connect(path, headers=KEY) as ws:
            await ws.send_bytes(tone(MACHINE, 2.0))
            await heard(caller)
            assert was_told_first(caller)


@pytest.mark.full
async def test_a_socket_that_is_no_machine_is_heard_at_once():
    async with telling() as line:
        caller, runner = await line.ring()
        await talk(add_bot(runner, machine=False), 0.6)
        assert len(frames(caller, MACHINE)) > 20
        assert not frames(caller, STATEMENT)


class Bot(Caller):
    """A machine that a test has speak, a WebRTC one, say, whose audio is not held."""

    def __init__(self, name: str = "bot") -> None:
        super().__init__(LegKind.WEBRTC)
        self.leg_id = LegId(name)


def add_bot(runner: CallRunner, name: str = "bot", *, machine: bool = True) -> Bot:
    bot = Bot(name)
    runner.add_leg(bot, LegRole(Party.NEAR, Subscription.INBOUND, machine=machine))
    return bot


def add_party(runner: CallRunner, name: str, party: Party) -> FakeLeg:
    leg = FakeLeg(name, LegKind.SIMULATOR if party is Party.FAR else LegKind.WEBRTC)
    runner.add_leg(leg, LegRole(party))
    runner.dispatch(events.LegConnected(leg.leg_id))
    return leg


async def talk(bot: Bot, seconds: float) -> None:
    await bot.say(seconds, tone(MACHINE, 0.02))


@pytest.mark.full
async def test_nobody_is_told_twice_however_many_machines_come():
    async with telling() as line:
        caller, runner = await line.ring()
        await talk(add_bot(runner), 2.0)
        await talk(add_bot(runner, "later"), 1.0)
        assert was_told_first(caller)
        assert len(line.spoken()) == 1
        assert len(frames(caller, STATEMENT)) == round(SECONDS / 0.02)


@pytest.mark.parametrize("party", [Party.FAR, pytest.param(Party.NEAR, marks=pytest.mark.full)])
async def test_who_joins_later_is_told_before_they_hear_the_machine_and_the_others_hear_it_meanwhile(
    party,
):
    async with telling() as line:
        caller, runner = await line.ring()
        bot = add_bot(runner)
        await talk(bot, 1.5)
        later = add_party(runner, "later", party)
        before = len(frames(caller, MACHINE))
        await talk(bot, 2.0)
        assert was_told_first(later)
        assert len(frames(caller, STATEMENT)) == round(SECONDS / 0.02)
        assert len(frames(caller, MACHINE)) >= before + 95
        assert [one["parties"] for one in line.spoken()] == [[caller.leg_id], [later.leg_id]]


@pytest.mark.full
async def test_a_held_caller_is_told_when_they_are_back():
    async with telling() as line:
        caller, runner = await line.ring()
        await until(lambda: runner.machine.state is State.ACTIVE)
        runner.dispatch(events.HoldRequested(held=True))
        bot = add_bot(runner)
        await talk(bot, 2.0)
        assert not frames(caller, STATEMENT) + frames(caller, MACHINE)
        runner.dispatch(events.HoldRequested(held=False))
        await talk(bot, 2.0)
        assert was_told_first(caller)


@pytest.mark.full
async def test_a_caller_who_is_held_in_the_middle_is_told_all_of_it_again():
    async with telling() as line:
        caller, runner = await line.ring()
        bot = add_bot(runner)
        await until(lambda: len(frames(caller, STATEMENT)) > 5)
        runner.dispatch(events.HoldRequested(held=True))
        await talk(bot, 1.0)
        assert not line.spoken()
        cut = len(frames(caller, STATEMENT))
        runner.dispatch(events.HoldRequested(held=False))
        await talk(bot, 2.0)
        assert len(frames(caller, STATEMENT)) == cut + round(SECONDS / 0.02)
        assert frames(caller, MACHINE)[0] > frames(caller, STATEMENT)[-1]


async def test_a_caller_who_speaks_over_it_is_told_once_more_and_then_to_the_end():
    async with telling() as line:
        caller, runner = await line.ring()
        bot = add_bot(runner)
        await until(lambda: len(frames(caller, STATEMENT)) > 2)
        await caller.say(0.5)
        cut = len(frames(caller, STATEMENT))
        assert cut < round(SECONDS / 0.02)
        await until(lambda: len(frames(caller, STATEMENT)) > cut)
        await asyncio.gather(caller.say(1.0), talk(bot, 2.0))
        assert len(frames(caller, STATEMENT)) == cut + round(SECONDS / 0.02)
        assert frames(caller, MACHINE)[0] > frames(caller, STATEMENT)[-1]
        [spoken] = line.spoken()
        assert spoken["interrupted"]
        assert await count(line, "repeated") == 1


async def test_a_caller_who_cannot_be_told_never_hears_the_agent_and_the_call_ends():
    async with telling() as line:
        line.double.answers["tts"] = 500
        caller, _ = await line.ring(InboundMode.BOT, greeting="Good day.")
        await until(lambda: "call.ended" in line.published.types, timeout=60)
        assert not frames(caller, MACHINE)
        [failed] = line.published.of("disclosure.failed")
        assert failed["parties"] == [caller.leg_id]
        assert await count(line, "failed") == 1


@pytest.mark.full
async def test_where_it_was_said_in_a_recording_stands_in_the_event():
    async with telling() as line:
        _, runner = await line.ring()
        await until(lambda: runner.machine.state is State.ACTIVE)
        await line.bridge.records.recordings.start(runner)
        await asyncio.sleep(0.5)
        add_bot(runner)
        [spoken] = await until(line.spoken)
        assert spoken["recordings"]
        for where in spoken["recordings"]:
            assert where["beginsMs"] >= 480
            assert where["endsMs"] - where["beginsMs"] == pytest.approx(SECONDS * 1000, abs=40)


@pytest.mark.full
@pytest.mark.real_time  # the announcement is decoded by a process
async def test_that_a_call_is_recorded_is_announced_first(tmp_path):
    sound = tmp_path / "recorded.wav"
    sound.write_bytes(wav(RECORDED, 0.5))
    recording = Recording(announcement=str(sound))
    async with telling(recording=recording) as line:
        caller, runner = await line.ring()
        await until(lambda: runner.machine.state is State.ACTIVE)
        await line.bridge.records.recordings.start(runner)
        add_bot(runner)
        await until(line.spoken)
        assert frames(caller, RECORDED)[-1] < frames(caller, STATEMENT)[0]


@pytest.mark.full
@pytest.mark.real_time
async def test_that_a_call_is_recorded_is_not_announced_while_somebody_is_told(tmp_path):
    sound = tmp_path / "recorded.wav"
    sound.write_bytes(wav(RECORDED, 0.5))
    recording = Recording(announcement=str(sound))
    async with telling(recording=recording) as line:
        line.double.answers["tts"] = wav(STATEMENT, 3.0)
        caller, runner = await line.ring()
        await until(lambda: runner.machine.state is State.ACTIVE)
        add_bot(runner)
        await until(lambda: frames(caller, STATEMENT))
        await line.bridge.records.recordings.start(runner)
        await until(lambda: frames(caller, RECORDED))
        assert frames(caller, STATEMENT)[-1] < frames(caller, RECORDED)[0]
        [spoken] = line.spoken()
        assert spoken["recordings"] == []


@pytest.mark.full
async def test_a_line_keeps_what_speaks_its_disclosure():
    async with telling() as line:
        await line.ring(InboundMode.BOT, greeting="Good day.")
        config = {"callInboundMode": "bot", "callTtsUrl": ""}
        response = await line.client.http.put("/call/config", json=config, headers=KEY)
        assert response.status == 400
        assert "callTtsUrl" in await response.text()
