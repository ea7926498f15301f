"""Meta's session descriptions with invented values, and what Meta refuses or breaks on in ours."""

import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias

OfferForm: TypeAlias = Literal["captured", "captured_3484", "older"]
AnswerForm: TypeAlias = Literal["actpass", "active", "wide"]

OFFER_FORMS: tuple[OfferForm, ...] = ("captured", "captured_3484", "older")
"""As captured; from another relay port; and with header extensions, four SSRC lines, loose fmtp."""
ANSWER_FORMS: tuple[AnswerForm, ...] = ("actpass", "active", "wide")
"""DTLS role left open; Meta as DTLS client; and an old sample with many codecs and `active`."""

OPUS = 111
DIGITS = 126
META_BITRATE = 20_000
_FMTP = (
    "maxaveragebitrate=20000;maxplaybackrate=16000;minptime=20;"
    "sprop-maxcapturerate=16000;useinbandfec=1"
)
_LOOSE_FMTP = "minptime=10;useinbandfec=1"
_NOWHERE_V6 = "2001:db8::face"
"""Has the higher priority, and nobody is there."""


@dataclass(frozen=True, slots=True)
class MediaEnd:
    """What a description tells of the media server."""

    host: str
    candidates: tuple[tuple[str, int], ...]
    ufrag: str
    pwd: str
    fingerprint: str
    """Of sha-256."""
    ssrc: int


@dataclass(frozen=True, slots=True)
class Writer:
    """How descriptions are written."""

    offer_form: OfferForm = "captured"
    answer_form: AnswerForm = "actpass"
    ipv6: bool = True
    bitrate: int = META_BITRATE

    def offer(self, end: MediaEnd) -> str:
        """Write the offer of a `connect` webhook."""
        older = self.offer_form == "older"
        port = 3484 if self.offer_form == "captured_3484" else 3480
        return _joined([
            *_head(),
            f"m=audio {port} UDP/TLS/RTP/SAVPF {OPUS} {DIGITS}",
            f"c=IN IP4 {end.host}", "a=rtcp:9 IN IP4 0.0.0.0",
            *self._candidates(end), *_security(end), "a=setup:actpass", "a=mid:audio",
            *(_EXTENSIONS if older else ()), "a=sendrecv",
            f"a=msid:{_uuid()} WhatsAppTrack1", "a=rtcp-mux",
            f"a=rtpmap:{OPUS} opus/48000/2", f"a=rtcp-fb:{OPUS} transport-cc",
            f"a=fmtp:{OPUS} {_LOOSE_FMTP if older else self._fmtp()}",
            f"a=rtpmap:{DIGITS} telephone-event/8000", "a=maxptime:20", "a=ptime:20",
            *_sources(end, whole=older),
        ])  # fmt: skip

    def answer(self, end: MediaEnd) -> str:
        """Write the answer of a `connect` webhook."""
        wide = self.answer_form == "wide"
        formats = f"{OPUS} 9 0 8 110 {DIGITS}" if wide else f"{OPUS} {DIGITS}"
        return _joined([
            *_head(),
            f"m=audio 3480 UDP/TLS/RTP/SAVPF {formats}", f"c=IN IP4 {end.host}",
            "a=rtcp:9 IN IP4 0.0.0.0", *self._candidates(end), *_security(end),
            f"a=setup:{'actpass' if self.answer_form == 'actpass' else 'active'}",
            "a=mid:audio", "a=sendrecv", f"a=msid:{_uuid()} WhatsAppTrack1", "a=rtcp-mux",
            f"a=rtpmap:{OPUS} opus/48000/2", f"a=fmtp:{OPUS} {self._fmtp()}",
            *(_OTHER_CODECS if wide else ()),
            f"a=rtpmap:{DIGITS} telephone-event/8000", "a=maxptime:20", "a=ptime:20",
            *_sources(end, whole=wide),
        ])  # fmt: skip

    def _fmtp(self) -> str:
        if self.bitrate == META_BITRATE:
            return _FMTP
        if not self.bitrate:
            return _LOOSE_FMTP
        return f"maxaveragebitrate={self.bitrate};minptime=20;useinbandfec=1"

    def _candidates(self, end: MediaEnd) -> list[str]:
        extra = f" ufrag {end.ufrag}" if self.offer_form == "older" else ""
        own = [
            f"a=candidate:2166624461 1 udp 2122260223 {ip} {port} typ host generation 0"
            f" network-cost 50{extra}"
            for ip, port in end.candidates
        ]
        if self.ipv6:
            own.append(
                f"a=candidate:1302982778 1 udp 2122262783 {_NOWHERE_V6} 3480 typ host generation 0"
                " network-cost 50"
            )
        return own


