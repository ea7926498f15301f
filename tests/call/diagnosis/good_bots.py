"""Good calls of bots, of every kind and with all that bots and callers do, made up from a seed."""

import random
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from bridge.call.diagnosis.observation import BotKind
from tests.call.diagnosis.stub_bot import BURST, LEG_KINDS, BotCall, StubBot, Talk, speech

SECONDS = 24.0
CONNECTED_AS = tuple(BotKind)


def _spans(rng: random.Random, begin: float = 4.0) -> list[tuple[float, float]]:
    spans = []
    while begin < SECONDS:
        length = rng.uniform(0.8, 3.0)
        spans.append((begin, begin + length))
        begin += length + rng.uniform(5.5, 9.0)
    return spans


def _bot(rng: random.Random, **more: Any) -> StubBot:
    chosen: dict[str, Any] = {
        "gain": rng.uniform(0.35, 1.1),
        "pace": rng.choice([BURST, BURST, 1.0, 1.5, 2.0, 4.0]),
        "message_seconds": rng.choice([0.02, 0.06, 0.1, 0.2]),
        "think_seconds": rng.uniform(0.3, 2.0),
        "speech_seconds": rng.uniform(1.0, 4.0),
        "voice": rng.randrange(3),
        "padding": rng.random() < 0.3,
    }
    if chosen["padding"]:
        chosen |= {"pace": 1.0, "message_seconds": 0.02}
    return StubBot(rng.choice(CONNECTED_AS), **(chosen | more))


def _talk(rng: random.Random, **more: Any) -> Talk:
    chosen: dict[str, Any] = {
        "spans": _spans(rng),
        "voice": rng.randrange(3),
        "gain": rng.uniform(0.4, 1.1),
        "noise": rng.uniform(2.0, 60.0),
    }
    return Talk(**(chosen | more))


def _turns(rng: random.Random) -> BotCall:
    return BotCall(_bot(rng), _talk(rng))


def _ahead(rng: random.Random) -> BotCall:
    return BotCall(_bot(rng, pace=rng.choice([BURST, 1.2, 1.5, 2.0, 3.0]), padding=False, speech_seconds=8.0), _talk(rng))  # fmt: skip


def _in_pieces(rng: random.Random) -> BotCall:
    bot = _bot(rng, pace=rng.choice([1.3, 2.0]), padding=False, message_seconds=rng.choice([0.5, 1.0]))  # fmt: skip
    return BotCall(bot, _talk(rng))


def _thinks_long(rng: random.Random) -> BotCall:
    spans = [(4.0, 6.0), (15.0, 16.5)]
    bot = _bot(rng, think_seconds=rng.uniform(3.0, 4.0), speech_seconds=3.0)
    return BotCall(bot, _talk(rng, spans=spans))


def _silent_caller(rng: random.Random) -> BotCall:
    return BotCall(_bot(rng), _talk(rng, spans=[(21.0, 22.0)]))


def _listens_first(rng: random.Random) -> BotCall:
    return BotCall(_bot(rng, greets=False), _talk(rng))


def _quiet_caller(rng: random.Random) -> BotCall:
    return BotCall(_bot(rng), _talk(rng, gain=rng.uniform(0.05, 0.15), noise=3.0))


def _loud_room(rng: random.Random) -> BotCall:
    return BotCall(_bot(rng), _talk(rng, noise=rng.uniform(150.0, 400.0)))


def _backchannels(rng: random.Random) -> BotCall:
    spans = [(begin, begin + rng.uniform(0.15, 0.4)) for begin in np.arange(2.5, SECONDS, 2.2)]
    return BotCall(_bot(rng, yields=False, speech_seconds=6.0), _talk(rng, spans=spans))


def _barge_in(rng: random.Random) -> BotCall:
    spans = [(2.5, 4.5), (6.5, 8.0), (11.0, 12.5), (15.0, 16.0)]
    return BotCall(_bot(rng, speech_seconds=5.0), _talk(rng, spans=spans))


def _music_at_caller(rng: random.Random) -> BotCall:
    return BotCall(_bot(rng), _talk(rng, spans=[], sound=_music(rng)))


def _monologue(rng: random.Random) -> BotCall:
    spans = [(begin, begin + 2.2) for begin in np.arange(4.0, 16.0, 3.0)]
    return BotCall(_bot(rng, think_seconds=1.2), _talk(rng, spans=spans))


