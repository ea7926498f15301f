"""What each encoder setting costs and how it sounds: `make encoder-levels` writes the table anew.

Every setting encodes the same voices; packets are dropped at random (the same ones for every
setting) and what is left goes through the bridge's own receive logic, so that gaps are concealed
or rebuilt from in-band FEC as on a real leg. The cost is the encoder's alone.
"""

import argparse
import platform
import random
import statistics
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np
from pystoi import stoi

from bridge.audio.buffer.reorder import Action, ReorderBuffer
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
from bridge.audio.frame import FRAME_BYTES, FRAME_SAMPLES
from tests.docs.measured import write_figures
from tests.support.peers.stock_peer import read_wav
from tests.support.sound.lookahead import lookahead
from tests.support.sound.speech_compare import RATE, Pcm, align, overlap
from tests.support.sound.voices import SPEECH, TALKING

PAGE = Path(__file__).parents[3] / "docs" / "encoder-levels.md"

VOICES = (*SPEECH, TALKING)
COMPLEXITIES = (0, 1, 2, 3, 5, 7, 9)
BITRATES = (20_000, 24_000, 32_000, 40_000, 48_000, 56_000)
LOSSES = (0.0, 0.03, 0.05, 0.10)
SEEDS = 3
EXPECTED_LOSS = 10
ROUNDS = 8
FULL_SCALE = 32768.0


@dataclass(frozen=True, slots=True)
class Sound:
    """How a setting sounds at one share of loss: means over voices and seeds."""

    pesq: float
    stoi: float


@dataclass(frozen=True, slots=True)
class Row:
    """One setting's figures."""

    settings: EncoderSettings
    microseconds: float
    """Per frame: the fastest round of each voice, mean of the voices."""
    bitrate: float
    """Bits a second that really left the encoder."""
    with_fec: float
    """Share of the packets that carry FEC."""
    lookahead: float
    """Seconds."""
    sounds: tuple[Sound, ...]
    """One a loss of `LOSSES`."""


def grid() -> Iterator[EncoderSettings]:
    """Every setting of the table."""
    for complexity, bitrate in product(COMPLEXITIES, BITRATES):
        plain = EncoderSettings(Application.LOW_DELAY, bitrate, complexity)
        yield plain
        silk = replace(plain, application=Application.VOIP)
        yield silk
        yield replace(silk, fec=True, expected_loss=EXPECTED_LOSS)


def frames(pcm: Pcm) -> list[bytes]:
    """Cut speech into whole frames."""
    data = pcm.tobytes()
    return [
        data[at : at + FRAME_BYTES] for at in range(0, len(data) - FRAME_BYTES + 1, FRAME_BYTES)
    ]


def lost_packets(count: int, share: float, seed: int) -> frozenset[int]:
    """Choose which packets never arrive; the first one always does."""
    chance = random.Random(seed)
    return frozenset(n for n in range(count) if chance.random() < share and n)


def heard(opus: Opus, packets: Sequence[bytes], lost: frozenset[int]) -> Pcm:
    """Receive what is left of the packets, as the bridge does; a gap that is too long is silent."""
    receiver, decoder = ReorderBuffer(), Decoder(opus)
    sound = np.zeros(len(packets) * FRAME_SAMPLES, dtype=np.int16)
    for number, payload in enumerate(packets):
        if number in lost:
            continue
        for step in receiver.receive(number, 960 * number, payload, 0.02 * number):
            if step.action is Action.DECODE:
                pcm = decoder.decode(step.payload)
            elif step.action is Action.RECOVER:
                pcm = decoder.recover(step.payload, step.samples)
            else:
                pcm = decoder.conceal(step.samples)
            sound[step.pts : step.pts + step.samples] = np.frombuffer(pcm, np.int16)
    return sound


def listen(said: Pcm, what_came: Pcm, lag: int) -> Sound:
    """Compare what came with what was said, `lag` samples before."""
    from pesq import pesq

    left, right = overlap(said, what_came, lag)
    return Sound(
        float(pesq(RATE, left / FULL_SCALE, right / FULL_SCALE, "wb")),
        float(stoi(left, right, RATE, extended=False)),
    )


