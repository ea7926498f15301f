"""Payloads and header extensions of all kinds, broken ones too."""

from bridge.audio.codec.codec import OPUS, PCMA, PCMU, Codec
from bridge.audio.codec.coders import make_encoder
from bridge.audio.codec.opus import Application, EncoderSettings
from tests.support.packets.rtp_party import PAYLOADS, VOICE, encoded

LEVEL_ID = 3
"""Negotiated for the header extension with levels (RFC 6464)."""

SILK = EncoderSettings(Application.VOIP, bitrate=24_000, complexity=5, fec=True, expected_loss=20)
QUIET = [bytes(640)] * 10
LOUD = [b"\xff\x7f" * 160 + b"\x00\x80" * 160] * 10
VOICES = {
    "celt": PAYLOADS,
    "silk": encoded(SILK),
    "silence": encoded(frames=QUIET),
    "loud": encoded(frames=LOUD),
    "dtx": [PAYLOADS[0][:1]],
    "dtx of two bytes": [PAYLOADS[0][:2]],
    "stereo": [bytes([PAYLOADS[0][0] | 4]) + PAYLOADS[0][1:]],
    "refused": [bytes([30 << 3 | 1]) + b"odd"],  # two frames of 10 ms must be of the same size
    "40 ms": [bytes([PAYLOADS[0][0] | 1]) + 2 * PAYLOADS[3][1:]],
    "10 ms": [bytes([30 << 3]) + PAYLOADS[5][1:]],
    "60 ms of silk": [bytes([11 << 3]) + bytes(range(40))],
    "two frames of silk": [bytes([8 << 3 | 1]) + 2 * bytes(range(40, 70))],
    "code 3": [bytes([PAYLOADS[0][0] | 3, 1]) + PAYLOADS[2][1:]],
    "1275 bytes": [bytes([PAYLOADS[0][0]]) + bytes(range(250)) * 5 + b"1234567890abcdefghijklmn"],
    "1280 bytes": [bytes([PAYLOADS[0][0]]) + bytes(range(256)) * 5],
    "1488 bytes": [bytes([PAYLOADS[0][0]]) + (bytes(range(256)) * 6)[:1487]],
    "empty": [b""],
}
"""Opus payloads by what they are; each voice goes round and round."""


def g711_voices(codec: Codec) -> dict[str, list[bytes]]:
    """Return payloads of G.711 for the names in `VOICES`, of the lengths that those say."""
    said, quiet, loud = (
        list(map(make_encoder(codec).encode, frames)) for frames in (VOICE, QUIET, LOUD)
    )
    odd = {
        "silence": quiet,
        "loud": loud,
        "dtx": [said[0][:1]],
        "dtx of two bytes": [said[0][:2]],
        "refused": [said[0][:159]],
        "40 ms": [said[3] + said[4]],
        "10 ms": [said[5][:80]],
        "60 ms of silk": [said[6] + said[7] + said[8]],
        "1275 bytes": [b"".join(said[:8])[:1275]],
        "1488 bytes": [b"".join(said[:10])[:1488]],
        "empty": [b""],
    }
    return {name: odd.get(name, said) for name in VOICES}


VOICES_OF = {OPUS: VOICES, PCMU: g711_voices(PCMU), PCMA: g711_voices(PCMA)}

EXTENSIONS = {
    "none": b"",
    "level": b"\xbe\xde\0\1" + bytes([LEVEL_ID << 4, 0x80 | 40, 0, 0]),
    "quiet": b"\xbe\xde\0\1" + bytes([LEVEL_ID << 4, 100, 0, 0]),
    "level after others": b"\xbe\xde\0\2\0\x51\1\2" + bytes([0, LEVEL_ID << 4, 33, 0]),
    "level cut off": b"\xbe\xde\0\1\x52\1\2" + bytes([LEVEL_ID << 4]),
    "behind the end mark": b"\xbe\xde\0\1\xf0\0" + bytes([LEVEL_ID << 4, 9]),
    "another one": b"\xbe\xde\0\1\x50\7\0\0",
    "two-byte form": b"\x10\0\0\1\3\1\x22\0",
    "no words": b"\xbe\xde\0\0",
    "longer than the packet": b"\xbe\xde\1\0",
}
