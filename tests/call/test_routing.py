"""The default rows of the routing table."""

from bridge.call.model import LegId, Party
from bridge.call.routing import RoutedLeg, routing_table

FAR = RoutedLeg(LegId("far"), Party.FAR)
ANN = RoutedLeg(LegId("ann"), Party.NEAR)


def test_nobody_hears_themselves():
    table = routing_table([FAR, ANN])
    assert all(sink not in heard for sink, heard in table.items())


def test_mute_removes_a_leg_from_the_far_partys_row_only():
    muted = RoutedLeg(ANN.leg_id, Party.NEAR, muted=True)
    bob = RoutedLeg(LegId("bob"), Party.NEAR)
    table = routing_table([FAR, muted, bob])
    assert table[FAR.leg_id] == {"bob"}
    assert table[bob.leg_id] == {"far", "ann"}