def judge(settings: EncoderSettings) -> Row:
    """Find out how a setting sounds; its cost is left at 0, for a quiet moment."""
    opus = load(candidates())
    encoder = Encoder(opus, settings)
    sounds: dict[float, list[Sound]] = {loss: [] for loss in LOSSES}
    octets = count = carrying = 0
    for voice in VOICES:
        said = read_wav(voice)
        encoder = Encoder(opus, settings)
        packets = [encoder.encode(frame) for frame in frames(said)]
        count += len(packets)
        octets += sum(map(len, packets))
        carrying += sum(map(has_fec, packets))
        lag = align(said, heard(opus, packets, frozenset())).lag
        for loss in LOSSES:
            for seed in range(SEEDS if loss else 1):
                lost = lost_packets(len(packets), loss, seed)
                sounds[loss].append(listen(said, heard(opus, packets, lost), lag))
    return Row(
        settings=settings,
        microseconds=0.0,
        bitrate=octets * 8 / (0.02 * count),
        with_fec=carrying / count,
        lookahead=lookahead(opus, encoder) / 16_000,
        sounds=tuple(mean(sounds[loss]) for loss in LOSSES),
    )


def costs(settings: Sequence[EncoderSettings], *, rounds: int = ROUNDS) -> list[float]:
    """Measure microseconds per frame of each setting, as the fastest of several rounds.

    A round goes through all settings, so that whatever else the machine does for a while cannot
    spoil every measurement of one of them.
    """
    opus = load(candidates())
    voices = [frames(read_wav(voice)) for voice in VOICES]
    fastest = [[float("inf")] * len(voices) for _ in settings]
    for _ in range(rounds):
        for best, one in zip(fastest, settings, strict=True):
            for number, said in enumerate(voices):
                encode = Encoder(opus, one).encode
                began = time.perf_counter()
                for frame in said:
                    encode(frame)
                best[number] = min(best[number], (time.perf_counter() - began) / len(said))
    return [1e6 * statistics.fmean(best) for best in fastest]


def mean(sounds: Sequence[Sound]) -> Sound:
    """Average what several voices and seeds gave."""
    return Sound(
        statistics.fmean(sound.pesq for sound in sounds),
        statistics.fmean(sound.stoi for sound in sounds),
    )


def name(settings: EncoderSettings) -> str:
    """Name a setting as the table does."""
    kind = "SILK" if settings.application is Application.VOIP else "CELT"
    return f"{kind} + FEC" if settings.fec else kind


def table(rows: Sequence[Row]) -> str:
    """Write the rows as Markdown, grouped by kind, rate and complexity."""
    columns = [f"{what} {round(100 * loss)} %" for what in ("PESQ", "STOI") for loss in LOSSES]
    head = ["encoder", "kb/s", "cx", "us", "sent kb/s", "FEC packets", "look-ahead ms", *columns]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    by_kind = sorted(rows, key=lambda row: (name(row.settings), row.settings.bitrate))
    for row in by_kind:
        settings = row.settings
        cells = [
            name(settings),
            f"{settings.bitrate // 1000}",
            f"{settings.complexity}",
            f"{row.microseconds:.1f}",
            f"{row.bitrate / 1000:.1f}",
            f"{row.with_fec:.0%}",
            f"{1000 * row.lookahead:.1f}",
            *(f"{sound.pesq:.2f}" for sound in row.sounds),
            *(f"{sound.stoi:.3f}" for sound in row.sounds),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def machine(opus: Opus) -> str:
    """Say on what the figures were taken."""
    cpu = platform.processor() or platform.machine()
    information = Path("/proc/cpuinfo")
    if information.exists():
        found = [line for line in information.read_text().splitlines() if "model name" in line]
        cpu = found[0].partition(": ")[2] if found else cpu
    return f"{opus.version}, {cpu}, {platform.system()} {platform.release()}, one core"


def main() -> None:
    """Measure everything and write the page's table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=2, help="processes that judge the sound")
    parser.add_argument("--print", action="store_true", help="print the table; write no file")
    arguments = parser.parse_args()
    settings = list(grid())
    with ProcessPoolExecutor(arguments.workers) as pool:
        judged = list(pool.map(judge, settings))
    measured = zip(judged, costs(settings), strict=True)
    rows = [replace(row, microseconds=microseconds) for row, microseconds in measured]
    written = f"Measured on: {machine(load(candidates()))}.\n\n{table(rows)}"
    if arguments.print:
        print(written)
        return
    write_figures(PAGE, written)


if __name__ == "__main__":
    main()
