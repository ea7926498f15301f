"""What the sessions of one kind of peer share."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from bridge.audio.codec.encoder_level import EncoderBudget
from bridge.audio.codec.opus import EncoderSettings, Opus
from bridge.wire.rtp.used_numbers import Ledger

Transmit: TypeAlias = Callable[[bytes], None]
"""Sends a packet."""


@dataclass(frozen=True, slots=True)
class SessionConfig:
    """How sessions encode and send."""

    opus: Opus
    encoder_budget: EncoderBudget
    """Limits the cost of encoding."""
    passthrough: bool = True
    """Whether packets may pass undecoded between the session and another."""
    continuous: bool = False
    """Whether nothing may be sent before `start_sending`, and packets without a pause from then on, silence included."""
    on_encoder: Callable[[EncoderSettings], None] = lambda _: None
    """Called with the encoder's settings, at first and when they change; must not raise."""
    ledger: Ledger | None = None
    """Where it is noted which numbers were used, for a process that goes on after this one."""


def drop(packet: bytes) -> None:
    """Send a packet nowhere: there is no transport yet."""
