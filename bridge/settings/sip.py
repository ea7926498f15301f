"""Settings of SIP: the sockets of the bridge, and the trunk of a line."""

import re
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Final, Literal, NamedTuple, TypeAlias

import msgspec

from bridge.errors import SettingsError
from bridge.settings.net import networks
from bridge.settings.section import Count, Positive, PositiveCount, Secret, Section

Transport: TypeAlias = Literal["udp", "tcp", "tls"]

DEFAULT_PORTS: Final = {"udp": 5060, "tcp": 5060, "tls": 5061}
_LISTEN: Final = re.compile(r"(udp|tcp|tls):(?://)?(\[[0-9A-Fa-f:.]+\]|[0-9.]+)(?::([0-9]{1,5}))?")
_TRUNK: Final = re.compile(
    r"(?P<scheme>sips?):(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)"
    r"(?::(?P<port>[0-9]{1,5}))?(?:;transport=(?P<transport>udp|tcp|tls))?"
)
_E164: Final = re.compile(r"\+?[1-9][0-9]{0,14}")


class Sip(Section, frozen=True):
    """SIP, the way to the telephone network; lines with a trunk have `[lines.NAME.sip]`."""

    listen: list[str] = msgspec.field(default_factory=list)
    """Addresses to listen on for SIP, such as `["udp:0.0.0.0:5060", "tls:0.0.0.0:5061"]`. Empty: none is open;
    a trunk is then reached from a port of its own, over which it can call back while it is registered."""
    external_address: str = ""
    """Public address to name in SIP when the bridge is behind 1:1 NAT. Empty: `rtc.external_address`."""
    tls_cert: str = ""
    """PEM file with the certificate and its chain: for `tls` in `listen`, and shown to trunks that ask for one."""
    tls_key: str = ""
    """PEM file with the key of `tls_cert`."""
    tls_ca: str = ""
    """PEM file with the authorities that certificates of trunks are checked against. Empty: the system's."""
    trusted: list[str] = msgspec.field(default_factory=list)
    """Networks whose calls are taken without a password, for the trunks of all lines, such as
    `["203.0.113.0/24"]`. All others are asked for `inbound_password`."""
    digest: list[Literal["sha-256", "md5"]] = msgspec.field(
        default_factory=lambda: ["sha-256", "md5"]
    )
    """Digest algorithms of `inbound_password`, in the order of the challenges. `["md5"]` is for trunks that
    support no other and read the first challenge alone."""
    options_seconds: Positive = 30.0
    """Seconds between OPTIONS requests to each trunk."""
    calls_per_second: Positive = 20.0
    """Requests outside a call (INVITE, OPTIONS) that one address may send per second; more are dropped and
    counted. The trunks' `trusted` networks and the addresses of their hosts may send ten times as many."""
    strict_source: bool = False
    """Take audio only from the address in the SDP, the host that signals and the trunk's networks (`trusted`,
    `lines.NAME.sip.networks`), on all trunks. Off: until one of these has sent in a call, another address is heard
    too (a NAT or proxy that nothing names), without its digits. Audio is never sent to another."""
    private_trunks: list[str] = msgspec.field(default_factory=list)
    """Lines whose trunk leads to no telephone network, such as the PBX of an office without outside lines.
    Only these may join calls of Meta's WhatsApp API to it: Meta forbids it for the telephone network."""


