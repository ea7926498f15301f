"""How well an agent tells "mm-hm" from "wait": `make overlaps` measures it, and writes the tables of docs/interruptions.md.

The figures are those of 400 overlaps with voices, noises and interruptions that the classifier has not seen. With `--fit` its weights
are computed anew, from the other half of the material (`tests.support.sound.overlaps`).
"""

import argparse
import platform
import textwrap
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from bridge.agent.listening import Heard, Listener
from bridge.agent.speech_queue import SpeechQueue
from bridge.agent.voice_detector import Model, Silero, silero
from bridge.audio.detect import overlap_weights
from bridge.audio.detect.level import SILENT, level
from bridge.audio.detect.overlap import OverlapDetector, OverlapKind
from bridge.audio.detect.overlap_model import CLASSES, LIMIT, Network
from bridge.audio.detect.vad import MIN_VOICE, Vad
from bridge.audio.frame import FRAME_SECONDS
from bridge.settings.agent import Agent
from tests.docs.measured import write_figures
from tests.support.sound.overlap_phrases import SPOKEN
from tests.support.sound.overlaps import FIGURES, FIT, Overlap, corpus

PAGE: Final = Path(__file__).parents[3] / "docs" / "interruptions.md"
WEIGHTS: Final = Path(overlap_weights.__file__)
COUNTS: Final = {
    OverlapKind.BACKCHANNEL: 200,
    OverlapKind.INTERRUPTION: 200,
    OverlapKind.NOISE: 60,
}
"""Of the figures."""
FIT_COUNTS: Final = {
    OverlapKind.BACKCHANNEL: 2100,
    OverlapKind.INTERRUPTION: 2100,
    OverlapKind.NOISE: 400,
}
FIGURES_SEED: Final = 4
FIT_SEEDS: Final = (31,)
FOLDS: Final = 3
INTERRUPTION: Final = CLASSES.index("interruption")
LIMIT_SECONDS: Final = 0.4
"""From the beginning of an interruption until the bot has stopped."""
EARLY_SECONDS: Final = 0.08
"""How much before its true beginning an overlap may seem to begin."""
LATE_SECONDS: Final = 0.16
"""How much after it one may seem to begin that is learnt from,"""
AUDIBLE_SECONDS: Final = 0.2
"""and how much of it has been heard then."""
UNITS: Final = 32
"""Of the network."""
DECAY: Final = 0.001
"""Its weights are kept small by so much."""
FALSE_STOPS: Final = 0.045
"""Of backchannels, at which the threshold is set: below what is promised, as other voices are less well known."""

Vector = NDArray[np.float64]
Mode = Literal["any", "meant"]


# Measuring


@dataclass(frozen=True, slots=True)
class Result:
    """What an agent made of an overlap."""

    overlap: Overlap
    stopped: float | None
    """After how many seconds it stopped; None if it went on."""

    @property
    def in_time(self) -> bool:
        return self.stopped is not None and self.stopped <= LIMIT_SECONDS


def hear(overlap: Overlap, mode: Mode, model: Model | None) -> Result:
    """Let an agent that says the bot's part hear the caller's, frame by frame as in a call."""
    speech = SpeechQueue()
    listener = Listener(Agent(interruptions=mode), speech)
    if model is not None:
        model.reset()
        listener.use(Silero(model))
    frames = list(overlap.frames())
    begins = next(number for number, (_, bot) in enumerate(frames) if level(bot) > SILENT)
    for number, (caller, _) in enumerate(frames):
        if number == begins:
            speech.fill(b"".join(bot for _, bot in frames[begins:]))
        speech.pull()
        heard = listener.push(caller, busy=True)
        stopped = (number + 1) * FRAME_SECONDS - overlap.began
        if heard is Heard.INTERRUPTS and stopped > -EARLY_SECONDS:
            return Result(overlap, stopped)
    return Result(overlap, None)


def measure(overlaps: Iterable[Overlap]) -> dict[Mode, list[Result]]:
    """Let agents of both kinds hear overlaps."""
    make = silero()
    model = None if make is None else make()
    found: dict[Mode, list[Result]] = {"any": [], "meant": []}
    for overlap in overlaps:
        for mode, results in found.items():
            results.append(hear(overlap, mode, model))
    return found


def share(results: Sequence[Result], kind: OverlapKind) -> float:
    """Return the share of overlaps of a kind that stopped the bot, of interruptions those that did in time."""
    of_kind = [one for one in results if one.overlap.kind is kind]
    stopped = [
        one.in_time if kind is OverlapKind.INTERRUPTION else one.stopped is not None
        for one in of_kind
    ]
    return sum(stopped) / len(stopped) if stopped else float("nan")


