"""Meta's webhooks: what is read, and what is left out."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import RemoteProtocolError
from bridge.wire.cloud import (
    Connected,
    Standby,
    Status,
    StatusChanged,
    Terminated,
    challenge,
    key_of,
    parse,
    signature,
    verify_signature,
)

SDP = "v=0\r\n"
CALL = {
    "id": "wacid.EXAMPLEAA==", "from": "15550102222", "to": "15550101000", "event": "connect",
    "timestamp": "1790000000", "direction": "USER_INITIATED",
    "session": {"sdp": SDP, "sdp_type": "offer"},
}  # fmt: skip
CONTACT = {"profile": {"name": "Nadia", "username": "nadia.k"}, "wa_id": "15550102222"}
ERROR = {"code": 138021, "title": "No media", "message": "x", "error_data": {"details": "silent"}}


def body(value, field="calls"):
    whole = {"metadata": {"phone_number_id": "900"}, **value}
    entry = {"id": "1", "changes": [{"field": field, "value": whole}]}
    return json.dumps({"object": "whatsapp_business_account", "entry": [entry]}).encode()


def one(value, field="calls"):
    [event] = parse(body(value, field))
    return event


def without(call, *names):
    return {name: value for name, value in call.items() if name not in names}


def test_a_call_that_rings_us_is_read_with_all_that_it_carries():
    call = CALL | {"deeplink_payload": "campaign-7", "cta_payload": "order-55"}
    event = one({"contacts": [CONTACT], "calls": [call]})
    assert isinstance(event, Connected)
    assert event.inbound
    assert (event.wacid, event.phone_number_id, event.sdp) == (CALL["id"], "900", SDP)
    assert (event.caller.number, event.caller.name) == ("15550102222", "Nadia")
    assert (event.deeplink_payload, event.cta_payload) == ("campaign-7", "order-55")
    assert event.at == 1790000000.0


@pytest.mark.parametrize(
    ("call", "contacts", "identity"),
    [
        (CALL, [], "15550102222"),
        (without(CALL, "from"), [CONTACT], "15550102222"),
        (without(CALL, "from") | {"from_user_id": "US.1"}, [], "US.1"),
        (without(CALL, "from"), [without(CONTACT, "wa_id")], "nadia.k"),
        (without(CALL, "from"), [], "unknown"),
        (without(CALL, "from"), [CONTACT, CONTACT], "unknown"),
    ],
)
def test_a_caller_is_known_by_what_there_is(call, contacts, identity):
    assert one({"contacts": contacts, "calls": [call]}).caller.identity == identity


def test_the_number_that_is_rung_is_digits_wherever_meta_says_it():
    assert one({"calls": [CALL]}).called == "15550101000"
    shown = {"phone_number_id": "900", "display_phone_number": "+1 555-010-1001"}
    assert one({"metadata": shown, "calls": [without(CALL, "to")]}).called == "15550101001"


def test_without_a_direction_who_offers_rings():
    assert one({"calls": [without(CALL, "direction")]}).inbound
    answer = without(CALL, "direction") | {"session": {"sdp": SDP, "sdp_type": "answer"}}
    assert not one({"calls": [answer]}).inbound


def test_the_older_place_of_the_description_is_read():
    older = {"webrtc": {"sdp": json.dumps({"sdp": SDP, "type": "answer"})}}
    event = one({"calls": [without(CALL, "session", "direction") | {"connection": older}]})
    assert event.sdp == SDP
    assert not event.inbound


@pytest.mark.parametrize(
    "errors",
    [
        {"inner": [ERROR], "outer": [ERROR]},
        {"inner": [], "outer": [without(ERROR, "title") | {"href": "https://example.com"}]},
    ],
)
def test_an_end_is_read_in_both_shapes_of_errors(errors):
    end = CALL | {"event": "terminate", "status": "FAILED", "start_time": "1", "duration": 20}
    event = one({"calls": [end | {"errors": errors["inner"]}], "errors": errors["outer"]})
    assert isinstance(event, Terminated)
    assert event.failed
    assert event.answered
    assert event.error_codes == (138021,)


@pytest.mark.parametrize("status", ["COMPLETED", "completed", ["Completed"], None])
def test_an_end_without_failure_is_none(status):
    event = one({"calls": [without(CALL, "session") | {"event": "terminate", "status": status}]})
    assert not event.failed
    assert not event.answered


@pytest.mark.parametrize("status", list(Status))
def test_how_far_a_call_is_is_read(status):
    item = {"id": "w", "type": "call", "status": status.lower(), "timestamp": "5"}
    assert one({"statuses": [item]}) == StatusChanged("w", "900", 5.0, status)


@pytest.mark.parametrize(
    ("value", "field"),
    [
        ({"calls": [CALL | {"event": "call_created"}]}, "calls"),
        ({"calls": [CALL | {"event": "call_recording_available"}]}, "calls"),
        ({"calls": [without(CALL, "session")]}, "calls"),
        ({"calls": [without(CALL, "id")]}, "calls"),
        ({"calls": "odd", "statuses": [1, None]}, "calls"),
        ({"statuses": [{"id": "w", "status": "delivered", "type": "message"}]}, "calls"),
        ({"statuses": [{"id": "w", "status": "delivered"}]}, "messages"),
        ({"messages": [{"type": "text", "text": {"body": "hello"}}]}, "messages"),
        ({"calls": [CALL]}, "account_update"),
        ({"calls": [CALL]}, "messaging_handovers"),
    ],
)
def test_what_concerns_no_call_is_left_out(value, field):
    assert parse(body(value, field)) == []


def test_an_end_says_who_placed_the_call():
    end = without(CALL, "session") | {"event": "terminate"}
    assert not one({"calls": [end]}).outbound
    assert one({"calls": [end | {"direction": "BUSINESS_INITIATED"}]}).outbound


def test_what_another_partner_handles_is_known_as_that_and_does_nothing_else():
    [told] = parse(body({"calls": [CALL], "messages": [{"id": "wamid.1"}]}, "standby"))
    assert isinstance(told, Standby)
    assert told.phone_number_id == "900"
    [again] = parse(body({"calls": [CALL], "messages": [{"id": "wamid.1"}]}, "standby"))
    [other] = parse(body({"calls": [CALL | {"event": "terminate"}]}, "standby"))
    assert key_of(told) == key_of(again) != key_of(other)


def test_many_events_come_at_once():
    assert (
        len(parse(body({"calls": [CALL, CALL | {"id": "b"}, CALL | {"event": "terminate"}]}))) == 3
    )


@pytest.mark.parametrize("raw", [b"", b"[]", b"{", b"\xff", b"[" * 100_000])
def test_what_is_no_json_object_is_an_error(raw):
    with pytest.raises(RemoteProtocolError):
        parse(raw)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from([*CALL, "errors"]), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from([*CALL, "errors", "status", "connection"]), JSON), JSON)
def test_no_value_of_any_field_is_too_odd(fields, contacts):
    for event in ("connect", "terminate"):
        call = CALL | fields | {"event": event}
        for found in parse(body({"calls": [call], "contacts": contacts, "errors": contacts})):
            key_of(found)


def test_the_same_event_has_the_same_key_and_others_do_not():
    connect, again = one({"calls": [CALL]}), one({"calls": [CALL | {"timestamp": "9"}]})
    end = one({"calls": [CALL | {"event": "terminate"}]})
    assert key_of(connect) == key_of(again)
    assert key_of(connect) != key_of(end)


def test_a_signature_is_over_the_body_exactly_as_it_came():
    raw = b'{"name":"\\u00fc"}'
    header = signature(raw, "secret")
    assert verify_signature(raw, header, "secret")
    assert not verify_signature('{"name":"ü"}'.encode(), header, "secret")
    assert not verify_signature(raw, header, "other")
    assert not verify_signature(raw, "", "secret")
    assert not verify_signature(raw, "sha256=ü", "secret")


def test_the_challenge_is_returned_to_who_knows_the_token():
    query = {"hub.mode": "subscribe", "hub.challenge": "1158201444", "hub.verify_token": "t"}
    assert challenge(query, "t") == "1158201444"
    assert challenge(query, "other") is None
    assert challenge(query | {"hub.mode": "x"}, "t") is None
    assert challenge({}, "t") is None
