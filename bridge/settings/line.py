"""Settings of one line: its keys, where its calls come from, its agents, voicemail and streams."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from bridge.errors import SettingsError
from bridge.settings.agent import Agent, check_agent
from bridge.settings.disclosure import Disclosure, check_disclosure
from bridge.settings.livekit import LiveKit, check_livekit
from bridge.settings.realtime import Realtime, check_realtime
from bridge.settings.section import Number, Positive, Secret, Section
from bridge.settings.sip import (
    DEFAULT_PORTS,
    LineSip,
    Sip,
    Trunk,
    check_line_sip,
    read_listen,
    read_trunk,
)

_PROVIDERS = {
    "simulator": ("", ()),
    "cloud": ("base_url", ("phone_number_id", "access_token", "app_secret", "verify_token")),
    "gateway": ("url", ("url", "token")),
}
"""The setting with the URL of each provider's server, and those that it cannot do without."""
_FORMS = {
    "phone_number_id": ("[0-9]*", "Meta's id, which is digits only"),
    "version": (r"v[0-9]+\.[0-9]+", 'a version such as "v24.0"'),
    "auth_header": (
        r"[A-Za-z0-9-]+: ?[ -~]*\{token\}[ -~]*",
        'a header such as "X-API-Key: {token}"',
    ),
    "path": (
        r"(?=.*\{path\})([A-Za-z0-9._~/-]|\{(version|phone_number_id|path)\})*",
        "a path with {path}, and perhaps {version} and {phone_number_id}",
    ),
    "settings_path": ("(/[A-Za-z0-9._~-]+)+", 'a path such as "/settings"'),
    "media_host": ("[A-Za-z0-9.-]+(:[0-9]+)?", "a host such as lookaside.fbsbx.com"),
    "signature_header": ("[A-Za-z0-9-]+", "the name of a header"),
}
"""What a setting of Meta's lines looks like, and what is expected instead of anything else."""

ANNOUNCEMENT_LETTERS: Final = 80
"""Of Meta's sentence before the purpose of a recording."""
LETTERS_PER_SECOND: Final = 13.0
"""Of its voice."""
ANNOUNCEMENT_BEGINS_SECONDS: Final = 2.0
"""Until it begins to speak, at most."""
TEST_KEY = "sk_test_"
"""Prefix of keys that reach simulated contacts only."""
META_TRUNK = ":whatsapp"
"""Suffix of the trunk over which a line's WhatsApp calls go whose signalling is SIP."""
TEST_LINE = ":test"
"""Suffix of the line that a line's test keys belong to."""
MIN_SECRET_CHARACTERS: Final = 20
"""Of the secret of streams."""


