"""What a node tells consoles about its calls."""

from bridge.call.leg_state import TransportState
from bridge.call.model import LegFigures, LegId, LegKind, LegStatistics, Party
from bridge.call.record.quality import LegQuality
from bridge.call.record.timeline import Sample, Timeline
from bridge.node.console import console
from bridge.node.console.console import LostNodes, _history, _now
from bridge.stores.nodes import Member


def leg(kind, party, *samples):
    timeline = Timeline()
    for at, sample in enumerate(samples):
        timeline.add(sample, float(at))
    figures = LegFigures(LegId("leg"), kind, party, LegStatistics(transport=TransportState()))
    return LegQuality(figures, 0.0, 0.0, timeline)


def test_the_loudest_of_this_side_stands_beside_the_far_party():
    legs = [
        leg(LegKind.WHATSAPP, Party.FAR, Sample(level=-30.4, mos=4.4, sent_mos=3.94)),
        leg(LegKind.WEBRTC, Party.NEAR, Sample(level=-50.0)),
        leg(LegKind.AGENT, Party.SERVICE, Sample(level=-20.0)),
        leg(LegKind.RECORDER, Party.SERVICE, Sample(level=-1.0)),
    ]
    assert _now(legs) == (-30, -20, 3.9)


def test_of_a_call_without_audio_nothing_is_told():
    assert _now([leg(LegKind.WHATSAPP, Party.FAR)]) == (None, None, None)
    assert _now([]) == (None, None, None)


def test_the_course_is_the_worst_score_of_each_second_aligned_at_the_newest():
    far = leg(LegKind.WHATSAPP, Party.FAR, *(Sample(mos=mos) for mos in (4.4, 4.3, 4.2)))
    near = leg(LegKind.WEBRTC, Party.NEAR, *(Sample(mos=mos) for mos in (3.0, 4.4)))
    assert _history([far, near]) == [4.4, 3.0]
    assert _history([]) == []


def test_a_lost_node_is_remembered_for_some_minutes(monkeypatch):
    lost = LostNodes()
    lost.note(Member(node=7, boot="b" * 16, machine="0123456789abcdef"))
    [found] = lost.recent()
    assert (found.node, found.state, found.machine) == (7, "lost", "01234567")
    monkeypatch.setattr(console, "LOST_SECONDS", -1)
    assert lost.recent() == []
