"""Settings of the WebRTC transport and of TURN."""

from ipaddress import ip_address
from typing import Annotated, Literal

import msgspec

from bridge.errors import SettingsError
from bridge.settings.section import PositiveCount, Secret, Section


class Rtc(Section, frozen=True):
    """WebRTC transport."""

    bind: list[str] = msgspec.field(default_factory=list)
    """Addresses to receive media on. Empty: the address of the default route, else loopback."""
    external_address: str = ""
    """Public address to write into SDP answers when the bridge is behind 1:1 NAT."""
    ports: str = "20000-20999"
    """UDP ports for media, one per leg. Open them in the firewall."""
    stun_urls: list[str] = msgspec.field(default_factory=lambda: ["stun:stun.l.google.com:19302"])
    """STUN servers for browsers; the bridge itself uses none. May be empty."""
    probe_private: bool = False
    """Send connectivity checks to every candidate a browser offers, including private, loopback and
    link-local ones, and before the browser has sent a check. Needed behind a firewall that only lets
    replies in. Leave it off where unauthenticated clients may send offers: they could probe the bridge's network."""
    compiled: bool = True
    """Handle expected packets, and the audio of media sockets and streams, in compiled code, where that has
    been built; nothing but the CPU it takes changes. `false`: all of it in Python."""
    media_thread: bool = True
    """Let compiled code receive and send in a thread of its own, which goes on while Python is busy; without
    it, or with `false`, the event loop calls it."""
    tick_ms: Annotated[int, msgspec.Meta(ge=0, le=2)] = 0
    """How many milliseconds that thread lets packets gather before it processes them: 1 or 2 save CPU, and
    delay a packet by half as much on average."""
    realtime: bool = False
    """Run that thread before all others (SCHED_FIFO) where the system allows it (`LimitRTPRIO=1` in the systemd unit).
    While it uses over 60 % of a core it is an ordinary thread."""


class TurnServer(Section, frozen=True):
    """One TURN server with its own credentials, for `turn.servers`."""

    urls: list[str]
    username: str
    credential: Secret


class Turn(Section, frozen=True):
    """TURN servers for browsers that cannot reach the bridge's UDP ports."""

    mode: Literal["none", "static", "shared_secret"] = "none"
    """`static`: fixed credentials. `shared_secret`: credentials that expire (coturn's
    `use-auth-secret`)."""
    urls: list[str] = msgspec.field(default_factory=list)
    """TURN URLs, for example `["turn:turn.example.com:3478?transport=udp"]`."""
    secret: Secret = ""
    """`shared_secret`: the `static-auth-secret` of coturn."""
    ttl: PositiveCount = 3600
    """`shared_secret`: seconds a credential is valid."""
    username: str = ""
    """`static`: user name for `urls`."""
    credential: Secret = ""
    """`static`: password for `urls`."""
    servers: list[TurnServer] = msgspec.field(default_factory=list)
    """`static`: more servers, each with its own credentials, as
    `{ urls = ["turn:b.example.com"], username = "b", credential = "…" }`."""


def port_range(text: str) -> range:
    """Read `first-last`, both included, or raise `SettingsError`."""
    first, _, last = text.partition("-")
    if not (first.isdigit() and last.isdigit() and 0 < int(first) <= int(last) < 65536):
        raise SettingsError(f'rtc.ports: expected "first-last" between 1 and 65535, got "{text}"')
    return range(int(first), int(last) + 1)


def check_rtc(rtc: Rtc) -> None:
    """Refuse invalid addresses for media, naming the key (`SettingsError`)."""
    for address in [*rtc.bind, *filter(None, [rtc.external_address])]:
        try:
            everywhere = ip_address(address).is_unspecified
        except ValueError:
            raise SettingsError(
                f'rtc.bind, rtc.external_address: "{address}" is not an IP address'
            ) from None
        if everywhere and not (address in rtc.bind and rtc.external_address):
            raise SettingsError(
                f"rtc.bind {address} needs rtc.external_address, or browsers are told to send "
                "their media nowhere; or name one address of this machine"
            )


def check_turn(turn: Turn) -> None:
    """Refuse a mode that lacks what it needs, naming the key (`SettingsError`)."""
    served = [url for server in turn.servers for url in server.urls]
    check_urls("turn.urls, turn.servers", [*turn.urls, *served], ("turn:", "turns:"))
    if turn.mode == "shared_secret" and not (turn.urls and turn.secret):
        raise SettingsError("turn.mode shared_secret needs turn.urls and turn.secret")
    if turn.mode == "static" and not (turn.urls or turn.servers):
        raise SettingsError("turn.mode static needs turn.urls or turn.servers")
    if turn.mode == "static" and turn.urls and not (turn.username and turn.credential):
        raise SettingsError("turn.urls in mode static need turn.username and turn.credential")


def check_urls(name: str, urls: list[str], schemes: tuple[str, ...]) -> None:
    """Refuse URLs for which a browser would refuse to create its connection."""
    for url in urls:
        if not url.startswith(schemes):
            raise SettingsError(f'{name}: "{url}" does not begin with {" or ".join(schemes)}')
