"""The agents of a bridge, made from its settings."""

from bridge.agent.providers import Models, ProviderLimits
from bridge.agent.talk_settings import TalkSettings
from bridge.agent.turns import TurnLimits
from bridge.agent.voice_detector import VoiceDetectors, silero
from bridge.app.foundation import Foundation
from bridge.app.lines import demonstrations_of
from bridge.node.agent import Agents, AgentSettings, agent_profiles
from bridge.settings.model import Agent


def build_agents(base: Foundation) -> Agents:
    """Return the service that adds agents to calls."""
    settings = base.settings
    common = agent_settings(settings.agent)
    own = {
        name: agent_settings(line.agent)
        for name, line in settings.lines.items()
        if line.agent is not None
    }
    return Agents(
        base.manager,
        base.lines,
        profile_of=agent_profiles(
            base.http,
            settings_of=lambda line: own.get(line, common),
            demos=demonstrations_of(settings).keys(),
        ),
        voices=VoiceDetectors(silero(), maximum=settings.agent.voices),
        counters=base.metrics.agents,
    )


def agent_settings(agent: Agent) -> AgentSettings:
    """Return the settings of agents as the agents take them."""
    return AgentSettings(
        TalkSettings(
            fallback=agent.fallback,
            nudge=agent.nudge,
            nudges=agent.nudges,
            goodbye=agent.goodbye,
            filler=agent.filler,
            filler_seconds=agent.filler_seconds,
            max_seconds=agent.talk_seconds,
            turns=TurnLimits(
                end=agent.end_seconds,
                max_utterance=agent.longest_seconds,
                silence=agent.silence_seconds,
                interrupting_dbov=agent.interrupting_dbov,
            ),
        ),
        ProviderLimits(
            stt_seconds=agent.stt_seconds,
            llm_seconds=agent.llm_seconds,
            tts_seconds=agent.tts_seconds,
            text_bytes=agent.text_bytes,
            sound_bytes=agent.sound_bytes,
            spoken_seconds=agent.spoken_seconds,
        ),
        Models(agent.stt_model, agent.llm_model, agent.tts_model, agent.voice),
    )
