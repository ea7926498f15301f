"""Messages between supervisor and nodes: what is understood, ignored and refused."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import RemoteProtocolError
from bridge.wire import supervision
from bridge.wire.supervision import (
    Accept,
    BeginDrain,
    Calls,
    Done,
    Drained,
    DrainNodes,
    Failed,
    Process,
    Progress,
    Ready,
    Roster,
    Slot,
    Stop,
    Upgrade,
    serialize,
)

SLOT = Slot(
    node=3,
    boot="0123456789abcdef",
    run="00",
    count=2,
    listeners=[5],
    ports="20000-20499",
    settings=msgspec.Raw(b'{"nodes":2}'),
)


@pytest.mark.parametrize(
    ("parse", "message"),
    [
        (supervision.to_node, SLOT),
        (supervision.to_node, Roster(nodes=[Process(0, "aa"), Process(1, "bb", draining=True)])),
        (supervision.to_node, Accept(on=False)),
        (supervision.to_node, BeginDrain(seconds=60.0, reason="upgrade")),
        (supervision.to_node, Stop()),
        (supervision.from_node, Ready(node=3)),
        (supervision.from_node, Calls(calls=4, draining=True, seconds=12.5)),
        (supervision.from_node, Drained()),
        (supervision.request, DrainNodes(node=1)),
        (supervision.request, Upgrade()),
        (supervision.reply, Progress(text="2 calls left")),
        (supervision.reply, Done()),
        (supervision.reply, Failed(text="no")),
    ],
)
def test_a_message_is_one_line_and_comes_back_as_it_was(parse, message):
    line = serialize(message)
    assert line.count(b"\n") == 1
    assert parse(line) == message


def test_kinds_and_fields_of_a_newer_version_are_ignored():
    assert supervision.to_node(b'{"v": 1, "kind": "dance", "steps": 3}') is None
    assert supervision.to_node(b'{"v": 1, "kind": "stop", "why": "?"}') == Stop()
    assert supervision.from_node(serialize(Stop())) is None


def test_another_version_is_refused_with_what_to_do():
    with pytest.raises(RemoteProtocolError, match="restart the whole bridge"):
        supervision.to_node(b'{"v": 2, "kind": "stop"}')


@pytest.mark.parametrize(
    "line", [b"", b"{", b"[]", b"{}", b'{"v": 1}', b'{"v": 1, "kind": "accept"}', b"\xff"]
)
def test_what_is_no_message_is_refused(line):
    with pytest.raises(RemoteProtocolError):
        supervision.to_node(line)


@given(st.binary(max_size=64))
def test_a_parser_raises_nothing_else(line):
    for parse in (supervision.to_node, supervision.from_node, supervision.request):
        try:
            parse(line)
        except RemoteProtocolError:
            continue