class WhatsApp(Section, frozen=True):
    """Where a line's WhatsApp calls come from."""

    provider: Literal["simulator", "cloud", "gateway"] = "simulator"
    """`simulator`: simulated contacts. `cloud`: Meta's Business Platform. `gateway`: a WhatsApp server with REST
    calls and a PCM WebSocket."""
    phone_number_id: str = ""
    """`cloud`: Meta's id of the number, which is not the number itself."""
    access_token: Secret = ""
    """`cloud`: access token for the Graph API."""
    app_secret: Secret = ""
    """`cloud`: signs Meta's webhooks; a provider in front of Meta may have a secret of its own."""
    verify_token: Secret = ""
    """`cloud`: any text; enter the same one at Meta with the webhook's address."""
    base_url: str = "https://graph.facebook.com"
    """`cloud`: the Graph API."""
    version: str = "v24.0"
    """`cloud`: version of the Graph API."""
    auth_header: str = "Authorization: Bearer {token}"
    """`cloud`: the header with the access token; a provider in front of Meta may have another, such as
    `X-API-Key: {token}`."""
    path: str = "/{version}/{phone_number_id}{path}"
    """`cloud`: the path of requests below `base_url`; `{path}` is Meta's below the number, such as `/calls`."""
    settings_path: str = "/settings"
    """`cloud`: what `{path}` is for the number's settings."""
    signature_header: str = "X-Hub-Signature-256"
    """`cloud`: the header with the signature of webhooks: their HMAC-SHA256 in hex, after `sha256=` or without it."""
    pre_accept: bool = True
    """`cloud`: connect the media of an inbound call before anybody answers. `signalling = "sip"` does not have that."""
    signalling: Literal["graph", "sip"] = "graph"
    """`cloud`: how calls are made and taken: by requests of the Graph API and webhooks, or by SIP with Meta's server. The
    line's settings at Meta, permissions and webhooks are the Graph API's either way."""
    media: Literal["sdes", "dtls"] = "sdes"
    """`cloud`, signalling `sip`: SRTP with keys in the SIP messages, or WebRTC (ICE and DTLS). The number has the same at
    Meta (`srtp_key_exchange_protocol`)."""
    sip_password: Secret = ""
    """`cloud`, signalling `sip`: the number's SIP password at Meta. Meta's calls are taken only with it."""
    sip_hostname: str = ""
    """`cloud`, signalling `sip`: the name of this bridge that the number has at Meta as its SIP server; in From and Contact."""
    sip_domain: str = "wa.meta.vc"
    """`cloud`, signalling `sip`: the host in the addresses of WhatsApp users, which Meta's certificate names."""
    sip_server: str = "wa.meta.vc:5061"
    """`cloud`, signalling `sip`: Meta's SIP server, a host with a port, which is reached over TLS."""
    recording_purpose: str = ""
    """`cloud`: why Meta records the calls, as it announces it. Empty: it does not record."""
    transcription_purpose: str = ""
    """`cloud`: why Meta transcribes the calls, as it announces it. Empty: it does not transcribe."""
    announcement_language: str = "en_US"
    """`cloud`: language of these announcements."""
    announcement_seconds: Annotated[float, Meta(ge=-1)] = -1.0
    """`cloud`: how long such an announcement lasts. Until then, from the answer on, agents neither speak nor listen, answering machines
    are not looked for, and what is heard of the other party is no problem of the call. -1: estimated from the length of the purpose."""
    media_host: str = "lookaside.fbsbx.com"
    """`cloud`: the host that serves Meta's recordings and transcripts; the token goes to no other."""
    meta_delete: bool = True
    """`cloud`: delete recordings and transcripts at Meta once they are here, and when their call is erased."""
    dialect: Literal["zuckzapgo", "wadial"] = "zuckzapgo"
    """`gateway`: the API the gateway offers."""
    url: str = ""
    """`gateway`: base URL of the gateway."""
    token: Secret = ""
    """`gateway`: the gateway's API token."""
    session: str = ""
    """`gateway`, dialect `wadial`: the gateway's session."""
    webhook_keys: list[Secret] = msgspec.field(default_factory=list)
    """`gateway`: keys for `/gateway/webhook`, which open nothing else."""

    @property
    def announced_seconds(self) -> float:
        """How long Meta's announcement lasts in each call; 0 for none."""
        purpose = self.recording_purpose or self.transcription_purpose
        if not purpose or self.provider != "cloud":
            return 0.0
        if self.announcement_seconds >= 0:
            return self.announcement_seconds
        letters = ANNOUNCEMENT_LETTERS + len(purpose)
        return ANNOUNCEMENT_BEGINS_SECONDS + letters / LETTERS_PER_SECOND

    @property
    def server(self) -> tuple[str, str]:
        """The setting with the URL of the provider's server, and the URL; both empty for the simulator."""
        name, _ = _PROVIDERS[self.provider]
        return name, getattr(self, name, "")


class Voicemail(Section, frozen=True):
    """How a line takes messages of callers that are sent to voicemail."""

    greeting: str = ""
    """What callers hear first: an `https://` URL, an asset (`asset_…`), or a file below `media.root`."""
    greeting_text: str = ""
    """Spoken by the line's text-to-speech provider (`callTtsUrl`) where `greeting` is empty or cannot be had.
    Empty: two rising tones."""
    max_seconds: Positive = 120.0
    """Longest message."""
    silence_seconds: Number = 5.0
    """Silence that ends a message. 0: only `#`, the caller's hang-up and `max_seconds` end it."""
    min_seconds: Number = 1.0
    """A message that is shorter, from the tone to the last word, is dropped. 0: all are kept."""
    rejected: bool = False
    """Send inbound calls that a request rejects to voicemail."""
    transcribe: bool = False
    """Have messages transcribed by the line's speech-to-text provider (`callSttUrl`)."""


