"""The decoder and the encoder of a stream, whatever its codec."""

from collections.abc import Iterable
from typing import Protocol

from bridge.audio.codec.codec import G722, OPUS, PCMA, PCMU, Codec
from bridge.audio.codec.g711 import ALAW, MULAW, G711Decoder, G711Encoder
from bridge.audio.codec.g722 import G722Decoder, G722Encoder
from bridge.audio.codec.opus import Decoder, Opus
from bridge.errors import LocalProtocolError


class AudioDecoder(Protocol):
    """Decodes one stream to 16-bit mono at 16 kHz; keeps state from one packet to the next."""

    def decode(self, payload: bytes) -> bytes:
        """Decode one packet; raises RemoteProtocolError for one that cannot be decoded."""

    def conceal(self, samples: int = ...) -> bytes:
        """Return concealment for lost audio, `samples` at 16 kHz."""

    def recover(self, payload: bytes, samples: int = ...) -> bytes:
        """Return the audio before a packet from what that packet has of it."""

    def reset(self) -> None:
        """Forget the stream: another one begins."""


class AudioEncoder(Protocol):
    """Encodes one stream of frames; keeps state from one frame to the next."""

    def encode(self, pcm: bytes) -> bytes:
        """Encode one frame of 640 bytes."""

    def encoded(self, frames: Iterable[bytes]) -> None:
        """Note frames that an offload of this encoder has encoded, or at least the newest ones."""

    def continue_from(self, before: Iterable[bytes]) -> None:
        """Continue a stream whose last audio, in whole frames, has been sent otherwise."""

    def silence(self) -> bytes:
        """Return the next packet, 20 ms of silence."""


def make_decoder(codec: Codec, opus: Opus) -> AudioDecoder:
    """Return a decoder for a new stream."""
    if codec is OPUS:
        return Decoder(opus)
    if codec is PCMU or codec is PCMA:
        return G711Decoder(MULAW if codec is PCMU else ALAW)
    if codec is G722:
        return G722Decoder()
    raise LocalProtocolError(f"there is no decoder for {codec.name}")


def make_encoder(codec: Codec) -> AudioEncoder:
    """Return an encoder for a new stream of any codec but Opus, whose encoder has settings."""
    if codec is PCMU or codec is PCMA:
        return G711Encoder(MULAW if codec is PCMU else ALAW)
    if codec is G722:
        return G722Encoder()
    raise LocalProtocolError(f"there is no encoder for {codec.name}")
