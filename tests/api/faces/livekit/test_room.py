"""A call in LiveKit's words: who the other participant is, what it is doing, and why it has gone."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from bridge.api.faces.livekit.room import (
    HELD_BY,
    REASONS,
    STATUS,
    Client,
    OtherIds,
    client_info,
    departed,
    disconnect_reason,
    end_reason,
    is_audible,
    leg_of,
    other_ids,
    other_info,
    other_legs,
    room_of,
    without_version,
)
from bridge.call.events import (
    HoldRequested,
    LegAdded,
    LegAnswered,
    LegConnected,
    LegDialled,
    LegEnded,
    MuteRequested,
)
from bridge.call.leg_state import TransportState
from bridge.call.limits import CallLimits
from bridge.call.machine import CallMachine
from bridge.call.model import (
    CallDetails,
    CallFacts,
    CallId,
    Direction,
    EndReason,
    LegFigures,
    LegId,
    LegKind,
    LegStatistics,
    LineName,
    Parties,
    Party,
    State,
)
from bridge.call.routing import LegRole
from bridge.call.view import record_of
from bridge.wire.livekit.models import DisconnectReason, ParticipantKind, ParticipantState

CALL = CallId("00AB" * 8)
NEAR = Client(CALL, LegId("leg_1"), Party.NEAR, "alice")
FAR = Client(CALL, LegId("leg_2"), Party.FAR, "bob")


def call(kind=LegKind.SIP, channel="pstn", direction=Direction.OUTBOUND, near=LegKind.WEBRTC):
    """Return the record and the machine of a call with one party on each side."""
    machine = CallMachine(
        direction=direction, limits=CallLimits(30, 60, 10, exclusive=False), now=0.0
    )
    machine.handle(LegAdded(LegId("far"), kind, LegRole(Party.FAR)), 0.0)
    machine.handle(LegAdded(LegId("leg_1"), near, LegRole(Party.NEAR)), 0.0)
    parties = Parties("+15550100009", "+15550100001", "webrtc", channel)
    facts = CallFacts(
        CALL,
        LineName("demo"),
        "15550100001",
        datetime(2026, 1, 1, tzinfo=UTC),
        CallDetails(parties),
    )
    return record_of(facts, machine, now=1.0), machine, facts


def other(viewer=NEAR, **more):
    record, machine, _ = call(**more)
    return other_info(record, machine, viewer)


def test_every_state_and_every_end_has_its_word():
    assert set(STATUS) == set(State)
    assert set(REASONS) == set(EndReason)


@pytest.mark.parametrize(
    ("kind", "channel", "expected"),
    [
        (LegKind.SIP, "pstn", ParticipantKind.SIP),
        (LegKind.WHATSAPP, "whatsapp", ParticipantKind.CONNECTOR),
        (LegKind.WEBRTC, "webrtc", ParticipantKind.STANDARD),
    ],
)
def test_the_far_partys_kind_is_that_of_its_channel(kind, channel, expected):
    assert other(kind=kind, channel=channel).kind == expected


def test_the_near_side_is_an_agent_where_nobody_else_is_there():
    record, machine, _ = call()
    machine.handle(LegAdded(LegId("ai"), LegKind.AGENT, LegRole(Party.SERVICE)), 1.0)
    assert other_info(record, machine, FAR).kind == ParticipantKind.STANDARD
    machine.handle(LegEnded(LegId("leg_1"), EndReason.HANGUP), 2.0)
    machine.handle(LegConnected(LegId("ai")), 2.0)
    alone = other_info(record, machine, FAR)
    assert (alone.kind, alone.state) == (ParticipantKind.AGENT, ParticipantState.ACTIVE)


def test_the_near_side_is_an_agent_where_its_only_leg_is_a_machines():
    record, machine, _ = call()
    machine.handle(LegEnded(LegId("leg_1"), EndReason.HANGUP), 1.0)
    bot = LegRole(Party.NEAR, machine=True)
    machine.handle(LegAdded(LegId("bot"), LegKind.WEBRTC, bot), 2.0)
    assert other_info(record, machine, FAR).kind == ParticipantKind.AGENT


def test_a_party_is_named_by_its_number_which_only_the_near_side_gets_as_an_attribute():
    assert other().identity == "+15550100001"
    assert other().attributes["sip.phoneNumber"] == "+15550100001"
    assert other(FAR).identity == "+15550100009"
    assert "sip.phoneNumber" not in other(FAR).attributes


def test_two_of_one_name_are_told_apart():
    record, machine, _ = call()
    client = replace(NEAR, identity="+15550100001")
    assert other_info(record, machine, client).identity != client.identity


def test_the_other_side_is_there_before_it_answers_and_active_when_it_has():
    record, machine, facts = call()
    assert other_info(record, machine, NEAR).state == ParticipantState.JOINED
    for event in (LegAnswered(LegId("far")), LegConnected(LegId("far"))):
        machine.handle(event, 2.0)
    later = other_info(record_of(facts, machine, now=3.0), machine, NEAR)
    assert later.state == ParticipantState.ACTIVE
    assert later.attributes["sip.callStatus"] == "active"
    assert later.version > other_info(record, machine, NEAR).version


def test_a_muted_party_is_shown_so():
    record, machine, _ = call()
    assert not other_info(record, machine, NEAR).tracks[0].muted
    machine.handle(MuteRequested(True, LegId("far")), 2.0)
    assert other_info(record, machine, NEAR).tracks[0].muted


def test_a_busy_party_has_rejected_the_call():
    record, machine, _ = call()
    ended = replace(record, state=State.ENDED, reason=EndReason.BUSY)
    assert disconnect_reason(ended) == DisconnectReason.USER_REJECTED
    assert other_info(ended, machine, NEAR).state == ParticipantState.DISCONNECTED


def test_what_is_known_of_a_telephone_call_stands_in_sips_attributes_and_nothing_empty():
    record, machine, _ = call()
    found = other_info(record, machine, NEAR, trunk_host="sip.example.com").attributes
    assert found == {
        "sip.callStatus": "dialing",
        "sip.callID": CALL,
        "sip.phoneNumber": "+15550100001",
        "sip.trunkPhoneNumber": "+15550100009",
        "sip.hostname": "sip.example.com",
    }
    assert sorted(other(FAR).attributes) == ["sip.callID", "sip.callStatus"]
    assert "sip.hostname" not in other(channel="whatsapp").attributes


def connected(**more):
    """Return the facts and the machine of a call whose parties talk."""
    _, machine, facts = call(**more)
    for leg in ("leg_1", "far"):
        machine.handle(LegAnswered(LegId(leg)), 2.0)
        machine.handle(LegConnected(LegId(leg)), 2.0)
    return facts, machine


def held_by(facts, machine, viewer=NEAR, legs=()):
    record = record_of(facts, machine, now=3.0, legs=legs)
    return other_info(record, machine, viewer).attributes.get(HELD_BY)


@pytest.mark.parametrize("leg", [None, LegId("far"), LegId("leg_1")])
def test_a_hold_of_ours_is_shown_to_both_sides_and_ends(leg):
    facts, machine = connected()
    for held, expected in ((True, "near"), (False, None)):
        machine.handle(HoldRequested(held, leg), 3.0)
        assert held_by(facts, machine) == expected
        assert held_by(facts, machine, replace(FAR, leg_id=LegId("far"))) == expected


@pytest.mark.parametrize(
    ("told", "state", "expected"),
    [
        (DisconnectReason.USER_REJECTED, State.RINGING, EndReason.REJECTED),
        (DisconnectReason.USER_UNAVAILABLE, State.RINGING, EndReason.NO_ANSWER),
        (DisconnectReason.USER_REJECTED, State.ACTIVE, None),
        (DisconnectReason.MEDIA_FAILURE, State.ACTIVE, EndReason.MEDIA_TIMEOUT),
        (DisconnectReason.CLIENT_INITIATED, State.RINGING, None),
        (99, State.ACTIVE, None),
    ],
)
def test_a_client_may_say_why_it_leaves(told, state, expected):
    assert end_reason(told, state) is expected


def test_a_transfer_is_another_participant_of_whom_no_number_is_known():
    facts, machine = connected()
    before = other_info(record_of(facts, machine, now=2.0), machine, NEAR)
    new = LegId("new")
    role = LegRole(Party.FAR, replaces=True, in_place_of=LegId("far"))
    machine.handle(LegAdded(new, LegKind.SIP, role), 3.0)
    assert other_ids(machine, NEAR) == OtherIds(before.sid, before.tracks[0].sid, 0)
    for event in (LegDialled(new), LegAnswered(new), LegConnected(new)):
        machine.handle(event, 4.0)
    record = record_of(facts, machine, now=5.0)
    after, gone = other_info(record, machine, NEAR), departed(before, record)
    assert not {before.sid, before.identity, before.tracks[0].sid} & {
        after.sid,
        after.identity,
        after.tracks[0].sid,
    }
    assert (after.state, after.kind) == (ParticipantState.ACTIVE, ParticipantKind.SIP)
    assert "sip.phoneNumber" not in after.attributes
    assert (gone.sid, gone.state) == (before.sid, ParticipantState.DISCONNECTED)
    assert gone.version > before.version
    assert other_ids(machine, NEAR).line == 1
    assert other_ids(machine, FAR).arrived is None


def test_a_hold_of_the_far_party_is_shown():
    facts, machine = connected()
    statistics = LegStatistics(transport=TransportState(held=True))
    legs = (LegFigures(LegId("far"), LegKind.SIP, Party.FAR, statistics),)
    assert held_by(facts, machine, legs=legs) == "far"


def test_a_party_that_is_muted_or_held_is_not_heard():
    _, machine = connected()
    for change, back in (
        (MuteRequested(True, LegId("far")), MuteRequested(False, LegId("far"))),
        (HoldRequested(True), HoldRequested(False)),
        (HoldRequested(True, LegId("far")), HoldRequested(False, LegId("far"))),
    ):
        for event, audible in ((change, False), (back, True)):
            machine.handle(event, 3.0)
            [leg] = other_legs(machine, NEAR)
            assert is_audible(machine, leg) is audible


def test_the_room_has_the_calls_metadata_which_the_far_party_is_not_shown():
    _, _, facts = call()
    facts = replace(facts, details=replace(facts.details, metadata=b'{"order":7}'))
    assert room_of(facts, NEAR, recorded=True).metadata == '{"order":7}'
    assert room_of(facts, NEAR, recorded=True).active_recording
    assert room_of(facts, FAR, recorded=False).metadata == ""
    assert not room_of(facts, FAR, recorded=False).active_recording


def test_ids_have_the_prefixes_that_sdks_demand():
    record, machine, facts = call()
    found = other_info(record, machine, NEAR)
    assert room_of(facts, NEAR, recorded=False).sid.startswith("RM_")
    assert found.sid.startswith("PA_")
    assert found.tracks[0].sid.startswith("TR_")
    assert leg_of(client_info(record, NEAR, None).sid) == NEAR.leg_id


def test_nothing_but_the_version_changes_with_time_alone():
    record, machine, _ = call()
    later = replace(record, seconds=9.0)
    first, second = (other_info(one, machine, NEAR) for one in (record, later))
    assert first != second
    assert without_version(first) == without_version(second)
