"""The default rows of the routing table."""

from bridge.call.model import LegId, Party
from bridge.call.routing import Heard, Hears, LegRole, routing_table

FAR, ANN, BOB = LegId("far"), LegId("ann"), LegId("bob")
PARTIES = {FAR: LegRole(Party.FAR), ANN: LegRole(Party.NEAR)}
WITH_BOB = PARTIES | {BOB: LegRole(Party.NEAR)}


def with_service(name, hears=Hears.NOBODY, heard=Heard.NOBODY):
    return PARTIES | {LegId(name): LegRole(Party.SERVICE, hears, heard)}


def test_nobody_hears_themselves():
    table = routing_table(PARTIES)
    assert all(sink not in heard for sink, heard in table.items())


def test_mute_removes_a_leg_from_the_far_partys_row_only():
    table = routing_table(WITH_BOB, muted={ANN})
    assert table[FAR] == {BOB}
    assert table[BOB] == {FAR, ANN}


def test_the_far_party_hears_playback_that_the_near_ones_do_not():
    table = routing_table(with_service("playback", heard=Heard.FAR))
    assert table[FAR] == {"ann", "playback"}
    assert table[ANN] == {"far"}


def test_playback_that_is_meant_for_all_is_heard_by_all():
    table = routing_table(with_service("playback", heard=Heard.ALL))
    assert table[FAR] == {"ann", "playback"}
    assert table[ANN] == {"far", "playback"}


def test_a_recorder_of_the_outbound_track_hears_exactly_what_the_far_party_is_sent():
    legs = WITH_BOB | with_service("playback", heard=Heard.FAR)
    legs |= with_service("recorder", hears=Hears.OUTBOUND)
    table = routing_table(legs, muted={BOB})
    assert table[LegId("recorder")] == table[FAR] == {"ann", "playback"}


def test_a_stream_of_the_inbound_track_hears_the_far_party_and_nobody_else():
    table = routing_table(with_service("stream", hears=Hears.INBOUND))
    assert table[LegId("stream")] == {"far"}


def test_a_stream_of_both_tracks_hears_the_far_party_and_what_it_is_sent():
    table = routing_table(with_service("stream", hears=Hears.BOTH))
    assert table[LegId("stream")] == {"far", "ann"}


def test_an_agent_is_heard_by_browsers_and_hears_the_far_party_only():
    table = routing_table(with_service("agent", Hears.INBOUND, Heard.ALL))
    assert table[LegId("agent")] == {"far"}
    assert table[ANN] == {"far", "agent"}


def test_while_a_call_is_held_the_far_party_hears_the_hold_music_only():
    legs = with_service("music", heard=Heard.HELD) | with_service("playback", heard=Heard.FAR)
    assert routing_table(legs, held=True)[FAR] == {"music"}
    assert "music" not in routing_table(legs)[FAR]


def test_while_a_call_is_held_the_near_parties_hear_each_other_only():
    assert routing_table(WITH_BOB, held=True)[ANN] == {BOB}
