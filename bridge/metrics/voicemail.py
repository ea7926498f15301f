"""Metrics of voicemails."""

from typing import Final

from bridge.metrics.families import OTHER, Families

OUTCOMES: Final = ("received", "empty", "abandoned", "failed", OTHER)
"""`empty`: nothing was said, or too little; `abandoned`: the caller left before the tone, or somebody answered."""


class VoicemailMetrics:
    """Voicemail metrics of one node."""

    def __init__(self, create: Families) -> None:
        self.ended = create.counter(
            "bridge_voicemails_total",
            "Calls sent to voicemail, by what became of the message.",
            outcome=OUTCOMES,
        )
