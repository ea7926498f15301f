"""The lines, out of the settings."""

import msgspec

from bridge.api.faces.chirp_parties import App
from bridge.call.model import LineName
from bridge.line_settings import TEST_KEY, TEST_LINE, Line
from bridge.node.decision import DecisionDefault, DecisionRule
from bridge.node.lines import InboundMode, LineConfig
from bridge.settings import (
    DEMO_AI_KEY,
    DEMO_AI_LINE,
    DEMO_AI_NUMBER,
    DEMO_KEY,
    DEMO_LINE,
    DEMO_NUMBER,
    Settings,
    WhatsApp,
)


def with_test_lines(settings: Settings) -> Settings:
    """Return the settings with a line of its own for the test keys of each line that has such.

    Its numbers and agents are those of its line, its contacts are simulated. Being a line, it shares
    no call, event, webhook, recording or configuration with any other, in no face.
    """
    lines: dict[str, Line] = {}
    for name, line in settings.lines.items():
        test = [key for key in line.keys if key.startswith(TEST_KEY)]
        live = [key for key in line.keys if key not in test]
        lines[name] = msgspec.structs.replace(line, keys=live)
        if test:
            simulated = msgspec.structs.replace(line, keys=test, whatsapp=WhatsApp())
            lines[name + TEST_LINE] = simulated
    return msgspec.structs.replace(settings, lines=lines)


def keys_of(settings: Settings) -> dict[LineName, list[str]]:
    """Give each line's keys; without any line there are those for demonstrations."""
    if not settings.lines:
        return {LineName(DEMO_LINE): [DEMO_KEY], LineName(DEMO_AI_LINE): [DEMO_AI_KEY]}
    return {LineName(name): line.keys for name, line in settings.lines.items()}


def webhook_keys_of(settings: Settings) -> dict[LineName, list[str]]:
    """Return each line's keys for its engine's events."""
    return {LineName(name): line.whatsapp.webhook_keys for name, line in settings.lines.items()}


def apps_of(settings: Settings) -> dict[LineName, App]:
    """Give what Chirp's clients call an app: each line's numbers, and whether Meta rules it."""
    if not settings.lines:
        return {
            LineName(DEMO_LINE): App((f"+{DEMO_NUMBER}",), official=False),
            LineName(DEMO_AI_LINE): App((f"+{DEMO_AI_NUMBER}",), official=False),
        }
    return {
        LineName(name): App(
            tuple(f"+{number.removeprefix('+')}" for number in line.numbers),
            official=line.whatsapp.provider == "cloud",
        )
        for name, line in settings.lines.items()
    }


def numbers_of(settings: Settings) -> dict[LineName, str]:
    """Return the number that each line calls from where nobody chose one, with `+`."""
    return {line: app.number for line, app in apps_of(settings).items()}


def decisions_of(settings: Settings) -> dict[LineName, DecisionRule]:
    """Return how long each line's server has to decide about calls that ring it."""
    return {
        LineName(name): DecisionRule(line.decision_seconds, DecisionDefault(line.decision_default))
        for name, line in settings.lines.items()
    }


def demonstrations_of(settings: Settings) -> dict[LineName, LineConfig]:
    """Give the lines on which agents demonstrate themselves, and how each first takes calls."""
    if settings.lines:
        return {}
    return {
        LineName(DEMO_LINE): LineConfig(),
        LineName(DEMO_AI_LINE): LineConfig(mode=InboundMode.AI),
    }


def lines_of(settings: Settings, provider: str) -> dict[LineName, WhatsApp]:
    """The lines whose WhatsApp calls come from a provider, and how it is reached."""
    return {
        LineName(name): line.whatsapp
        for name, line in settings.lines.items()
        if line.whatsapp.provider == provider
    }
