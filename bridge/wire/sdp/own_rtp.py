"""Our descriptions of a session of plain RTP, one after the other, and the answers to them."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from bridge.wire.sdp.crypto import Crypto
from bridge.wire.sdp.rtp import LocalRtp, RemoteRtp, Security, read_answer

if TYPE_CHECKING:
    from bridge.audio.codec.codec import Codec


class OwnRtp:
    """What the next description depends on of those before."""

    def __init__(self, session_id: int) -> None:
        self.session_id = session_id
        self.version = 0
        """Of the last description."""
        self.written = ""
        """The last description."""
        self.direction = "sendrecv"
        """What our last offer says."""
        self.formats: Mapping[Codec, int] = {}
        """Of our offer that has yet to be answered, or was last."""
        self.cryptos: tuple[Crypto, ...] = ()
        """The keys in it."""

    def write(self, write: Callable[[LocalRtp], str], local: LocalRtp) -> str:
        """Write a description; its version counts those that differ (RFC 3264 §8)."""
        local = replace(local, session_id=self.session_id, session_version=self.version)
        if write(local) != self.written:
            self.version += 1
            local = replace(local, session_version=self.version)
        self.written = write(local)
        return self.written

    def read_answer(self, answer: str, security: Security) -> tuple[RemoteRtp, Crypto | None]:
        """Read the answer to our last offer; return it with our keys that it has chosen.

        Raises:
            SdpError: It is unusable.
        """
        formats = self.formats
        remote, ours = read_answer(answer, tuple(formats), self.cryptos, security), None
        if remote.crypto is not None:
            tag = remote.crypto.tag
            ours = next(one for one in self.cryptos if one.tag == tag)
        audio = remote.audio
        # It sends with the payload types of our offer, should its answer have others (RFC 3264 §5.1).
        kinds = {formats[codec]: codec for codec in audio.codecs.values()}
        named = {*audio.codecs, *audio.telephone_events}
        others = audio.other_formats | {kind: kinds[kind] for kind in kinds.keys() - named}
        return replace(remote, audio=replace(audio, other_formats=others)), ours
