"""The default rows of the routing table."""

from bridge.call.model import LegId, Party
from bridge.call.routing import Heard, Hears, RoutedLeg, routing_table

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


def service(name, hears=Hears.NOBODY, heard=Heard.NOBODY):
    return RoutedLeg(LegId(name), Party.SERVICE, hears=hears, heard=heard)


def test_the_far_party_hears_playback_that_the_near_ones_do_not():
    table = routing_table([FAR, ANN, service("playback", heard=Heard.FAR)])
    assert table[FAR.leg_id] == {"ann", "playback"}
    assert table[ANN.leg_id] == {"far"}


def test_playback_that_is_meant_for_all_is_heard_by_all():
    table = routing_table([FAR, ANN, service("playback", heard=Heard.ALL)])
    assert table[FAR.leg_id] == {"ann", "playback"}
    assert table[ANN.leg_id] == {"far", "playback"}


def test_a_recorder_of_the_outbound_track_hears_exactly_what_the_far_party_is_sent():
    muted = RoutedLeg(LegId("bob"), Party.NEAR, muted=True)
    legs = [FAR, ANN, muted, service("playback", heard=Heard.FAR)]
    table = routing_table([*legs, service("recorder", hears=Hears.OUTBOUND)])
    assert table[LegId("recorder")] == table[FAR.leg_id] == {"ann", "playback"}


def test_a_stream_of_the_inbound_track_hears_the_far_party_and_nobody_else():
    table = routing_table([FAR, ANN, service("stream", hears=Hears.INBOUND)])
    assert table[LegId("stream")] == {"far"}


def test_a_stream_of_both_tracks_hears_the_far_party_and_what_it_is_sent():
    table = routing_table([FAR, ANN, service("stream", hears=Hears.BOTH)])
    assert table[LegId("stream")] == {"far", "ann"}


def test_an_agent_is_heard_by_browsers_and_hears_the_far_party_only():
    table = routing_table([FAR, ANN, service("agent", Hears.INBOUND, Heard.ALL)])
    assert table[LegId("agent")] == {"far"}
    assert table[ANN.leg_id] == {"far", "agent"}


def test_while_a_call_is_held_the_far_party_hears_the_music_kept_for_it_only():
    legs = [FAR, ANN, service("music", heard=Heard.HELD), service("playback", heard=Heard.FAR)]
    assert routing_table(legs, held=True)[FAR.leg_id] == {"music"}
    assert "music" not in routing_table(legs)[FAR.leg_id]


def test_while_a_call_is_held_the_near_parties_hear_each_other_only():
    bob = RoutedLeg(LegId("bob"), Party.NEAR)
    assert routing_table([FAR, ANN, bob], held=True)[ANN.leg_id] == {"bob"}
