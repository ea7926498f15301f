"""Settings of one line: its keys, where its calls come from, how its agents talk."""

import re
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from bridge.errors import SettingsError
from bridge.settings.realtime import Realtime
from bridge.settings.section import Count, Number, Positive, PositiveCount, Secret, Section
from bridge.settings.sip import LineSip
from bridge.settings.stream import Stream
from bridge.settings.voicemail import Voicemail

_NEEDED = {
    "simulator": (),
    "cloud": ("phone_number_id", "access_token", "app_secret", "verify_token"),
    "gateway": ("url", "token"),
}

TEST_KEY = "sk_test_"
"""Prefix of keys that reach simulated contacts only."""
TEST_LINE = ":test"
"""Suffix of the line that a line's test keys belong to."""


class Agent(Section, frozen=True):
    """Voice agents and their speech providers."""

    voices: Count = 32
    """Agents that may use the voice detector at once (10 MB each); beyond that, any sound counts as speech."""
    end_seconds: Positive = 0.7
    """Silence that ends an utterance of the caller."""
    longest_seconds: Positive = 30.0
    """Maximum length of an utterance; a longer one is processed as it is."""
    interrupting_dbov: Annotated[float, Meta(ge=-127, le=0)] = -45.0
    """How loud a caller must be to interrupt; anything softer may be an echo of the agent."""
    silence_seconds: Positive = 10.0
    """After this long a silent caller hears `nudge`."""
    nudge: str = "Are you still there?"
    """Said to a silent caller."""
    nudges: Count = 1
    """How often `nudge` is said; then the agent says `goodbye` and hangs up."""
    goodbye: str = "Goodbye."
    """Said before the agent hangs up."""
    fallback: str = "I am sorry, something went wrong. Please say that again."
    """Said when a provider fails."""
    filler: str = "One moment, please."
    """Said while a reply takes longer than `filler_seconds`. Empty: a soft tone."""
    filler_seconds: Number = 2.5
    """How long a reply may take before `filler` is said. 0: it is never said."""
    talk_seconds: Positive = 1800.0
    """Maximum length of an agent's conversation."""
    stt_seconds: Positive = 15.0
    """Timeout of a complete response from the speech-to-text provider."""
    llm_seconds: Positive = 30.0
    """Timeout of a complete response from the language model."""
    tts_seconds: Positive = 20.0
    """Timeout of a complete response from the text-to-speech provider."""
    text_bytes: PositiveCount = 1048576
    """Maximum size of a text response."""
    sound_bytes: PositiveCount = 16777216
    """Maximum size of an audio response."""
    spoken_seconds: Positive = 120.0
    """Maximum length of one spoken sentence; the rest is cut."""
    stt_model: str = "whisper-1"
    """Model requested from OpenAI-style providers when the URL has no `?model=`."""
    llm_model: str = "gpt-4o-mini"
    """As `stt_model`."""
    tts_model: str = "tts-1"
    """As `stt_model`."""
    voice: str = "alloy"
    """Voice requested from OpenAI-style providers when the URL has no `?voice=`."""


class WhatsApp(Section, frozen=True):
    """Where a line's WhatsApp calls come from."""

    provider: Literal["simulator", "cloud", "gateway"] = "simulator"
    """`simulator`: simulated contacts. `cloud`: Meta's Business Platform. `gateway`: an engine with REST
    calls and a PCM WebSocket."""
    phone_number_id: str = ""
    """`cloud`: Meta's id of the number, which is not the number itself."""
    access_token: Secret = ""
    """`cloud`: access token for the Graph API."""
    app_secret: Secret = ""
    """`cloud`: signs Meta's webhooks."""
    verify_token: Secret = ""
    """`cloud`: any text; enter the same one at Meta with the webhook's address."""
    base_url: str = "https://graph.facebook.com"
    """`cloud`: the Graph API."""
    version: str = "v24.0"
    """`cloud`: version of the Graph API."""
    pre_accept: bool = True
    """`cloud`: connect the media of an inbound call before anybody answers."""
    recording_purpose: str = ""
    """`cloud`: why Meta records the calls, as it announces it. Empty: it does not record."""
    transcription_purpose: str = ""
    """`cloud`: why Meta transcribes the calls, as it announces it. Empty: it does not transcribe."""
    announcement_language: str = "en_US"
    """`cloud`: language of these announcements."""
    dialect: Literal["zuckzapgo", "wadial"] = "zuckzapgo"
    """`gateway`: the API the engine offers."""
    url: str = ""
    """`gateway`: base URL of the engine."""
    token: Secret = ""
    """`gateway`: the engine's API token."""
    session: str = ""
    """`gateway`, dialect `wadial`: the engine's session."""
    webhook_keys: list[Secret] = msgspec.field(default_factory=list)
    """`gateway`: keys for `/gateway/webhook`, which open nothing else."""


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
    hold_music: str = ""
    """Sound file that a held party hears, again and again (below `media.root` unless its path is absolute).
    Empty: silence; telephones are then told that they are held."""
    transcribe: Literal["off", "after", "live"] = "off"
    """Whether every answered call is transcribed: `after` its end, which records it, or `live`."""
    agent: Agent | None = None
    """Replaces all of `[agent]` for this line, except `voices`."""


def check_whatsapp(section: str, whatsapp: WhatsApp) -> None:
    """Refuse a line that lacks what its provider needs, naming the key (`SettingsError`)."""
    needed = list(_NEEDED[whatsapp.provider])
    if whatsapp.provider == "gateway" and whatsapp.dialect == "wadial":
        needed.append("session")
    for key in needed:
        if not getattr(whatsapp, key):
            raise SettingsError(f'{section}.{key}: needed with provider = "{whatsapp.provider}"')
    if whatsapp.phone_number_id and not re.fullmatch("[0-9]+", whatsapp.phone_number_id):
        raise SettingsError(f"{section}.phone_number_id: expected Meta's id, which is digits only")
    if not re.fullmatch(r"v[0-9]+\.[0-9]+", whatsapp.version):
        raise SettingsError(f'{section}.version: expected a version such as "v24.0"')
    for key in ("recording_purpose", "transcription_purpose"):
        if len(getattr(whatsapp, key)) > 250:
            raise SettingsError(f"{section}.{key}: Meta takes 250 characters at most")
    for key, url in (("base_url", whatsapp.base_url), ("url", whatsapp.url)):
        if url and not url.startswith(("https://", "http://")):
            raise SettingsError(f"{section}.{key}: expected a URL with http or https")
