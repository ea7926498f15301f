"""The far parties of the study of words, each with an ear, and the bots that speak to them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
from typing_extensions import override

from bridge.call import events
from bridge.call.model import CallId, LineName
from bridge.node.lines import LineConfig
from bridge.node.runner import CallRunner
from bridge.settings.model import Line, LineSip, Net, Realtime, WhatsApp
from tests.bench.studies.words.bots import Servers
from tests.bench.studies.words.probe import Sound
from tests.support.clients.caller import call_in
from tests.support.inprocess import Client, running, settings
from tests.support.packets.opus_packets import PacketDecoder, encode
from tests.support.peers.light_peer import Arrival, LightPeer
from tests.support.peers.meta_peer import LightMeta
from tests.support.sip.telephone import Telephone, linear, ulaw
from tests.support.sip.trunk_double import TrunkDouble
from tests.support.waiting import until
from tests.support.whatsapp.gateway_double import TOKEN as GATEWAY_TOKEN
from tests.support.whatsapp.gateway_double import ZuckZapGoDouble
from tests.support.whatsapp.graph_double import NUMBER_ID, SECRET, TOKEN, VERIFY, GraphDouble

LINE = LineName("demo")
OPUS = 111
KEY = "operators-key"


class Ear:
    """A far party of one call, that answers some time after it rings."""

    rate = 16_000

    def __init__(self, client: Client, *, silent: bool) -> None:
        self.client = client
        self.silent = silent
        """Whether it sends nothing."""

    async def ring(self) -> CallRunner:
        """Begin the call, which rings from then on."""
        raise NotImplementedError

    async def answer(self) -> None:
        raise NotImplementedError

    def heard(self) -> Sound:
        """Return all that it has heard."""
        raise NotImplementedError

    async def close(self) -> None:
        """Free what it has."""

    async def dial(self, **body: str) -> CallRunner:
        call_id = (await self.client.data("/call/dial", body))["callId"]
        runner = self.client.bridge.control.manager.running(CallId(call_id))
        assert runner is not None
        return runner


class SimulatorEar(Ear):
    """A party in the bridge's own process, that rings the line."""

    @override
    async def ring(self) -> CallRunner:
        self.caller, self.runner = await call_in(self.client.bridge.control.manager, line=LINE)
        return self.runner

    @override
    async def answer(self) -> None:
        self.runner.dispatch(events.AnswerRequested())

    @override
    def heard(self) -> Sound:
        return _samples(b"".join(frame.pcm for frame in self.caller.heard))


def _samples(pcm: bytes) -> Sound:
    return np.frombuffer(pcm, "<i2").astype(float)


def _opus(payloads: list[bytes]) -> Sound:
    decoder = PacketDecoder()
    return np.concatenate([np.zeros(1), *(32768 * decoder.decode(one) for one in payloads)])


def _quiet() -> list[bytes]:
    """Return packets of a party that says nothing: its media is up, and it interrupts nobody."""
    return encode(np.zeros(5 * 320, dtype=np.int16))


class BrowserEar(Ear):
    """A browser, over WebRTC."""

    rate = PacketDecoder.RATE

    @override
    async def ring(self) -> CallRunner:
        self.peer = LightPeer()
        self.runner = await self.dial(channel="webrtc")
        return self.runner

    @override
    async def answer(self) -> None:
        call_id = self.runner.facts.call_id
        await self.peer.call(self.client.exchange(call_id, party="far"))
        if not self.silent:
            await self.peer.speak(_quiet())

    @override
    def heard(self) -> Sound:
        return _opus([one.payload for one in self.peer.arrivals if one.payload_type == OPUS])

    @override
    async def close(self) -> None:
        await self.peer.close()


class OpusTrunk(TrunkDouble):
    """A trunk that speaks Opus alone."""

    @override
    def _describe(self, *lines: str) -> str:
        return self.phone.describe(
            f"a=rtpmap:{OPUS} opus/48000/2", *lines, formats=f"{OPUS} 101", address=self.named
        )


class TelephoneEar(Ear):
    """A telephone behind a SIP trunk, with G.711."""

    rate = 8000
    kind = 0
    trunk: TrunkDouble
    """One for all calls, one after the other."""

    @override
    async def ring(self) -> CallRunner:
        self.trunk.early = True
        self.trunk.phone.audio.clear()
        return await self.dial(phone="15550300001", channel="pstn")

    @override
    async def answer(self) -> None:
        await until(lambda: "INVITE" in self.trunk.requests)
        self.trunk.pick_up()
        if not self.silent:
            await self._speak()

    async def _speak(self) -> None:
        await self.trunk.phone.say(5 * [ulaw(np.zeros(160, dtype=np.int16))])

    @override
    def heard(self) -> Sound:
        payloads = [one.payload for one in self.trunk.phone.audio if one.payload_type == self.kind]
        return linear(b"".join(payloads)).astype(float)


