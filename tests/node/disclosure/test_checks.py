"""Which lines have machines, and can say what they disclose."""

import pytest

from bridge.node.disclosure.checks import problem_of, warning_of
from bridge.node.lines import InboundMode, LineConfig
from bridge.settings.model import Disclosure, Line, Realtime, Settings
from bridge.wire.stream.media_stream import StreamProtocol

TEXT = Disclosure(text="A machine.")
MANUAL, AI = LineConfig(), LineConfig(mode=InboundMode.AI)
MODEL = LineConfig(
    mode=InboundMode.STREAM, stream_protocol=StreamProtocol.OPENAI_REALTIME, stream_url="wss://a"
)


def settings(*, everywhere=None, realtime=None, **line):
    lines = {"a": Line(keys=["k"], realtime=realtime, **line)}
    return Settings(lines=lines, disclosure=everywhere or Disclosure())


def problem(chosen, config, *, speaks=False):
    return problem_of("a", chosen, config, speaks=speaks, has_asset=True)


def test_a_line_that_cannot_say_its_own_text_is_refused_with_or_without_a_machine():
    assert problem(settings(disclosure=TEXT), MANUAL).startswith("lines.a.disclosure.text:")
    assert not problem(settings(disclosure=TEXT), MANUAL, speaks=True)


def test_what_all_lines_disclose_concerns_those_with_machines():
    everywhere = settings(everywhere=TEXT)
    assert not problem(everywhere, MANUAL)
    assert problem(everywhere, AI).startswith("disclosure.text:")
    assert problem(everywhere, AI).endswith("(line a)")


@pytest.mark.parametrize(
    ("chosen", "config", "warned"),
    [
        (settings(), MANUAL, False),
        (settings(), AI, True),
        (settings(), MODEL, True),
        (settings(realtime=Realtime()), MANUAL, True),
        (settings(disclosure=TEXT), AI, False),
        (settings(everywhere=TEXT), AI, False),
        (settings(everywhere=TEXT, disclosure=Disclosure()), AI, True),
    ],
)
def test_a_line_with_a_machine_that_discloses_nothing_is_warned_of(chosen, config, warned):
    assert bool(warning_of("a", chosen, config)) is warned
