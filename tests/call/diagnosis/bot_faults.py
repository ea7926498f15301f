"""Faults of bots, each with the kinds of bot that have it, when it begins to be one, and what mends it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bridge.audio.codec.g711 import MULAW
from bridge.call.diagnosis.observation import BotKind
from bridge.call.diagnosis.problems import Code
from bridge.wire.stream.media_format import MediaFormat
from tests.call.diagnosis.stub_bot import STREAMS, Talk, at_rate, right
from tests.support.peers.stock_peer import Pcm

AGENT, SOCKET, NATIVE, TWILIO, REALTIME, PEER = BotKind
ANSWER_DUE = 12.0
"""The caller of `Talk` speaks from 5 to 7 s, and 5 s later a bot without an answer is at fault."""


@dataclass(frozen=True)
class Fault:
    """A fault of a bot, as attributes of `StubBot`."""

    code: Code
    kinds: tuple[BotKind, ...]
    wrong: Mapping[str, Any]
    onset: float = 2.0
    """Seconds of the call at which it is a fault: what follows from it has begun."""
    mend: Mapping[str, Any] = field(default_factory=dict)
    """What the author changes; nothing where `wrong` is only to be taken back."""
    talk: Talk = field(default_factory=Talk)
    rings: float = 1.0
    mended: bool = True
    """Whether the call itself can still be mended."""


def _swapped(pcm: Pcm, media: MediaFormat) -> bytes:
    return np.frombuffer(right(pcm, media), "<i2").astype(">i2").tobytes()


def _mulaw(pcm: Pcm, media: MediaFormat) -> bytes:
    return MULAW.encode(at_rate(media.sample_rate)(pcm, MediaFormat(sample_rate=media.sample_rate)))


def _linear(pcm: Pcm, media: MediaFormat) -> bytes:
    return at_rate(media.sample_rate)(pcm, MediaFormat(sample_rate=media.sample_rate))


def _floats(pcm: Pcm, media: MediaFormat) -> bytes:
    moved = np.frombuffer(_linear(pcm, media), "<i2")
    return (moved / np.float32(32768)).astype("<f4").tobytes()


STEADY = {"pace": 1.0, "speech_seconds": 6.0, "padding": False}
LATER = Talk(spans=[(11.0, 13.0)])
OVER = Talk(spans=[(2.0, 40.0)], voice=2)
LONG = (6000 * np.sin(np.arange(16 * 16_000) * 0.08)).astype(np.int16)
"""16 s without a pause that could be left out."""

FAULTS = (
    Fault(Code.BOT_NOT_CONNECTED, STREAMS, {"connected": False}, 0.0),
    Fault(Code.ICE_NO_CHECKS, (PEER,), {"connected": False}, 0.0),
    Fault(Code.BOT_MESSAGES_IGNORED, (NATIVE,), {"ignored": "malformed"}),
    Fault(Code.BOT_MESSAGES_IGNORED, (TWILIO,), {"ignored": "other_stream"}),
    Fault(Code.BOT_SENDS_NOTHING, STREAMS, {"greets": False, "answers": False}, ANSWER_DUE),
    Fault(Code.BOT_SENDS_NOTHING, (NATIVE, SOCKET, TWILIO, PEER), {"silent": True}, ANSWER_DUE),
    Fault(Code.BOT_SENDS_NOTHING, (PEER,), {"packets": False}, 1.0),
    Fault(Code.BOT_NO_ANSWER, (AGENT, SOCKET, *STREAMS, PEER), {"answers": False}, ANSWER_DUE),
    Fault(Code.BOT_NOT_HEARD, (NATIVE, TWILIO), {"oneway": True}),
    Fault(Code.BOT_NOT_HEARD, (SOCKET, NATIVE, PEER), {"heard": False}),
    Fault(Code.BOT_SPOKE_EARLY, (SOCKET,), {"speech": LONG, "speech_seconds": 16.0}, 1.5, rings=6.0, mended=False),
    Fault(Code.BOT_WRONG_FORMAT, (NATIVE, REALTIME), {"encode": _swapped}),
    Fault(Code.BOT_WRONG_FORMAT, (NATIVE, REALTIME), {"encode": _mulaw}),
    Fault(Code.BOT_WRONG_FORMAT, (TWILIO,), {"encode": _linear, "speech_seconds": 5.0}),
    Fault(Code.BOT_WRONG_FORMAT, (NATIVE,), {"encode": _floats}),
    Fault(Code.BOT_WRONG_RATE, (NATIVE, REALTIME), {"encode": at_rate(16_000), **STEADY}),
    Fault(Code.BOT_WRONG_RATE, (NATIVE, REALTIME), {"encode": at_rate(8_000), **STEADY}),
    Fault(Code.BOT_WRONG_RATE, (TWILIO,), {"encode": at_rate(16_000), **STEADY}, talk=LATER),
    Fault(Code.BOT_WRONG_RATE, (NATIVE,), {"encode": at_rate(8_000), "speech_seconds": 12.0}),
    Fault(Code.BOT_FALLS_BEHIND, (AGENT, SOCKET, TWILIO, NATIVE), {"pace": 0.8, "speech_seconds": 8.0, "message_seconds": 0.1}),
    Fault(Code.BOT_CLIPS, (NATIVE, AGENT, REALTIME, PEER), {"square": True, "gain": 3.0}),
    Fault(Code.BOT_QUIET, (SOCKET, TWILIO, NATIVE, PEER), {"gain": 0.02, "speech_seconds": 5.0}),
    Fault(Code.BOT_HEARS_ITSELF, (AGENT, TWILIO, REALTIME, PEER), {"echo": 0.2, "yields": False, "speech_seconds": 8.0}, 4.0, talk=Talk(spans=[(30.0, 32.0)])),
    Fault(Code.BOT_TALKS_OVER, (NATIVE, TWILIO, SOCKET, PEER), {"yields": False, "speech_seconds": 14.0}, 4.0, talk=OVER),
    Fault(Code.BOT_READS_SLOWLY, (NATIVE, TWILIO), {"drops": 0.4}, 1.0),
    Fault(Code.BOT_FUNCTION_HANGS, (REALTIME,), {"function": True}, 12.0),
)  # fmt: skip
CASES = [(fault, kind) for fault in FAULTS for kind in fault.kinds]
