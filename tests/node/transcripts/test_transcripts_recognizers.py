"""Which speech recognition a line has."""

import pytest

from bridge.agent.demonstration import Demonstration
from bridge.agent.http_providers import HttpRecognizer
from bridge.call.model import LineName
from bridge.errors import Unsupported
from bridge.http.address_guard import Guard
from bridge.http.client import Http
from bridge.node.lines import LineConfig
from bridge.node.transcripts.transcripts import recognizers
from bridge.settings.agent import Agent

OWN, DEMO, NONE = LineName("own"), LineName("demo"), LineName("none")


class Lines:
    """The settings of lines; `node.lines.Lines` as far as it is asked here."""

    def config(self, line):
        return LineConfig(stt_url="https://stt.example/" if line == OWN else "")


async def test_a_line_has_its_providers_a_demonstration_or_none():
    http = Http(Guard(allow=[], require_tls=False))
    recognizer_of = recognizers(http, Lines(), settings_of=lambda line: Agent(), demos={OWN, DEMO})  # type: ignore[arg-type]
    assert isinstance(recognizer_of(OWN), HttpRecognizer)
    assert isinstance(recognizer_of(DEMO), Demonstration)
    with pytest.raises(Unsupported, match="callSttUrl"):
        recognizer_of(NONE)
    await http.aclose()