def cost(overlap: Overlap) -> tuple[float, float]:
    """Measure microseconds a frame, the fastest of five rounds: of a caller who is silent, and of one who speaks all the time."""
    frames = [caller for caller, _ in overlap.frames()]
    quiet, loud = frames[5:55], sorted(frames, key=level)[-50:]
    return min(_cost(quiet) for _ in range(5)), min(_cost(loud) for _ in range(5))


def _cost(frames: list[bytes]) -> float:
    detector, vad = OverlapDetector(), Vad()
    loud = [vad.push(pcm) for pcm in frames]
    began = time.process_time()
    for pcm, one in zip(frames * 20, loud * 20, strict=True):
        detector.push(pcm, vad, loud=one, bot=False)
    return 1e6 * (time.process_time() - began) / (20 * len(frames))


# Fitting


def observe(overlap: Overlap) -> list[tuple[Vector, OverlapKind]]:
    """Return the features from which an overlap is decided, and what is to be decided from each."""
    heard: list[Vector] = []

    def classify(features: Vector) -> OverlapKind:
        heard.append(features)
        return OverlapKind.NOISE

    found = []
    detector, vad = OverlapDetector(classify), Vad()
    for number, (caller, bot) in enumerate(overlap.frames(), 1):
        loud = vad.push(caller)
        detector.push(caller, vad, loud=loud, bot=level(bot) > MIN_VOICE)
        kind = _wanted(overlap, detector.began * FRAME_SECONDS, number * FRAME_SECONDS)
        found += [(row, kind) for row in heard if kind is not None]
        heard.clear()
    return found


def _wanted(overlap: Overlap, began: float, now: float) -> OverlapKind | None:
    """Return what is to be heard at a time in an overlap that seems to have begun at another: before it begins noise, None where that is unclear."""
    if now < overlap.began + AUDIBLE_SECONDS:
        return OverlapKind.NOISE if now < overlap.began + FRAME_SECONDS else None
    return overlap.kind if began < overlap.began + LATE_SECONDS else None


class Examples(NamedTuple):
    """What is heard of overlaps, to learn from: a row for each decision."""

    rows: Vector
    """Their features."""
    classes: NDArray[np.int64]
    overlaps: NDArray[np.int64]
    """The number of each one's overlap."""
    voices: NDArray[np.str_]
    """The variant of the voice that speaks, which may be one of several languages."""


def examples(overlaps: Iterable[Overlap]) -> Examples:
    """Return what is found of overlaps."""
    rows, classes, numbers, voices = [], [], [], []
    for number, overlap in enumerate(overlaps):
        for row, kind in observe(overlap):
            rows.append(row)
            classes.append(CLASSES.index(kind.value))
            numbers.append(number)
            voices.append(overlap.voice.partition("+")[2])
    return Examples(np.array(rows), np.array(classes), np.array(numbers), np.array(voices))


def fit(rows: Vector, classes: NDArray[np.int64]) -> Network:
    """Return the network that distinguishes the classes best."""
    mean, deviation = rows.mean(axis=0), rows.std(axis=0) + 1e-3
    even = np.clip((rows - mean) / deviation, -LIMIT, LIMIT)
    inputs = np.hstack([even, np.ones((len(even), 1))])
    wanted = np.eye(len(CLASSES))[classes]
    shapes = [(inputs.shape[1], UNITS), (UNITS + 1, len(CLASSES))]
    split = shapes[0][0] * UNITS

    def loss(weights: Vector) -> tuple[float, Vector]:
        hidden, output = weights[:split].reshape(shapes[0]), weights[split:].reshape(shapes[1])
        units = np.hstack([np.tanh(inputs @ hidden), np.ones((len(inputs), 1))])
        scores = units @ output
        powers = np.exp(scores - scores.max(axis=1, keepdims=True))
        likely = powers / powers.sum(axis=1, keepdims=True)
        error = (likely - wanted) / len(inputs)
        down = (error @ output[:-1].T) * (1 - units[:, :-1] ** 2)
        slopes = [inputs.T @ down, units.T @ error]
        cost = -np.log((likely * wanted).sum(axis=1) + 1e-12).mean()
        for matrix, slope in zip((hidden, output), slopes, strict=True):
            slope[:-1] += DECAY * matrix[:-1]
            cost += DECAY * (matrix[:-1] ** 2).sum() / 2
        return float(cost), np.concatenate([slope.ravel() for slope in slopes])

    first = np.random.default_rng(0).normal(0, 0.2, split + shapes[1][0] * shapes[1][1])
    best = minimize(loss, first, jac=True, method="L-BFGS-B", options={"maxiter": 200}).x
    return Network(
        mean, deviation, best[:split].reshape(shapes[0]), best[split:].reshape(shapes[1])
    )


