"""What can be set for one line: its keys, where its calls come from, how its agents talk."""

import re
from typing import Literal

import msgspec

from bridge.errors import SettingsError

_NEEDED = {
    "simulator": (),
    "cloud": ("phone_number_id", "access_token", "app_secret", "verify_token"),
    "gateway": ("url", "token"),
}

TEST_KEY = "sk_test_"
"""How keys begin that reach simulated contacts only."""
TEST_LINE = ":test"
"""How the name ends of the line that a line's test keys belong to."""


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table of the settings file."""


class Agent(Section, frozen=True):
    """How agents talk, and what is expected of their providers."""

    voices: int = 32
    """So many agents at a time tell voices from noises, 10 MB each; others take both for voices."""
    end_seconds: float = 0.7
    """Silence that ends an utterance."""
    longest_seconds: float = 30.0
    """An utterance that lasts longer is taken as it is."""
    interrupting_dbov: float = -45.0
    """How loud a caller must be to interrupt: what is softer may be our own sound, come back."""
    silence_seconds: float = 10.0
    """After so long a silent caller is asked."""
    nudge: str = "Are you still there?"
    nudges: int = 1
    """How often; then the agent says `goodbye` and hangs up."""
    goodbye: str = "Goodbye."
    fallback: str = "I am sorry, something went wrong. Please say that again."
    """Said where a provider failed."""
    filler: str = "One moment, please."
    """Said while a reply takes long; empty: a soft tone."""
    filler_seconds: float = 2.5
    """So long a reply may take until then; 0 = for ever."""
    talk_seconds: float = 1800.0
    """How long an agent talks at most."""
    stt_seconds: float = 15.0
    llm_seconds: float = 30.0
    tts_seconds: float = 20.0
    """How long each provider may be waited for, all of its answer."""
    text_bytes: int = 1048576
    sound_bytes: int = 16777216
    """How long an answer may be."""
    spoken_seconds: float = 120.0
    """A sentence that takes longer to say is cut."""
    stt_model: str = "whisper-1"
    llm_model: str = "gpt-4o-mini"
    tts_model: str = "tts-1"
    voice: str = "alloy"
    """What providers of OpenAI's kind are asked for where a URL's query does not say."""


class WhatsApp(Section, frozen=True):
    """Where a line's WhatsApp calls come from."""

    provider: Literal["simulator", "cloud", "gateway"] = "simulator"
    phone_number_id: str = ""
    """`cloud`: Meta's id of the number, which is not the number itself."""
    access_token: str = ""
    app_secret: str = ""
    """`cloud`: signs Meta's webhooks."""
    verify_token: str = ""
    """`cloud`: any text, given to Meta along with the webhook's address."""
    base_url: str = "https://graph.facebook.com"
    version: str = "v24.0"
    """`cloud`: of the Graph API."""
    pre_accept: bool = True
    """`cloud`: connect the media of a call that rings us before anybody answers."""
    recording_purpose: str = ""
    """`cloud`: why Meta records the calls, as it announces it; empty: it does not."""
    transcription_purpose: str = ""
    """`cloud`: why Meta writes the calls down, likewise."""
    announcement_language: str = "en_US"
    dialect: Literal["zuckzapgo", "wadial"] = "zuckzapgo"
    """`gateway`: how the engine speaks."""
    url: str = ""
    """`gateway`: where the engine's API is."""
    token: str = ""
    session: str = ""
    """`gateway`, dialect `wadial`: the engine's session."""
    webhook_keys: list[str] = msgspec.field(default_factory=list)
    """`gateway`: keys that the engine may post its events with, and that open nothing else."""


class Line(Section, frozen=True):
    """One identity the bridge answers for."""

    keys: list[str]
    numbers: list[str] = msgspec.field(default_factory=list)
    whatsapp: WhatsApp = msgspec.field(default_factory=WhatsApp)
    decision_seconds: float = 30.0
    """How long a server has to answer or reject a call that rings the line (`call.decision_due`)."""
    decision_default: Literal["ring", "accept", "reject"] = "ring"
    """What happens then: it rings on, is answered, or is rejected."""
    agent: Agent | None = None
    """This line's, in place of all of `agent`; `voices` counts only there."""


def check_agent(section: str, agent: Agent) -> None:
    """Refuse what cannot be.

    Raises:
        SettingsError: naming the key.
    """
    positive = ("end", "longest", "silence", "talk", "stt", "llm", "tts", "spoken")
    for name in positive:
        if not getattr(agent, f"{name}_seconds") > 0:
            raise SettingsError(f"{section}.{name}_seconds: expected more than 0")
    for key in ("voices", "nudges", "filler_seconds"):
        if not getattr(agent, key) >= 0:
            raise SettingsError(f"{section}.{key}: expected 0 or more")
    for key in ("text_bytes", "sound_bytes"):
        if getattr(agent, key) < 1:
            raise SettingsError(f"{section}.{key}: expected at least 1")


def check_whatsapp(section: str, whatsapp: WhatsApp) -> None:
    """Refuse what cannot work.

    Raises:
        SettingsError: naming the key and what to do.
    """
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