class OpusTelephoneEar(TelephoneEar):
    """The same, with Opus."""

    rate = PacketDecoder.RATE
    kind = OPUS

    @override
    async def _speak(self) -> None:
        self.trunk.phone.payload_type = OPUS
        await self.trunk.phone.say(_quiet())

    @override
    def heard(self) -> Sound:
        return _opus([one.payload for one in self.trunk.phone.audio if one.payload_type == OPUS])


class ListeningMeta(LightMeta):
    """Meta's media server, which keeps what it hears."""

    def __init__(self) -> None:
        super().__init__()
        self.arrivals: list[Arrival] = []
        self._light.on_packet = self.arrivals.append

    @override
    def _hear(self, data: bytes) -> None:
        super()._hear(data)
        self._light.receive(data)


class WhatsAppEar(Ear):
    """A WhatsApp user behind Meta's Cloud API."""

    rate = PacketDecoder.RATE
    graph: GraphDouble

    @override
    async def ring(self) -> CallRunner:
        runner = await self.dial(phone="15550102222")
        self.call = self.graph.last
        return runner

    @override
    async def answer(self) -> None:
        await self.call.media.wait_connected()
        await self.graph.pick_up(self.call)
        for payload in () if self.silent else _quiet():
            self.call.media.say(payload)
            await asyncio.sleep(0.02)

    @override
    def heard(self) -> Sound:
        return _opus([one.payload for one in self.call.media.arrivals])

    @override
    async def close(self) -> None:
        await self.call.media.aclose()


class GatewayEar(Ear):
    """A WhatsApp user behind a gateway engine."""

    engine: ZuckZapGoDouble

    @override
    async def ring(self) -> CallRunner:
        runner = await self.dial(phone="15550107001")
        self.call = list(self.engine.calls.values())[-1]
        return runner

    @override
    async def answer(self) -> None:
        self.engine.pick_up(self.call)

    @override
    def heard(self) -> Sound:
        return _samples(b"".join(self.call.heard))


@asynccontextmanager
async def bridged(where: Servers, **line: Any) -> AsyncIterator[Client]:
    """Run a bridge with one line, whose bots are on these servers."""
    model = Realtime(url=where.model.url, key=KEY, greeting="Say hello.", hang_up=True)
    chosen = settings(
        lines={LINE: Line(keys=["demo"], realtime=model, **line)},
        net=Net(allow=["127.0.0.0/8"]),
    )
    async with running(chosen) as client:
        lines = client.bridge.lines.lines
        config = LineConfig(tts_url=f"{where.providers.root}/tts", greeting="Good day.")
        await lines.put(LINE, config)
        await lines.connect(LINE)
        yield client


@asynccontextmanager
async def _telephones(where: Servers, ear: type[TelephoneEar]) -> AsyncIterator[Client]:
    trunk = (OpusTrunk if ear.kind else TrunkDouble)(await Telephone().open())
    await trunk.open("127.0.0.1")
    ear.trunk = trunk
    way = LineSip(
        trunk=f"sip:127.0.0.1:{trunk.port};transport=udp",
        allow_prefixes=["+1"],
        trusted=["127.0.0.0/8"],
        codecs=["opus"] if ear.kind else ["pcmu"],
    )
    try:
        async with bridged(where, numbers=["15550109000"], sip=way) as client:
            yield client
    finally:
        trunk.transport.close()
        trunk.phone.close()


@asynccontextmanager
async def world(where: Servers, ear: type[Ear]) -> AsyncIterator[Client]:
    """Run a bridge, and what far parties of a kind are behind."""
    if issubclass(ear, TelephoneEar):
        async with _telephones(where, ear) as client:
            yield client
    elif issubclass(ear, WhatsAppEar):
        async with GraphDouble(media=ListeningMeta) as graph:
            whatsapp = WhatsApp(
                provider="cloud", phone_number_id=NUMBER_ID, access_token=TOKEN,
                app_secret=SECRET, verify_token=VERIFY, base_url=graph.url,
            )  # fmt: skip
            ear.graph = graph
            async with bridged(where, numbers=["15550101000"], whatsapp=whatsapp) as client:
                graph.webhook = str(client.http.make_url("/whatsapp/webhook"))
                yield client
                await graph.wait_idle()
    elif issubclass(ear, GatewayEar):
        engine = ZuckZapGoDouble()
        async with engine:
            engine.answers_at_once = False
            engine.speech = np.zeros(960, dtype=np.int16)
            whatsapp = WhatsApp(
                provider="gateway", dialect="zuckzapgo", url=engine.url, token=GATEWAY_TOKEN
            )
            ear.engine = engine
            async with bridged(where, whatsapp=whatsapp) as client:
                yield client
    else:
        async with bridged(where) as client:
            yield client


EARS: dict[str, type[Ear]] = {
    "simulator": SimulatorEar,
    "webrtc": BrowserEar,
    "sip, G.711": TelephoneEar,
    "sip, Opus": OpusTelephoneEar,
    "cloud": WhatsAppEar,
    "gateway": GatewayEar,
}
