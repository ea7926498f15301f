"""What callers say while a bot speaks, made by espeak-ng: backchannels, interruptions and noises, in six languages.

Two halves have other voices, noises and interruptions: thresholds are set on one, figures are those of the other.
Those who interrupt tend to be louder and higher than they were (French and Local, "Turn-competitive incomings", 1983), and
those who only agree softer, at the ends of sentences rather than within them; the distributions of both overlap.
"""

import hashlib
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from scipy.signal import lfilter, resample_poly

from bridge.audio.detect.overlap import OverlapKind
from bridge.audio.frame import FRAME_BYTES, FRAME_SAMPLES, SAMPLE_RATE
from tests.support.sound.noises import Sound, noises
from tests.support.sound.overlap_phrases import AGREED, BOT, INTERRUPTED, SPOKEN

FOLDER: Final = Path(__file__).parents[3] / "build" / "overlaps"
LEAD_SECONDS: Final = 2.2
"""Before the caller's first words, so that the background is known."""
TAIL_SECONDS: Final = 1.0
KNOWN: Final = 0.9
"""How many of the callers have said something before."""
ESPEAK_RATE: Final = 22050
NOISE_SECONDS: Final = 120.0
ECHO_DB: Final = -38.0
"""Of the bot in the caller's microphone."""


class Half(NamedTuple):
    """Half of the material."""

    number: int
    variants: tuple[str, ...]
    """Of espeak-ng's voices."""
    noises: tuple[str, ...]


