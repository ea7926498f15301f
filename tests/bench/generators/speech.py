"""What is left of speech when packets are lost: through the bridge, and through libopus alone.

Started by the bench with a plan (JSON) on standard input; writes a list of results (JSON) to
standard output. Every voice is sent once with each share of loss, all at the same time, to the
contact that echoes. "libopus alone" decodes what was sent with the same packets lost, makes up
what is missing as the library can, and encodes it again as the bridge does.
"""

import asyncio
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

import aiohttp
import numpy as np
import uvloop

from bridge.audio.codec.encoder_level import choose
from bridge.audio.codec.opus import (
    Application,
    Decoder,
    Encoder,
    EncoderSettings,
    Opus,
    candidates,
    load,
)
from bridge.audio.codec.opus_packet import has_fec
from tests.bench.generators.callers import caller
from tests.support.packets.impairment import Impairment
from tests.support.packets.opus_packets import FRAME
from tests.support.peers.light_peer import Arrival, LightPeer
from tests.support.sound.speech_compare import Pcm, compare
from tests.support.sound.voices import SPEECH, words

SENDER = EncoderSettings(Application.VOIP, bitrate=24_000, complexity=5, fec=True, expected_loss=10)
"""As a browser encodes once it has heard of losses."""
_TICKS = 3
"""RTP timestamps in a sample at 16 kHz."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """One voice through one loss."""

    voice: str
    loss: float
    lost: int
    packets: int
    bridge: float
    """PESQ of what came back."""
    libopus: float
    """PESQ of what libopus alone makes of the same packets."""


@dataclass(frozen=True, slots=True)
class _Case:
    voice: int
    loss: float
    packets: Sequence[bytes | None]
    """What is sent; None is lost."""


async def run(url: str, losses: Sequence[float]) -> list[Heard]:
    """Send every voice through every loss at once, then judge."""
    opus = load(candidates())
    cases = [
        _Case(voice, loss, _with_losses(encode(opus, words(voice), SENDER), voice, loss))
        for voice in range(len(SPEECH))
        for loss in losses
    ]
    async with aiohttp.ClientSession() as session, caller(session, url, kind="echo") as calls:

        async def listen(case: _Case) -> list[Arrival]:
            call = await calls.call()
            async with LightPeer() as peer:
                await peer.call(call.seats[0])
                await peer.speak(case.packets)
                await asyncio.sleep(0.5)
            await call.end()
            return peer.arrivals

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(listen(case)) for case in cases]
    return [_judge(opus, case, task.result()) for case, task in zip(cases, tasks, strict=True)]


def encode(opus: Opus, sound: Pcm, settings: EncoderSettings) -> list[bytes]:
    """Encode whole frames; what is over at the end is left out."""
    encoder = Encoder(opus, settings)
    frames = sound[: len(sound) // FRAME * FRAME].reshape(-1, FRAME)
    return [encoder.encode(frame.tobytes()) for frame in frames]


def play(opus: Opus, arrivals: Iterable[Arrival]) -> Pcm:
    """Decode what came, at its place in time; gaps are made up."""
    decoder = Decoder(opus)
    parts: list[bytes] = []
    expected: int | None = None
    for arrival in sorted(arrivals, key=lambda one: one.time):
        gap = 0 if expected is None else (arrival.timestamp - expected) & 0xFFFF_FFFF
        if gap < 1 << 31:
            parts += [decoder.conceal() for _ in range(gap // (_TICKS * FRAME))]
            parts.append(decoder.decode(arrival.payload))
            expected = arrival.timestamp + _TICKS * FRAME
    return np.frombuffer(b"".join(parts), dtype=np.int16)


def alone(opus: Opus, packets: Sequence[bytes | None]) -> Pcm:
    """Decode with the losses made up: by FEC where the next packet has it, else concealed."""
    decoder = Decoder(opus)
    parts: list[bytes] = []
    for number, packet in enumerate(packets):
        if packet is not None:
            parts.append(decoder.decode(packet))
            continue
        following = packets[number + 1] if number + 1 < len(packets) else None
        if following is not None and has_fec(following):
            parts.append(decoder.recover(following))
        else:
            parts.append(decoder.conceal())
    return np.frombuffer(b"".join(parts), dtype=np.int16)


def _with_losses(packets: Sequence[bytes], seed: int, loss: float) -> list[bytes | None]:
    network = Impairment(seed=seed, loss=loss)
    return [one if network.decide(number) else None for number, one in enumerate(packets)]


def _judge(opus: Opus, case: _Case, arrivals: Sequence[Arrival]) -> Heard:
    said = words(case.voice)
    again = encode(opus, alone(opus, case.packets), choose(None))
    return Heard(
        voice=SPEECH[case.voice].stem,
        loss=case.loss,
        lost=case.packets.count(None),
        packets=len(case.packets),
        bridge=compare(said, play(opus, arrivals)).pesq,
        libopus=compare(said, alone(opus, again)).pesq,
    )


def main() -> None:
    """Do what standard input says."""
    plan = json.load(sys.stdin)
    result = uvloop.run(run(plan["url"], plan["losses"]))
    json.dump([asdict(one) for one in result], sys.stdout)


if __name__ == "__main__":
    main()