class LineSip(Section, frozen=True):
    """The SIP trunk over which a line reaches the telephone network (channel `pstn`)."""

    trunk: str
    """URI of the trunk: `sip:` with a host, and if needed `:port` and `;transport=udp|tcp|tls`; `sips:` is
    TLS. Without a port the host's SRV records are asked."""
    username: str = ""
    """User name at the trunk. Empty: the trunk knows the bridge by its address."""
    password: Secret = ""
    """The password of `username`."""
    realm: str = ""
    """Domain of the account, in From and at the registrar. Empty: the host of `trunk`."""
    register: bool = False
    """Register there (REGISTER), so that the trunk knows where to send calls. Needs `username`."""
    register_seconds: PositiveCount = 3600
    """Expiry that is requested for a registration, in seconds; the trunk may shorten it."""
    trusted: list[str] = msgspec.field(default_factory=list)
    """Networks of this trunk, besides `sip.trusted`, whose calls are taken without a password."""
    networks: list[str] = msgspec.field(default_factory=list)
    """Networks of this trunk's audio, besides `trusted`, where they differ from the addresses that signalling names,
    such as `["203.0.113.0/24"]`. Calls from them still need a password."""
    strict_source: bool = False
    """As `sip.strict_source`, for this trunk."""
    inbound_username: str = ""
    """User name with which the trunk calls the bridge (digest authentication); no other line's."""
    inbound_password: Secret = ""
    """The password of `inbound_username`. Empty: only `trusted` networks may call."""
    caller_id: str = ""
    """Caller number where the request names none. Empty: the first of `numbers`."""
    codecs: list[Literal["opus", "g722", "pcma", "pcmu"]] = msgspec.field(
        default_factory=lambda: ["opus", "g722", "pcmu", "pcma"]
    )
    """Codecs that are offered and taken, the preferred first."""
    srtp: Literal["off", "optional", "required"] = "off"
    """Encryption of the audio (SRTP with SDES keys; use it with `transport=tls` only). `optional` is for calls
    that ring the line; in calls it makes, `optional` offers none."""
    dtmf: Literal["rfc4733", "info"] = "rfc4733"
    """How digits are sent: as telephone events in the audio stream, or by SIP INFO. Both are received."""
    early_media: bool = True
    """Let the near party hear what the trunk plays before the answer (183)."""
    transfer: bool = False
    """Let the other party transfer a call to a number (REFER); the limits below hold for it too."""
    refer: bool = False
    """Transfer a call between two numbers of the telephone network by asking the trunk to join them (REFER), so
    that it leaves the bridge. Off: the bridge calls the number and joins the two."""
    takeover: bool = False
    """With several machines: whether another one goes on with the calls of one that has died, by a re-INVITE from its own address.
    Only if the trunk takes SIP and audio from the addresses of all machines. Off: such calls end as `node_lost`."""
    allow_prefixes: list[str] = msgspec.field(default_factory=list)
    """Prefixes of the numbers that may be called, in E.164, such as `["+49", "+4319"]`. Empty: none may.
    Emergency numbers are never called."""
    calls: Count = 0
    """Concurrent calls to the telephone network, on each node; over it, 429. 0: as many as the line may have."""
    calls_per_minute: PositiveCount = 30
    """Calls to the telephone network begun in a minute; over it, 429 with `Retry-After`."""
    call_seconds: Positive = 7200.0
    """Maximum length of a call to the telephone network, from its answer on."""


class Listen(NamedTuple):
    """An address to take SIP on."""

    transport: Transport
    host: str
    port: int


class Trunk(NamedTuple):
    """A trunk's URI, read."""

    transport: Transport | None
    """None: what its DNS records say, else UDP."""
    host: str
    port: int
    """0: what its SRV records say, else the transport's own."""


def read_listen(text: str) -> Listen:
    """Read an address of `sip.listen`, or raise `SettingsError`."""
    found = _LISTEN.fullmatch(text)
    if found is None:
        raise SettingsError(
            f'sip.listen: expected udp:, tcp: or tls: with an IP address, got "{text}"'
        )
    transport: Transport = found[1]  # type: ignore[assignment]
    host, port = found[2], found[3]
    try:
        address = str(ip_address(host.strip("[]")))
    except ValueError:
        raise SettingsError(f'sip.listen: "{host}" is not an IP address') from None
    return Listen(transport, address, _port("sip.listen", port) or DEFAULT_PORTS[transport])


