"""The section `turns` of the settings."""

from bridge.settings.section import Section


class Turns(Section, frozen=True):
    """How long callers wait for the answers of bots."""

    enabled: bool = True
    """Measure it in every call with an agent, a two-way stream or a media socket (`GET /calls/{callId}/turns`, the event `turn`).
    Off: nothing of it is done."""