FIT: Final = Half(
    0,
    ("m1", "m3", "m5", "m6", "m8", "f2", "f4", "steph", "adam", "linda", "Andrea", "Annie", "antonio", "aunty", "david", "edward", "Gene", "grandma", "Hugo", "john", "Lee", "Marco", "max", "norbert", "pablo", "rob", "shelby", "Storm", "victor", "Alex", "Andy", "Diogo", "Mike", "Nguyen", "announcer", "anika", "benjamin", "caleb", "gustave", "iven", "Jacky", "kaukovalta", "marcelo", "pedro", "quincy", "sandro", "zac", "grandpa", "ed"),
    ("white", "music", "typing", "wind", "television", "crowd", "traffic", "dishes"),
)  # fmt: skip
FIGURES: Final = Half(
    1,
    ("m2", "m4", "m7", "f1", "f3", "f5", "belinda", "michael", "Alicia", "Denis", "Henrique", "Mario", "boris", "miguel", "travis", "paul"),
    ("street", "steps", "babble"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Overlap:
    """A caller and a bot that speak at once."""

    kind: OverlapKind
    voice: str
    """Of espeak-ng."""
    text: str
    """What the caller says; `hum` and names of noises are none."""
    caller: bytes
    bot: bytes
    """Both sides: 16-bit samples, equally long."""
    began: float
    """When the caller's overlap begins, in seconds: its first voiced sample."""
    ended: float

    def frames(self) -> Iterator[tuple[bytes, bytes]]:
        """Return both sides in frames of 20 ms."""
        for start in range(0, len(self.caller), FRAME_BYTES):
            yield self.caller[start : start + FRAME_BYTES], self.bot[start : start + FRAME_BYTES]


def corpus(half: Half, kinds: Mapping[OverlapKind, int], seed: int) -> Iterator[Overlap]:
    """Make so many overlaps of each kind, those of all languages in turn."""
    chance = np.random.default_rng([seed, half.number])
    languages = list(SPOKEN)
    for kind, count in kinds.items():
        for number in range(count):
            yield _overlap(half, kind, languages[number % len(languages)], chance)


def _overlap(half: Half, kind: OverlapKind, language: str, chance: np.random.Generator) -> Overlap:
    variant = str(chance.choice(half.variants))
    base = chance.uniform(35, 60)
    own = decibels(chance.uniform(-32, -20))
    text, voice = _said(half, kind, language, (variant, base), chance)
    usual = espeak(
        f"{language}+{variant}",
        str(chance.choice(SPOKEN[language])),
        base,
        chance.uniform(150, 200),
    )
    louder = {
        OverlapKind.BACKCHANNEL: chance.normal(-4, 3),
        OverlapKind.INTERRUPTION: chance.normal(5 if " " not in text else 3, 3),
        OverlapKind.NOISE: chance.normal(-2, 4),
    }[kind]
    first = LEAD_SECONDS + len(usual) / SAMPLE_RATE + chance.uniform(0.8, 1.2)
    bot = espeak(language, str(chance.choice(BOT[language])), 50, 165)
    place = _place(kind, bot, chance)
    count = round((first + place + len(voice) / SAMPLE_RATE + TAIL_SECONDS) * SAMPLE_RATE)
    count += -count % FRAME_SAMPLES
    caller, said = np.zeros(count), np.zeros(count)
    if chance.random() < KNOWN:
        _add(caller, usual * own, LEAD_SECONDS)
    began = first + place
    _add(caller, voice * own * decibels(louder), began)
    _add(said, np.tile(bot, 3) * decibels(-22), first)
    snr = chance.uniform(18, 36)
    noise = _noise(str(chance.choice(half.noises)), count, chance)
    hiss = chance.standard_normal(count) * 10 / 32768
    caller += noise * own * decibels(-snr) + hiss + said * decibels(ECHO_DB)
    begins, ends = extent(voice)
    return Overlap(
        kind,
        f"{language}+{variant}",
        text,
        _samples(caller),
        _samples(said),
        began + begins,
        began + ends,
    )


def _said(
    half: Half,
    kind: OverlapKind,
    language: str,
    voice: tuple[str, float],
    chance: np.random.Generator,
) -> tuple[str, Sound]:
    variant, base = voice
    if kind is OverlapKind.NOISE:
        return "noise", _sudden(chance)
    if kind is OverlapKind.BACKCHANNEL:
        if chance.random() < 0.2:
            return "hum", _hum(110 if variant[0] == "m" else 200, chance)
        text = str(chance.choice(AGREED[language]))
        pitch, speed = base + chance.normal(-4, 7), chance.uniform(165, 230)
    else:
        text = str(chance.choice(INTERRUPTED[language][half.number]))
        pitch, speed = base + chance.normal(14, 7), chance.uniform(160, 220)
    return text, espeak(f"{language}+{variant}", text, pitch, speed)


def _place(kind: OverlapKind, bot: Sound, chance: np.random.Generator) -> float:
    """Choose when the caller begins, in seconds of what the bot says."""
    whole = len(bot) / SAMPLE_RATE
    at_end = chance.random() < {OverlapKind.BACKCHANNEL: 0.65, OverlapKind.INTERRUPTION: 0.25}.get(
        kind, 0.2
    )
    ends = _sentence_ends(bot)
    if at_end and ends:
        return float(chance.choice(ends) + chance.uniform(-0.15, 0.25))
    return float(chance.uniform(0.5, whole - 0.3))


def _sentence_ends(sound: Sound) -> list[float]:
    """Find where pauses of more than 0.12 s begin."""
    loud = np.abs(sound[: len(sound) // 160 * 160].reshape(-1, 160)).max(axis=1) > 0.03
    ends, quiet = [], 0
    for number, voiced in enumerate(loud):
        quiet = 0 if voiced else quiet + 1
        if quiet == 12 and number > 60:
            ends.append((number - 11) * 0.01)
    return ends


def espeak(voice: str, text: str, pitch: float, speed: float) -> Sound:
    """Return speech at a mean level of 1 where it is voiced; made once and kept."""
    options = ["-v", voice, "-p", str(round(min(99, max(0, pitch)))), "-s", str(round(speed))]
    name = hashlib.sha256("|".join([*options, text]).encode()).hexdigest()[:20]
    path = FOLDER / f"{name}.npy"
    if not path.exists():
        command = ["espeak-ng", *options, "--stdout", text]
        made = subprocess.run(command, capture_output=True, check=True).stdout[44:]
        raw = np.frombuffer(made[: len(made) // 2 * 2], "<i2").astype(float)
        FOLDER.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(f".{id(raw)}.npy")
        np.save(partial, (resample_poly(raw, 320, 441)).astype(np.float32))
        partial.replace(path)
    return _even(np.load(path).astype(float))


def _even(sound: Sound) -> Sound:
    """Cut silence off both ends, and scale the power of the voiced parts to 1."""
    parts = sound[: len(sound) // 80 * 80].reshape(-1, 80)
    power = np.sqrt((parts**2).mean(axis=1))
    loud = np.flatnonzero(power > 0.05 * power.max())
    voiced = power[power > 0.2 * power.max()]
    even: Sound = sound[loud[0] * 80 : (loud[-1] + 1) * 80] / np.sqrt((voiced**2).mean())
    return even


def extent(sound: Sound) -> tuple[float, float]:
    """Return when a sound begins and ends: to 5 ms, 20 dB below its loudest part."""
    parts = sound[: len(sound) // 80 * 80].reshape(-1, 80)
    power = np.sqrt((parts**2).mean(axis=1))
    loud = np.flatnonzero(power > 0.1 * power.max())
    return float(loud[0]) * 0.005, float(loud[-1] + 1) * 0.005


def _hum(pitch: float, chance: np.random.Generator) -> Sound:
    """A hum, of one syllable or of two with a breath between them, that rises or falls."""
    pieces = []
    syllables = int(chance.integers(1, 3))
    tone = pitch * chance.uniform(0.85, 1.15)
    for _ in range(syllables):
        count = round(chance.uniform(0.13, 0.24) * SAMPLE_RATE)
        at = np.linspace(0, 1, count)
        pitches = tone * (1 + chance.uniform(-0.12, 0.18) * at)
        phase = 2 * np.pi * np.cumsum(pitches) / SAMPLE_RATE
        wave = np.zeros(count)
        for harmonic in range(1, 12):
            wave += np.sin(harmonic * phase) / harmonic ** chance.uniform(1.3, 1.9)
        pieces += [
            wave * np.minimum(1, 8 * np.minimum(at, 1 - at)),
            np.zeros(round(chance.uniform(0.02, 0.06) * SAMPLE_RATE)),
        ]
        tone *= chance.uniform(0.95, 1.25)
    return _even(np.concatenate(pieces[:-1]))


def _sudden(chance: np.random.Generator) -> Sound:
    """A cough, a door, a cup that is set down."""
    count = round(chance.uniform(0.06, 0.35) * SAMPLE_RATE)
    at = np.linspace(0, 1, count)
    sound = chance.standard_normal(count) * np.exp(-chance.uniform(2, 7) * at)
    pole = chance.uniform(0.0, 0.95)
    sound = lfilter([1.0], [1.0, -pole], sound)
    if chance.random() < 0.4:
        sound = np.concatenate(
            [sound, np.zeros(round(chance.uniform(0.05, 0.2) * SAMPLE_RATE)), sound * 0.8]
        )
    return _even(sound)


@cache
def _background(name: str) -> Sound:
    others = {
        "babble": _babble,
        "television": _television,
        "crowd": _crowd,
        "traffic": _traffic,
        "dishes": _dishes,
    }
    return others[name]() if name in others else noises()[name](NOISE_SECONDS, 3)


def _noise(name: str, count: int, chance: np.random.Generator) -> Sound:
    """Return a piece of a noise."""
    whole = _background(name)
    start = int(chance.integers(len(whole) - count))
    piece: Sound = whole[start : start + count]
    return piece


def _babble() -> Sound:
    """Return the voices of others in the room, one of each language."""
    made = np.zeros(round(NOISE_SECONDS * SAMPLE_RATE))
    for number, language in enumerate(SPOKEN):
        voice = espeak(language, BOT[language][0], 30 + 8 * number, 170)
        made += np.resize(np.roll(voice, number * 7919), len(made))
    scaled: Sound = made / np.sqrt((made**2).mean())
    return scaled


def _television() -> Sound:
    """Two who take turns and sometimes speak at once, and what they say before and after a pause."""
    made = np.zeros(round(NOISE_SECONDS * SAMPLE_RATE))
    chance = np.random.default_rng(4)
    for variant in ("adam", "linda"):
        at = 0.0
        while at < NOISE_SECONDS - 12:
            language = str(chance.choice(list(SPOKEN)))
            voice = espeak(f"{language}+{variant}", str(chance.choice(SPOKEN[language])), 45, 180)
            _add(made, voice, at)
            at += len(voice) / SAMPLE_RATE + chance.uniform(0.3, 4.0)
    scaled: Sound = made / np.sqrt((made**2).mean())
    return scaled


def _crowd() -> Sound:
    """Six who speak at once, each with pauses, nearer or farther away."""
    made = np.zeros(round(NOISE_SECONDS * SAMPLE_RATE))
    chance = np.random.default_rng(6)
    for variant in ("m3", "f2", "norbert", "Annie", "rob", "aunty"):
        at, near = 0.0, decibels(chance.normal(0, 3))
        while at < NOISE_SECONDS - 12:
            language = str(chance.choice(list(SPOKEN)))
            text = str(chance.choice(SPOKEN[language]))
            voice = espeak(f"{language}+{variant}", text, chance.uniform(30, 65), 180)
            _add(made, voice * near, at)
            at += len(voice) / SAMPLE_RATE + chance.uniform(0.1, 1.5)
    scaled: Sound = made / np.sqrt((made**2).mean())
    return scaled


def _traffic() -> Sound:
    """The rumble of a road, and single cars that pass."""
    count = round(NOISE_SECONDS * SAMPLE_RATE)
    chance = np.random.default_rng(8)
    made = _dull(count, 0.97, chance)
    at = np.arange(count) / SAMPLE_RATE
    passes = 0.0
    while (passes := passes + chance.exponential(2.0)) < NOISE_SECONDS:
        lasts = chance.uniform(0.3, 1.2)
        loud = decibels(chance.uniform(0, 14)) * np.exp(-(((at - passes) / lasts) ** 2) / 2)
        near = np.flatnonzero(loud > 0.01)
        made[near] += loud[near] * _dull(len(near), chance.uniform(0.7, 0.95), chance)
    scaled: Sound = made / np.sqrt((made**2).mean())
    return scaled


def _dull(count: int, pole: float, chance: np.random.Generator) -> Sound:
    noise: Sound = lfilter([1.0], [1.0, -pole], chance.standard_normal(count))
    even: Sound = noise / noise.std()
    return even


def _dishes() -> Sound:
    """Strokes that ring."""
    count = round(NOISE_SECONDS * SAMPLE_RATE)
    chance = np.random.default_rng(9)
    made = 0.02 * chance.standard_normal(count)
    at = 0.0
    while (at := at + chance.exponential(0.5) + 0.05) < NOISE_SECONDS - 1:
        times = np.arange(round(chance.uniform(0.05, 0.3) * SAMPLE_RATE)) / SAMPLE_RATE
        stroke = chance.standard_normal(len(times)) * chance.uniform(0, 1)
        for _ in range(5):
            stroke += np.sin(2 * np.pi * chance.uniform(400, 5000) * times) * chance.uniform(0.2, 1)
        stroke *= chance.uniform(0.3, 1.5) * np.exp(-5 * times / times[-1])
        _add(made, stroke, at)
    scaled: Sound = made / np.sqrt((made**2).mean())
    return scaled


def decibels(value: float) -> float:
    """Return the factor of a level."""
    return float(10 ** (value / 20))


def _add(to: Sound, sound: Sound, at: float) -> None:
    start = round(at * SAMPLE_RATE)
    part = sound[: len(to) - start]
    to[start : start + len(part)] += part


def _samples(sound: Sound) -> bytes:
    return np.clip(sound * 32768, -32768, 32767).astype("<i2").tobytes()
