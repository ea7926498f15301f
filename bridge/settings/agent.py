"""Settings of voice agents and their speech providers."""

from typing import Annotated, Literal

from msgspec import Meta

from bridge.errors import SettingsError
from bridge.settings.section import Count, Number, Positive, PositiveCount, Secret, Section


class Agent(Section, frozen=True):
    """Voice agents and their speech providers."""

    voice_detectors: Count = 32
    """Agents that may use the voice detector at once (10 MB each); beyond that, any sound counts as speech."""
    end_seconds: Positive = 0.7
    """Silence that ends an utterance of the caller."""
    max_utterance_seconds: Positive = 30.0
    """Maximum length of an utterance; a longer one is processed as it is."""
    interrupting_dbov: Annotated[float, Meta(ge=-127, le=0)] = -45.0
    """How loud a caller must be to interrupt; anything softer may be an echo of the agent."""
    interruptions: Literal["any", "meant"] = "any"
    """What stops an agent that speaks. `any`: any voice. `meant`: an interruption (barge-in), not a backchannel ("mm-hm"); until that is
    decided it goes on at reduced volume."""
    interruption_words: Literal["", "de", "en", "es", "fr", "it", "pt"] = ""
    """With `meant`: the language of a word list. What seemed to be a backchannel is transcribed, and stops the agent after all if it was "no" or
    "wait". Empty: it is not transcribed."""
    interruption_url: str = ""
    """With `meant`: URL of your own interruption detector, which is asked first. Empty: there is none."""
    interruption_token: Secret = ""
    """Sent to it as a bearer token."""
    silence_seconds: Positive = 10.0
    """After this long a silent caller hears `no_input_prompt`."""
    no_input_prompt: str = "Are you still there?"
    """Said to a silent caller."""
    no_input_prompts: Count = 1
    """How often `no_input_prompt` is said; then the agent says `goodbye` and hangs up."""
    goodbye: str = "Goodbye."
    """Said before the agent hangs up."""
    fallback: str = "I am sorry, something went wrong. Please say that again."
    """Said when a provider fails."""
    filler: str = "One moment, please."
    """Said while a reply takes longer than `filler_seconds`. Empty: a soft tone."""
    filler_seconds: Number = 2.5
    """How long a reply may take before `filler` is said. 0: it is never said."""
    talk_seconds: Positive = 1800.0
    """Maximum length of an agent's conversation; the sentence that it is speaking then is finished, for at most 5 s."""
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


def check_agent(section: str, agent: Agent) -> None:
    """Refuse an interruption detector that cannot be used (`SettingsError`)."""
    if not agent.interruption_url:
        return
    if not agent.interruption_url.startswith(("https://", "http://")):
        raise SettingsError(f"{section}.interruption_url: expected a URL with https or http")
    if agent.interruptions != "meant":
        raise SettingsError(f'{section}.interruption_url: needs interruptions = "meant"')
