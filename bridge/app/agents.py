"""Builds the voice agents from the settings."""

from collections.abc import Mapping
from functools import partial

from bridge.agent.answers import CallSituation
from bridge.agent.phrase_recognizer import PhraseRecognizer, has_recognizer
from bridge.agent.questions import GRAMMAR, PRONUNCIATIONS
from bridge.app.foundation import Foundation
from bridge.app.lines import demonstrations_of
from bridge.call.model import LineName
from bridge.call.policy import LinePolicy
from bridge.media.decoding import sandboxed
from bridge.node.calls.agent import Agents, agent_profiles
from bridge.node.calls.demonstration import situation_of
from bridge.node.runner import CallRunner


def build_agents(base: Foundation, policies: Mapping[LineName, LinePolicy]) -> Agents:
    """Return the service that adds agents to calls."""
    settings = base.settings
    own = {name: line.agent or settings.agent for name, line in settings.lines.items()}
    demos = demonstrations_of(settings).keys()
    return Agents(
        base.manager,
        base.lines,
        profile_of=agent_profiles(
            base.http,
            settings_of=lambda line: own.get(line, settings.agent),
            demos=demos,
            phrases=_phrases(base) if demos and has_recognizer() else None,
            situation_of=partial(_situation, base, policies),
        ),
        max_voice_detectors=settings.agent.voices,
        counters=base.metrics.agents,
    )


def _phrases(base: Foundation) -> PhraseRecognizer:
    phrases = PhraseRecognizer(sandboxed.start, grammar=GRAMMAR, pronunciations=PRONUNCIATIONS)
    base.application.on_cleanup.append(lambda _: phrases.aclose())
    return phrases


def _situation(
    base: Foundation, policies: Mapping[LineName, LinePolicy], runner: CallRunner
) -> CallSituation:
    policy = policies.get(runner.facts.line)
    return situation_of(base.manager, runner, line_number=policy.number if policy else "")