class Stream(Section, frozen=True):
    """The media streams from a line's calls to customers' WebSockets."""

    secret: Secret = ""
    """Signs the WebSocket handshakes, so that your server can verify that they come from this bridge: a long random text
    (`openssl rand -hex 32`). To `twilio` servers it is the auth token. Empty: they are not signed."""
    former_secret: Secret = ""
    """While `secret` is changed, the one before; it signs too, except in `X-Twilio-Signature`, which holds only one signature."""
    fallback: Literal["hangup", "agent", "announcement"] = "hangup"
    """What happens to a call that was answered into a stream (`callInboundMode: "stream"`) when the stream cannot be
    connected or is lost: `hangup` ends it, `agent` gives it to the line's agent, `announcement` plays `announcement`
    and ends it."""
    announcement: str = ""
    """Sound file of `fallback = "announcement"` (below `media.root` unless its path is absolute)."""
    resume: bool = True
    """Whether a call in a stream of the protocol `native` passes to a new process at an upgrade, which connects to your
    server anew (`resumed` in `start`). Calls in other streams stay in the old process."""

    @property
    def secrets(self) -> list[str]:
        """What signs, the newest first."""
        return [one for one in (self.secret, self.former_secret) if one]


class Line(Section, frozen=True):
    """One identity the bridge answers for."""

    keys: list[Secret]
    """API keys: long random texts (`openssl rand -hex 32`). Under 20 characters they are refused where others
    can reach the bridge."""
    numbers: list[str] = msgspec.field(default_factory=list)
    """Telephone numbers of the line, digits only."""
    whatsapp: WhatsApp = msgspec.field(default_factory=WhatsApp)
    sip: LineSip | None = None
    """The line's trunk to the telephone network. Requests name it by the channel `pstn`; Chirp's and Wavix's
    mean it by themselves, Wavix's on a line without another `whatsapp` than the simulator."""
    decision_seconds: Positive = 30.0
    """How long a server may take to answer or reject an inbound call; `call.decision_due` comes 5 s before."""
    decision_default: Literal["ring", "accept", "reject", "voicemail"] = "ring"
    """What happens then: the call keeps ringing, is answered, is rejected, or is sent to voicemail."""
    voicemail: Voicemail = msgspec.field(default_factory=Voicemail)
    stream: Stream = msgspec.field(default_factory=Stream)
    realtime: Realtime | None = None
    """Where streams of the protocol `openai-realtime` go that name no URL of their own."""
    livekit: LiveKit = msgspec.field(default_factory=LiveKit)
    hold_music: str = ""
    """Sound file that a held party hears, again and again (below `media.root` unless its path is absolute).
    Empty: silence; telephones are then told that they are held."""
    transcribe: Literal["off", "after", "live"] = "off"
    """Whether every answered call is transcribed: `after` its end, which records it, or `live`."""
    agent: Agent | None = None
    """Replaces all of `[agent]` for this line, except `voice_detectors`."""
    disclosure: Disclosure | None = None
    """Replaces all of `[disclosure]` for this line."""


def line_checks(
    section: str, line: Line, media_root: Path
) -> Iterator[tuple[tuple[str, ...], Callable[[], object]]]:
    """Yield every check of a line, after the sections that it looks at."""
    yield (section,), partial(check_whatsapp, f"{section}.whatsapp", line.whatsapp)
    yield (section,), partial(check_voicemail, f"{section}.voicemail", line.voicemail)
    streams = partial(check_stream, f"{section}.stream", line.stream, media_root)
    yield (section, "media", "data"), streams
    yield (section,), partial(check_livekit, f"{section}.livekit", line.livekit)
    if line.disclosure is not None:
        told = partial(check_disclosure, f"{section}.disclosure", line.disclosure, media_root)
        yield (section, "media", "data"), told
    if line.agent is not None:
        yield (section,), partial(check_agent, f"{section}.agent", line.agent)
    if line.realtime is not None:
        yield (section,), partial(check_realtime, f"{section}.realtime", line.realtime)
    if line.sip is not None:
        yield (section,), partial(check_line_sip, f"{section}.sip", line.sip)


def check_names(names: Iterable[str]) -> None:
    """Refuse names of lines that the bridge itself gives (`SettingsError`)."""
    for name in names:
        if name.endswith((TEST_LINE, META_TRUNK)):
            raise SettingsError(
                f"lines.{name}: names that end in {TEST_LINE} are of test keys, in {META_TRUNK} of "
                "trunks of WhatsApp calls"
            )