def _held(rng: random.Random) -> BotCall:
    return BotCall(_bot(rng), _talk(rng))


def _fillers(rng: random.Random) -> BotCall:
    bot = _bot(rng, filler=True, think_seconds=rng.uniform(3.0, 6.0))
    bot.kind = BotKind.AGENT
    return BotCall(bot, _talk(rng, spans=[(4.0, 6.0), (16.0, 17.0)]))


def _digits(rng: random.Random) -> BotCall:
    t = np.arange(48_000) / 16_000
    tone = 6000 * (np.sin(2 * np.pi * 770 * t) + np.sin(2 * np.pi * 1336 * t)) * (t % 1.0 < 0.12)
    return BotCall(_bot(rng), _talk(rng, sound=tone.astype(np.int16)))


def _tones(rng: random.Random) -> BotCall:
    t = np.arange(6 * 16_000) / 16_000
    beep = 9000 * np.sin(2 * np.pi * rng.uniform(400, 1000) * t)
    return BotCall(_bot(rng, speech=beep.astype(np.int16)), _talk(rng))


def _music_from_bot(rng: random.Random) -> BotCall:
    music, pace = _music(rng), rng.choice([BURST, 1.0])
    return BotCall(_bot(rng, speech=music, speech_seconds=10.0, pace=pace), _talk(rng))


def _noise_from_bot(rng: random.Random) -> BotCall:
    """The bot sends the noise of an office between its words."""
    noise = np.random.default_rng(rng.randrange(99)).normal(0, rng.uniform(30, 200), 16_000 * 5)
    said = speech(rng.randrange(3))[: 16_000 * 3]
    noise[: len(said)] += said
    bot = _bot(rng, speech=noise.astype(np.int16), speech_seconds=5.0, gain=0.8)
    return BotCall(bot, _talk(rng))


def _short_function(rng: random.Random) -> BotCall:
    bot = _bot(rng, think_seconds=rng.uniform(2.0, 4.0), speech_seconds=3.0)
    bot.kind = BotKind.REALTIME
    return BotCall(bot, _talk(rng, spans=[(4.0, 6.0), (15.0, 16.5)]))


def _bye(rng: random.Random) -> BotCall:
    """The caller's last word needs no answer, and the call ends soon."""
    return BotCall(_bot(rng), _talk(rng, spans=[(4.0, 6.0), (SECONDS - 4.0, SECONDS - 3.4)]))


def _music(rng: random.Random) -> np.ndarray:
    """Chords that swell, a second each."""
    t, tune = np.arange(16_000) / 16_000, []
    for _ in range(12):
        root = 110.0 * 2 ** (rng.randrange(24) / 12)
        chord = sum(np.sin(2 * np.pi * root * step * t) / step for step in (1, 1.26, 1.5, 2, 3))
        tune.append(chord * (0.5 + 0.5 * np.sin(np.pi * t)) * rng.uniform(1500, 4000))
    return np.concatenate(tune).astype(np.int16)


def _each(kind: BotKind) -> Callable[[random.Random], BotCall]:
    def call(rng: random.Random) -> BotCall:
        bot = _bot(rng)
        bot.kind = kind
        return BotCall(bot, _talk(rng))

    return call


KINDS: Mapping[str, Callable[[random.Random], BotCall]] = {
    **{f"{kind.value} bot": _each(kind) for kind in CONNECTED_AS},
    "turns": _turns,
    "speech ahead of time": _ahead,
    "speech in pieces": _in_pieces,
    "4 s of thought": _thinks_long,
    "a silent caller": _silent_caller,
    "a bot that listens first": _listens_first,
    "a quiet caller": _quiet_caller,
    "a loud room": _loud_room,
    "mm-hm": _backchannels,
    "barge-in": _barge_in,
    "music at the caller": _music_at_caller,
    "a monologue": _monologue,
    "held": _held,
    "fillers": _fillers,
    "digits": _digits,
    "beeps": _tones,
    "music from the bot": _music_from_bot,
    "noise from the bot": _noise_from_bot,
    "a short function": _short_function,
    "goodbye": _bye,
}
assert all(kind in BotKind for kind in LEG_KINDS)