def read_trunk(key: str, text: str) -> Trunk:
    """Read a trunk's URI, or raise `SettingsError`."""
    found = _TRUNK.fullmatch(text)
    if found is None:
        raise SettingsError(
            f"{key}: expected sip:host or sips:host, with :port and ;transport=udp|tcp|tls if needed"
        )
    transport: Transport | None = found["transport"]  # type: ignore[assignment]
    if found["scheme"] == "sips" and transport is None:
        transport = "tls"
    if found["scheme"] == "sips" and transport != "tls":
        raise SettingsError(f"{key}: sips: is TLS; drop ;transport={transport}")
    return Trunk(transport, found["host"].strip("[]"), _port(key, found["port"]))


def check_sip(sip: Sip, lines: Mapping[str, LineSip]) -> None:
    """Refuse what contradicts itself, naming the key (`SettingsError`); `lines` have a trunk."""
    users: dict[str, str] = {}
    for name, line in lines.items():
        if (
            line.inbound_username
            and (other := users.setdefault(line.inbound_username, name)) != name
        ):
            raise SettingsError(
                f"lines.{name}.sip.inbound_username: lines.{other}.sip has the same; who logs in with it "
                "calls one line, so give each its own, or one line all the numbers"
            )
    listened = [read_listen(text) for text in sip.listen]
    if len(set(listened)) < len(listened):
        raise SettingsError("sip.listen: the same address is listed twice")
    if bool(sip.tls_cert) != bool(sip.tls_key):
        raise SettingsError("sip.tls_cert and sip.tls_key: set both or neither")
    if not sip.tls_cert and any(each.transport == "tls" for each in listened):
        raise SettingsError("sip.tls_cert: needed with tls in sip.listen")
    if not sip.digest or len(set(sip.digest)) < len(sip.digest):
        raise SettingsError("sip.digest: expected sha-256, md5 or both, each once")
    if sip.external_address:
        try:
            ip_address(sip.external_address)
        except ValueError:
            raise SettingsError(
                f'sip.external_address: "{sip.external_address}" is not an IP address'
            ) from None
    networks("sip.trusted", sip.trusted)
    for name in sorted(set(sip.private_trunks) - lines.keys()):
        raise SettingsError(f"sip.private_trunks: there is no [lines.{name}.sip]")


def check_line_sip(section: str, sip: LineSip) -> None:
    """Refuse a trunk that could not work, naming the key (`SettingsError`)."""
    trunk = read_trunk(f"{section}.trunk", sip.trunk)
    for name in ("username", "inbound_username"):
        secret = name.replace("username", "password")
        if bool(getattr(sip, name)) != bool(getattr(sip, secret)):
            raise SettingsError(f"{section}.{name} and {secret}: set both or neither")
    if sip.register and not sip.username:
        raise SettingsError(f"{section}.username: needed with register")
    networks(f"{section}.trusted", sip.trusted)
    networks(f"{section}.networks", sip.networks)
    if not sip.codecs or len(set(sip.codecs)) < len(sip.codecs):
        raise SettingsError(f"{section}.codecs: expected each codec at most once, and one at least")
    if sip.srtp == "required" and trunk.transport in ("udp", "tcp"):
        raise SettingsError(
            f"{section}.srtp: its keys are sent in the SIP messages; set ;transport=tls in trunk"
        )
    if sip.caller_id and not _E164.fullmatch(sip.caller_id):
        raise SettingsError(
            f"{section}.caller_id: expected a number in E.164, such as +15551234567"
        )
    for prefix in sip.allow_prefixes:
        if not (prefix == "+" or _E164.fullmatch(prefix)):
            raise SettingsError(
                f'{section}.allow_prefixes: "{prefix}" is not the prefix of a number in E.164, '
                "such as +49; + allows all"
            )


def _port(key: str, text: str | None) -> int:
    port = int(text or 0)
    if text is not None and not 0 < port < 65536:
        raise SettingsError(f"{key}: {text} is not a port")
    return port