def check_whatsapp(section: str, whatsapp: WhatsApp) -> None:
    """Refuse a line that lacks what its provider needs, naming the key (`SettingsError`)."""
    needed = list(_PROVIDERS[whatsapp.provider][1])
    if whatsapp.provider == "gateway" and whatsapp.dialect == "wadial":
        needed.append("session")
    for key in needed:
        if not getattr(whatsapp, key):
            raise SettingsError(f'{section}.{key}: needed with provider = "{whatsapp.provider}"')
    for key, (form, example) in _FORMS.items():
        if not re.fullmatch(form, getattr(whatsapp, key)):
            raise SettingsError(f"{section}.{key}: expected {example}")
    for key in ("recording_purpose", "transcription_purpose"):
        if len(getattr(whatsapp, key)) > 250:
            raise SettingsError(f"{section}.{key}: Meta takes 250 characters at most")
    for key, url in (("base_url", whatsapp.base_url), ("url", whatsapp.url)):
        if url and not url.startswith(("https://", "http://")):
            raise SettingsError(f"{section}.{key}: expected a URL with http or https")


def check_whatsapp_sip(sip: Sip, lines: Mapping[str, Line]) -> None:
    """Refuse a line whose WhatsApp calls over SIP could not work, or not safely (`SettingsError`)."""
    users = {
        line.sip.inbound_username: f"lines.{name}.sip.inbound_username"
        for name, line in lines.items()
        if line.sip is not None
    }
    for name, line in lines.items():
        if line.whatsapp.signalling == "graph":
            continue
        _check_meta_sip(f"lines.{name}.whatsapp", line.whatsapp)
        key = f"lines.{name}.numbers"
        if not line.numbers:
            raise SettingsError(f"{key}: the first is the line's number at Meta")
        if (other := users.setdefault(line.numbers[0].removeprefix("+"), key)) != key:
            raise SettingsError(f"{key}: Meta logs in with the first, as others do for {other}")
        if not any(read_listen(text).transport == "tls" for text in sip.listen):
            raise SettingsError(
                f'sip.listen: lines.{name}.whatsapp.signalling = "sip" needs an address with tls, '
                "to which Meta connects"
            )


def _check_meta_sip(section: str, whatsapp: WhatsApp) -> None:
    if whatsapp.provider != "cloud":
        raise SettingsError(f'{section}.signalling: "sip" is for provider = "cloud"')
    for key in ("sip_password", "sip_hostname", "sip_domain"):
        if not getattr(whatsapp, key):
            mend = "; whatsapp sip-setup fetches it" if key == "sip_password" else ""
            raise SettingsError(f'{section}.{key}: needed with signalling = "sip"{mend}')
    for key in ("sip_hostname", "sip_domain"):
        if not re.fullmatch(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+", getattr(whatsapp, key)):
            raise SettingsError(f"{section}.{key}: expected the name of a host")
    for key in ("recording_purpose", "transcription_purpose"):
        if getattr(whatsapp, key):
            raise SettingsError(f"{section}.{key}: Meta has no such thing for calls over SIP")
    meta_server(section, whatsapp)


def meta_server(section: str, whatsapp: WhatsApp) -> Trunk:
    """Return where a line's WhatsApp calls over SIP go, or raise `SettingsError`."""
    key = f"{section}.sip_server"
    try:
        server = read_trunk(key, f"sips:{whatsapp.sip_server}")
    except SettingsError:
        raise SettingsError(f"{key}: expected a host, or a host and :port") from None
    return server._replace(port=server.port or DEFAULT_PORTS["tls"])


def check_voicemail(section: str, voicemail: Voicemail) -> None:
    """Refuse a message that could never be kept (`SettingsError`)."""
    if voicemail.min_seconds >= voicemail.max_seconds:
        raise SettingsError(f"{section}.min_seconds: expected less than max_seconds")


def check_stream(section: str, stream: Stream, media_root: Path) -> None:
    """Refuse secrets that can be guessed, and an announcement that is not there (`SettingsError`)."""
    for key, secret in (("secret", stream.secret), ("former_secret", stream.former_secret)):
        if secret and len(secret) < MIN_SECRET_CHARACTERS:
            raise SettingsError(
                f"{section}.{key}: has fewer than {MIN_SECRET_CHARACTERS} characters; make one with "
                "`openssl rand -hex 32`"
            )
    if stream.former_secret and not stream.secret:
        raise SettingsError(f"{section}.former_secret: has no effect without {section}.secret")
    if stream.fallback == "announcement" and not stream.announcement:
        raise SettingsError(f'{section}.announcement: needed with fallback = "announcement"')
    check_sound(f"{section}.announcement", stream.announcement, media_root)


def check_sound(key: str, sound: str, media_root: Path) -> None:
    """Refuse a sound file that is not there, if one is set (`SettingsError`)."""
    if sound and not (media_root / sound).is_file():
        raise SettingsError(f"{key}: there is no sound file at {media_root / sound}")
