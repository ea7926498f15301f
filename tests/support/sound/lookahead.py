"""The algorithmic delay of an encoder, as libopus knows it."""

import cffi

from bridge.audio.codec.opus import Encoder, Opus

GET_LOOKAHEAD = 4027
"""OPUS_GET_LOOKAHEAD (opus_defines.h)."""


def lookahead(opus: Opus, encoder: Encoder) -> int:
    """Return the delay in samples at 16 kHz."""
    answer = cffi.FFI().new("int32_t *")
    opus.lib.opus_encoder_ctl(encoder.handle, GET_LOOKAHEAD, answer)
    return int(answer[0])
