"""Builds voicemail from the settings."""

from bridge.app.foundation import Foundation
from bridge.call.model import LineName
from bridge.call.voicemail import VoicemailRules
from bridge.media.assets import Assets
from bridge.media.sounds import Sounds
from bridge.media.voicemails import VoicemailStore
from bridge.node.calls.agent import Agents
from bridge.node.calls.playback import Playbacks
from bridge.node.recording.recordings import Recordings
from bridge.node.transcripts.transcripts import Transcripts
from bridge.node.voicemail.calls import VoicemailCalls
from bridge.node.voicemail.greetings import Greeting, Greetings
from bridge.node.voicemail.transcripts import VoicemailTranscripts
from bridge.node.voicemail.voicemails import Voicemails
from bridge.settings.model import Settings
from bridge.settings.voicemail import Voicemail


def build_voicemails(base: Foundation, recordings: Recordings) -> Voicemails:
    """Return the messages that callers left."""
    return Voicemails(
        base.manager,
        VoicemailStore(base.database),
        recordings,
        history=base.history,
        metrics=base.metrics.voicemails,
    )


def build_voicemail_calls(
    settings: Settings,
    voicemails: Voicemails,
    recordings: Recordings,
    playbacks: Playbacks,
    *,
    greetings: Greetings,
) -> VoicemailCalls:
    """Return the service that sends callers to voicemail."""
    wanted = _settings_of_lines(settings)
    return VoicemailCalls(
        voicemails,
        recordings,
        playbacks,
        greetings=greetings,
        rules_of=lambda line: _rules(wanted.get(line, Voicemail())),
    )


def transcribe_voicemails(
    base: Foundation, voicemails: Voicemails, transcripts: Transcripts
) -> None:
    """Have messages transcribed, on the lines that want that."""
    wanted = {line for line, one in _settings_of_lines(base.settings).items() if one.transcribe}
    said = VoicemailTranscripts(voicemails, transcripts, wanted=wanted.__contains__)
    base.manager.publisher.subscribe(said.on_event)
    base.application.on_cleanup.append(lambda _: said.aclose())


def build_greetings(
    settings: Settings, assets: Assets, sounds: Sounds, agents: Agents
) -> Greetings:
    """Return what callers hear before they leave a message."""
    return Greetings(
        {
            line: Greeting(one.greeting, one.greeting_text)
            for line, one in _settings_of_lines(settings).items()
        },
        assets=assets,
        sounds=sounds,
        speak=agents.speak,
    )


def _settings_of_lines(settings: Settings) -> dict[LineName, Voicemail]:
    return {LineName(name): line.voicemail for name, line in settings.lines.items()}


def _rules(wanted: Voicemail) -> VoicemailRules:
    return VoicemailRules(
        wanted.max_seconds,
        wanted.silence_seconds,
        wanted.min_seconds,
        takes_rejected=wanted.rejected,
    )
