"""The default rows of the routing table."""

from bridge.call.model import LegId, Party
from bridge.call.routing import (
    Audience,
    LegRole,
    Participant,
    ParticipantState,
    Subscription,
    routing_table,
)

FAR, ANN, BOB = LegId("far"), LegId("ann"), LegId("bob")
PARTIES = {FAR: LegRole(Party.FAR), ANN: LegRole(Party.NEAR)}
WITH_BOB = PARTIES | {BOB: LegRole(Party.NEAR)}


def table_of(legs, *, muted=(), held=False):
    """The rows of legs with these roles; `held` is for the far party."""
    participants = []
    for leg_id, role in legs.items():
        is_far = role.party is Party.FAR
        state = ParticipantState.HELD if held and is_far else ParticipantState.TALKING
        participants.append(Participant(leg_id, role, is_far, state, leg_id in muted))
    return routing_table(participants)


def with_service(name, subscription=Subscription.NOBODY, audience=Audience.NOBODY):
    return PARTIES | {LegId(name): LegRole(Party.SERVICE, subscription, audience)}


def test_nobody_hears_themselves():
    table = table_of(PARTIES)
    assert all(sink not in heard for sink, heard in table.items())


def test_mute_removes_a_leg_from_the_far_partys_row_only():
    table = table_of(WITH_BOB, muted={ANN})
    assert table[FAR] == {BOB}
    assert table[BOB] == {FAR, ANN}


def test_the_far_party_hears_playback_that_the_near_ones_do_not():
    table = table_of(with_service("playback", audience=Audience.FAR))
    assert table[FAR] == {"ann", "playback"}
    assert table[ANN] == {"far"}


def test_playback_that_is_meant_for_all_is_heard_by_all():
    table = table_of(with_service("playback", audience=Audience.ALL))
    assert table[FAR] == {"ann", "playback"}
    assert table[ANN] == {"far", "playback"}


def test_a_recorder_of_the_outbound_track_hears_exactly_what_the_far_party_is_sent():
    legs = WITH_BOB | with_service("playback", audience=Audience.FAR)
    legs |= with_service("recorder", subscription=Subscription.OUTBOUND)
    table = table_of(legs, muted={BOB})
    assert table[LegId("recorder")] == table[FAR] == {"ann", "playback"}


def test_a_stream_of_the_inbound_track_hears_the_far_party_and_nobody_else():
    table = table_of(with_service("stream", subscription=Subscription.INBOUND))
    assert table[LegId("stream")] == {"far"}


def test_a_stream_of_both_tracks_hears_the_far_party_and_what_it_is_sent():
    table = table_of(with_service("stream", subscription=Subscription.BOTH))
    assert table[LegId("stream")] == {"far", "ann"}


def test_an_agent_is_heard_by_browsers_and_hears_the_far_party_only():
    table = table_of(with_service("agent", Subscription.INBOUND, Audience.ALL))
    assert table[LegId("agent")] == {"far"}
    assert table[ANN] == {"far", "agent"}


def test_while_a_call_is_held_the_far_party_hears_the_hold_music_only():
    legs = with_service("music", audience=Audience.HELD) | with_service(
        "playback", audience=Audience.FAR
    )
    assert table_of(legs, held=True)[FAR] == {"music"}
    assert "music" not in table_of(legs)[FAR]


def test_while_a_call_is_held_the_near_parties_hear_each_other_only():
    assert table_of(WITH_BOB, held=True)[ANN] == {BOB}
