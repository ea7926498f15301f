"""Settings of a line's voicemail."""

from bridge.errors import SettingsError
from bridge.settings.section import Number, Positive, Section


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


def check_voicemail(section: str, voicemail: Voicemail) -> None:
    """Refuse a message that could never be kept (`SettingsError`)."""
    if voicemail.min_seconds >= voicemail.max_seconds:
        raise SettingsError(f"{section}.min_seconds: expected less than max_seconds")