def username(form: OfferForm) -> str:
    """Make an ICE user name as Meta's look."""
    return f"{secrets.token_hex(2)}/2" if form == "older" else secrets.token_hex(8)


def password() -> str:
    """Make an ICE password as Meta's look: base64 with signs and padding."""
    text = secrets.token_urlsafe(16).replace("-", "+").replace("_", "/")
    return text[:22] + "=="


def without_candidates(sdp: str) -> str:
    """Leave the candidates out: a media server that is ICE-lite looks at none."""
    lines = sdp.split("\r\n")
    return "\r\n".join(line for line in lines if not line.startswith(("a=candidate", "a=end-of")))


def faults(sdp: str, *, setups: set[str]) -> list[str]:
    """Say in words what Meta refuses in a description of ours, or breaks on.

    Args:
        sdp: the description.
        setups: what may stand in `a=setup`.
    """
    lines = sdp.split("\r\n")
    said: dict[str, list[str]] = {}
    for line in lines:
        name, _, value = line[2:].partition(":")
        said.setdefault(name, []).append(value)
    prints = said.get("fingerprint", [])
    rules = {
        "no single audio line": [line[:7] for line in lines if line[:2] == "m="] == ["m=audio"],
        "other fingerprints than one of sha-256": len(prints) == 1
        and prints[0].startswith("sha-256 "),
        "no Opus": f"{OPUS} opus/48000/2" in said.get("rtpmap", []),
        "no digits at 8 kHz": [value for value in said.get("rtpmap", []) if "telephone" in value]
        == [f"{DIGITS} telephone-event/8000"],
        "no packets of 20 ms": said.get("ptime") == ["20"],
        "no single SSRC": len({value.split()[0] for value in said.get("ssrc", [])}) == 1,
        "ice-lite": "ice-lite" not in said,
        "no setup of use": set(said.get("setup", [])) <= setups and "setup" in said,
        "not sendrecv": "sendrecv" in said,
        "no CRLF at the end": sdp.endswith("\r\n") and "\n" not in sdp.replace("\r\n", ""),
    }
    return [problem for problem, fine in rules.items() if not fine]


def _head() -> list[str]:
    return [
        "v=0", f"o=- {round(time.time() * 1000)} 2 IN IP4 127.0.0.1", "s=-", "t=0 0",
        "a=group:BUNDLE audio", f"a=msid-semantic: WMS {_uuid()}", "a=ice-lite",
    ]  # fmt: skip


def _security(end: MediaEnd) -> list[str]:
    return [
        f"a=ice-ufrag:{end.ufrag}",
        f"a=ice-pwd:{end.pwd}",
        f"a=fingerprint:sha-256 {end.fingerprint}",
    ]


def _sources(end: MediaEnd, *, whole: bool) -> list[str]:
    lines = [f"a=ssrc:{end.ssrc} cname:WhatsAppAudioStream1"]
    if whole:
        lines += [
            f"a=ssrc:{end.ssrc} msid:{_uuid()} WhatsAppTrack1",
            f"a=ssrc:{end.ssrc} mslabel:{_uuid()}",
            f"a=ssrc:{end.ssrc} label:WhatsAppTrack1",
        ]
    return lines


_EXTENSIONS = (
    "a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level",
    "a=extmap:2 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
    "a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01",
)
_OTHER_CODECS = (
    "a=rtpmap:9 G722/8000", "a=rtpmap:0 PCMU/8000", "a=rtpmap:8 PCMA/8000",
    "a=rtpmap:110 telephone-event/48000",
)  # fmt: skip


def _joined(lines: Iterable[str]) -> str:
    return "\r\n".join(lines) + "\r\n"


def _uuid() -> str:
    text = secrets.token_hex(16)
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))