def write_weights(network: Network, threshold: float) -> None:
    """Write the module of the weights."""
    lines = textwrap.wrap(network.encode(), 88)
    text = "\n".join(f"    {line!r}" for line in lines)
    WEIGHTS.write_text(
        f'"""Written by `make overlaps ARGS=--fit` (`overlap_model`)."""\n\nFEATURES = {len(network.mean)}\nTHRESHOLD = {threshold:.2f}\n'
        f"# fmt: off\nWEIGHTS = (\n{text}\n)\n# fmt: on\n",
        encoding="utf-8",
    )


def threshold_of(known: Examples) -> float:
    """Return the likelihood of an interruption that `FALSE_STOPS` of the backchannels reach, each heard by a network that does not know the voice."""
    found = np.zeros(len(known.rows))
    for fold in range(FOLDS):
        voices = FIT.variants[fold::FOLDS]
        theirs = np.isin(known.voices, voices)
        network = fit(known.rows[~theirs], known.classes[~theirs])
        found[theirs] = network.likelihoods(known.rows[theirs])[:, INTERRUPTION]
    stops = np.quantile(_highest(known, found, "backchannel"), 1 - FALSE_STOPS)
    recall = (_highest(known, found, "interruption") >= stops).mean()
    print(f"of voices left out: {recall:.1%} of interruptions at {FALSE_STOPS:.1%} false stops")
    return float(stops)


def _highest(known: Examples, likelihoods: Vector, kind: str) -> Vector:
    """Return the highest likelihood of each overlap of a kind."""
    own = known.classes == CLASSES.index(kind)
    _, numbers = np.unique(known.overlaps[own], return_inverse=True)
    highest = np.zeros(numbers.max() + 1)
    np.maximum.at(highest, numbers, likelihoods[own])
    return highest


def fit_weights() -> None:
    """Compute the weights and the threshold from one half of the material, and write them."""
    known = examples(overlap for seed in FIT_SEEDS for overlap in corpus(FIT, FIT_COUNTS, seed))
    write_weights(fit(known.rows, known.classes), threshold_of(known))


# The page


def report(found: dict[Mode, list[Result]], costs: tuple[float, float]) -> str:
    """Return what stands on the page."""
    count = len(next(iter(found.values())))
    return (
        f"{count} overlaps, on {platform.processor() or platform.machine()}:\n\n{summary(found)}\n"
        f"`meant`, by language:\n\n{by_language(found['meant'])}\n"
        f"Cost: {costs[0]:.0f} µs for a frame of a caller who is silent, {costs[1]:.0f} µs for one of a caller who speaks.\n"
    )


def summary(found: dict[Mode, list[Result]]) -> str:
    """Return a table of the modes."""
    lines = [
        "| `interruptions` | backchannels that stopped the agent | noises that did | interruptions that did within 400 ms | at all | after ms (median / p95) |",
        "|---|---|---|---|---|---|",
    ]
    for mode, results in found.items():
        took = [
            1000 * one.stopped
            for one in results
            if one.stopped is not None and one.overlap.kind is OverlapKind.INTERRUPTION
        ]
        of_kind = sum(one.overlap.kind is OverlapKind.INTERRUPTION for one in results)
        shares = [
            share(results, one)
            for one in (OverlapKind.BACKCHANNEL, OverlapKind.NOISE, OverlapKind.INTERRUPTION)
        ]
        spread = f"{np.median(took):.0f} / {np.percentile(took, 95):.0f}" if took else "never"
        cells = " | ".join(f"{one:.1%}" for one in (*shares, len(took) / max(1, of_kind)))
        lines.append(f"| `{mode}` | {cells} | {spread} |")
    return "\n".join(lines) + "\n"


def by_language(results: Sequence[Result]) -> str:
    """Return a table of the languages."""
    lines = [
        "| language | backchannels that stopped it | interruptions that did within 400 ms |",
        "|---|---|---|",
    ]
    for language in SPOKEN:
        own = [one for one in results if one.overlap.voice.startswith(f"{language}+")]
        shares = [share(own, kind) for kind in (OverlapKind.BACKCHANNEL, OverlapKind.INTERRUPTION)]
        lines.append(f"| {language[:2]} | {shares[0]:.1%} | {shares[1]:.1%} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, and write the page's tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--print", action="store_true", help="print the tables; write no file")
    parser.add_argument(
        "--fit", action="store_true", help="compute the weights anew; takes some minutes"
    )
    arguments = parser.parse_args()
    if arguments.fit:
        fit_weights()
        return
    overlaps = list(corpus(FIGURES, COUNTS, FIGURES_SEED))
    written = report(measure(overlaps), cost(overlaps[0]))
    if arguments.print:
        print(written)
        return
    write_figures(PAGE, written)


if __name__ == "__main__":
    main()
