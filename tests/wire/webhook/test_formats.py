"""What receivers are sent, in each vendor's words."""

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs

import msgspec
import pytest

from bridge.wire.call_event import CallEvent, CallSnapshot
from bridge.wire.webhook import zuckzapgo
from bridge.wire.webhook.formats import Format, Receiver, Style, native, render, signed, wants

AT = datetime(2026, 1, 2, 3, 4, 5, 678000, UTC)
CALL = CallSnapshot(
    id="00" + "AB" * 15,
    direction="outbound",
    state="active",
    peer="15550100001",
    started_at=AT,
    to="+15550100001",
    from_="+15550109000",
    from_channel="whatsapp",
    to_channel="whatsapp",
    metadata=msgspec.Raw(b'{"order":7}'),
    tag="spring",
)
LATER = AT + timedelta(seconds=62)


PROBLEM = {
    "code": "far_silent",
    "hop": "provider.far",
    "legID": "leg_1",
    "severity": "broken",
    "summary": "The far party sends silence.",
    "fix": "Ask it to unmute.",
}


def event(kind, call=CALL, data=None, **changes):
    call = msgspec.structs.replace(call, **changes) if call else None
    return CallEvent(id="evt_1", type=kind, line="sales", at=AT, call=call, data=data or {})


def over(reason, *, answered=True, **changes):
    moments = {"answered_at": AT + timedelta(seconds=2) if answered else None, "ended_at": LATER}
    sent = moments | {"state": "ended", "reason": reason} | changes
    return event("call.ended", data={"reason": reason}, **sent)


def body_of(event, style, **receiver):
    delivery = render(event, Receiver(style, **receiver))
    return None if delivery is None else msgspec.json.decode(delivery.body)


# Ours


def test_a_telephone_is_no_user_of_whatsapp():
    call = msgspec.structs.replace(CALL, peer="4930123456", to_channel="pstn")
    body = body_of(msgspec.structs.replace(over("hangup"), call=call), Style.NATIVE)
    assert body["call"]["peer"] == "4930123456"


def test_our_own_form_holds_the_event_the_call_and_the_data():
    body = body_of(over("hangup"), Style.NATIVE)
    assert body["id"] == "evt_1"
    assert body["type"] == "call.ended"
    assert body["createdAt"] == "2026-01-02T03:04:05.678Z"
    assert body["callId"] == CALL.id
    assert body["call"]["peer"] == "15550100001@s.whatsapp.net"
    assert body["call"]["endReason"] == "hangup"
    assert body["call"]["endedAt"] == "2026-01-02T03:05:07.678Z"
    assert body["call"]["metadata"] == {"order": 7}
    assert body["call"]["tag"] == "spring"
    assert body["data"] == {"reason": "hangup"}


def test_what_happened_to_no_call_names_none():
    assert native(event("line.connected", call=None)) == {
        "id": "evt_1",
        "type": "line.connected",
        "createdAt": "2026-01-02T03:04:05.678Z",
        "data": {},
    }


# WADial


def test_wadials_event_is_as_its_guide_shows():
    delivery = render(over("no_answer"), Receiver(Style.WADIAL))
    assert delivery is not None
    body = msgspec.json.decode(delivery.body)
    assert body.keys() == {"id", "type", "createdAt", "sessionId", "data"}
    assert (body["sessionId"], body["type"]) == ("sales", "call.ended")
    assert body["data"]["callId"] == CALL.id
    assert body["data"]["direction"] == "outgoing"
    assert body["data"]["state"] == "ended"
    assert body["data"]["reason"] == "no_answer"
    assert delivery.headers == {"wadial-event-id": "evt_1", "wadial-event-type": "call.ended"}


def test_wadials_recording_event_has_its_documented_name():
    data = {"recordingId": "r1", "kind": "mixed", "durationMs": 120000}
    body = body_of(event("recording.ready", data=data), Style.WADIAL)
    assert body["type"] == "call.recording.ready"
    assert body["data"] == {"callId": CALL.id, **data}


# Chirp


@pytest.mark.parametrize(
    ("event", "name"),
    [
        (event("call.initiated"), "calls.initiated"),
        (event("call.ringing"), "calls.ringing"),
        (event("call.answered"), "calls.answered"),
        (over("hangup"), "calls.completed"),
        (over("remote_hangup"), "calls.completed"),
        (over("no_answer", answered=False), "calls.no_answer"),
        (over("busy", answered=False), "calls.failed"),
        (over("node_lost"), "calls.completed"),
        (over("node_lost", answered=False), "calls.failed"),
        (event("leg.joined", data={"kind": "webrtc"}), "calls.participant.joined"),
        (event("leg.left", data={"kind": "whatsapp"}), "calls.participant.left"),
        (event("recording.ready"), "calls.recording.completed"),
        (event("recording.copied", data={"askedFor": True}), "calls.recording.completed"),
        (event("voicemail.received"), "calls.voicemail.received"),
        (event("voicemail.transcribed"), "calls.voicemail.transcribed"),
    ],
)
def test_chirps_events_have_its_names(event, name):
    assert body_of(event, Style.CHIRP)["event"] == name


def test_chirp_hears_nothing_of_what_it_has_no_name_for():
    assert body_of(event("leg.silent"), Style.CHIRP) is None
    assert body_of(event("line.connected", call=None), Style.CHIRP) is None
    assert body_of(event("recording.ready", data={"format": "mp4"}), Style.CHIRP) is None
    assert body_of(event("recording.copied", data={"askedFor": False}), Style.CHIRP) is None


def test_chirps_event_ids_follow_its_pattern_and_stay_apart():
    ringing = body_of(event("call.ringing"), Style.CHIRP)
    identity = ringing["data"]["call"]["id"]
    assert ringing["eventId"] == f"evt_{identity}_calls.ringing"
    joined = body_of(event("leg.joined", data={"kind": "webrtc"}), Style.CHIRP)
    assert joined["eventId"] == f"evt_{identity}_calls.participant.joined_evt_1"


def test_chirps_voicemail_is_the_one_of_its_api():
    data = {
        "voicemailId": CALL.id,
        "recordingId": "rec_1",
        "callerNumber": "+15550100001",
        "callerChannel": "whatsapp",
        "durationMs": 12_600,
        "isRead": False,
        "transcription": None,
        "createdAt": "2026-01-15T10:35:00.000Z",
        "expiresAt": "2026-02-14T10:35:00.000Z",
        "reason": "silence",
    }
    body = body_of(event("voicemail.received", data=data), Style.CHIRP)
    identity = body["data"]["call"]["id"]
    assert body["eventId"] == f"evt_{identity}_calls.voicemail.received"
    assert body["data"]["voicemail"] == {
        "id": identity.replace("call_", "call_vm_"),
        "callId": identity,
        "callerNumber": "+15550100001",
        "callerChannel": "whatsapp",
        "duration": 13,
        "isRead": False,
        "transcription": None,
        "recordingId": "rec_1",
        "createdAt": "2026-01-15T10:35:00.000Z",
        "fileUrl": None,
    }


def test_chirps_call_has_both_parties():
    call = body_of(event("call.ringing"), Style.CHIRP)["data"]["call"]
    assert (call["from"], call["to"]) == ("+15550109000", "+15550100001")
    assert (call["fromChannel"], call["toChannel"]) == ("whatsapp", "whatsapp")
    assert call["livekitRoomName"] is None
    assert call["metadata"] == {"order": 7}


def test_chirps_call_with_a_browser_has_a_room():
    call = body_of(event("call.ringing", browser=True), Style.CHIRP)["data"]["call"]
    assert call["livekitRoomName"].startswith("room_")


def test_a_test_keys_endpoint_is_sent_test_ids():
    call = body_of(event("call.ringing"), Style.CHIRP, test=True)["data"]["call"]
    assert call["id"].startswith("call_test_")


# ZuckZapGo and WaGo


@pytest.mark.parametrize(
    ("event", "name"),
    [
        (event("call.ringing", direction="inbound"), "v1.call.offer"),
        (event("call.initiated", direction="inbound"), "v1.call.offer_notice"),
        (event("call.latency", direction="inbound"), "v1.call.relay_latency"),
        (event("call.ringing"), "v1.call.preaccept"),
        (event("call.answered"), "v1.call.accept"),
        (event("call.active"), "v1.call.transport"),
        (over("hangup"), "v1.call.terminate"),
        (over("rejected", answered=False), "v1.call.reject"),
        (over("busy", answered=False), "v1.call.reject"),
        (event("transcript"), "v1.call.transcript"),
    ],
)
def test_zuckzapgos_events_have_its_names(event, name):
    assert body_of(event, Style.ZUCKZAPGO)["type"] == name


def test_an_outbound_call_is_no_offer():
    names = [body_of(event(kind), Style.ZUCKZAPGO) for kind in ("call.initiated", "call.ringing")]
    assert [body["type"] for body in names] == ["v1.call.unknown", "v1.call.preaccept"]


BEGINS = [event(kind, direction="inbound") for kind in ("call.initiated", "call.ringing")]


@pytest.mark.parametrize("filters", [(), ["Call"], ["v1.call.*"], list(zuckzapgo.ALL)])
def test_an_inbound_call_rings_once(filters):
    assert [wants(filters, Style.ZUCKZAPGO, one) for one in BEGINS] == [False, True]


def test_who_names_only_the_notice_of_an_offer_gets_that():
    filters = ["v1.call.offer_notice", "v1.call.terminate"]
    assert [wants(filters, Style.WAGO, one) for one in BEGINS] == [True, False]


def test_who_names_unknown_events_gets_those_that_have_no_other_name():
    assert body_of(event("call.held"), Style.ZUCKZAPGO)["type"] == "v1.call.unknown"
    assert wants(["v1.call.unknown"], Style.ZUCKZAPGO, event("call.held"))
    assert not wants(["v1.call.unknown"], Style.ZUCKZAPGO, event("call.answered"))
    assert not wants(["Call"], Style.ZUCKZAPGO, event("call.held"))


@pytest.mark.parametrize("kind", ["call.problem", "call.problem_cleared"])
def test_zuckzapgo_and_wago_are_sent_problems_in_their_style(kind):
    problem, name = event(kind, data=PROBLEM), f"v1.{kind}"
    body = body_of(problem, Style.ZUCKZAPGO)
    assert (body["type"], body["event"]["data"]) == (name, PROBLEM)
    sent = render(problem, Receiver(Style.WAGO))
    assert sent is not None
    assert msgspec.json.decode(sent.body)["event"]["Type"] == name


def test_wadial_is_sent_problems_beside_the_call():
    body = body_of(event("call.problem", data=PROBLEM), Style.WADIAL)
    assert body["type"] == "call.problem"
    assert body["data"].items() >= (PROBLEM | {"callId": CALL.id}).items()


@pytest.mark.parametrize("style", [Style.CHIRP, Style.WAVIX_POST_CALL])
def test_who_has_no_event_for_problems_is_sent_none(style):
    assert body_of(event("call.problem", data=PROBLEM), style) is None


@pytest.mark.parametrize("style", [Style.ZUCKZAPGO, Style.WAGO, Style.WADIAL, Style.WAVIX])
@pytest.mark.parametrize("wanted", ["All", "Call"])
def test_who_subscribes_to_all_calls_gets_their_problems(style, wanted):
    assert wants([wanted], style, event("call.problem", data=PROBLEM))


def test_zuckzapgos_fields_are_beside_and_under_v1():
    body = body_of(over("hangup"), Style.ZUCKZAPGO)
    assert body["event"]["callId"] == body["v1"]["callId"] == CALL.id
    assert body["event"]["reason"] == "hangup"
    assert body["v1"]["id"] == "evt_1"


def test_wago_gets_a_form_with_its_token_and_json():
    delivery = render(
        event("call.ringing", direction="inbound"), Receiver(Style.WAGO, Format.FORM, "key")
    )
    assert delivery is not None
    assert delivery.content_type == "application/x-www-form-urlencoded"
    fields = parse_qs(delivery.body.decode(), strict_parsing=True)
    assert fields["token"] == ["key"]
    body = msgspec.json.decode(fields["jsonData"][0])
    assert (body["type"], body["event"]["Type"]) == ("Call", "v1.call.offer")
    assert body["event"]["CallID"] == CALL.id


# Wavix


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        (event("call.initiated"), "call_setup"),
        (event("call.ringing"), "ringing"),
        (event("call.answered"), "answered"),
        (over("hangup"), "completed"),
        (over("busy", answered=False), "busy"),
        (over("canceled", answered=False), "cancelled"),
        (over("rejected", answered=False), "rejected"),
        (over("no_answer", answered=False), "completed"),
    ],
)
def test_wavixs_callbacks_have_its_event_types(event, kind):
    assert body_of(event, Style.WAVIX)["event_type"] == kind


def test_wavix_is_sent_the_whole_call_object():
    body = body_of(over("hangup"), Style.WAVIX)
    assert body["uuid"] == body["id"] == "00ababab-abab-abab-abab-abababababab"
    assert (body["from"], body["to"]) == ("+15550109000", "+15550100001")
    assert body["call_started"] == "2026-01-02T03:04:05.678Z"
    assert body["call_completed"] == "2026-01-02T03:05:07.678Z"
    assert body["tag"] == "spring"
    assert body["event_payload"] is None


def test_wavix_is_sent_playback_during_a_call():
    body = body_of(event("playback.completed", data={"playbackId": "p1"}), Style.WAVIX)
    assert body["event_type"] == "on_call_event"
    assert body["event_payload"] == {
        "type": "audio",
        "payload": {"status": "completed", "playback_id": "p1"},
    }


@pytest.mark.parametrize(
    ("kind", "status"), [("call.problem", "started"), ("call.problem_cleared", "completed")]
)
def test_wavix_is_sent_problems_during_a_call(kind, status):
    body = body_of(event(kind, data=PROBLEM), Style.WAVIX)
    assert (body["event_type"], body["event_payload"]["type"]) == ("on_call_event", "problem")
    shown = {key: value for key, value in PROBLEM.items() if key != "legID"}
    assert body["event_payload"]["payload"] == {"status": status} | shown


def test_wavix_is_sent_a_report_after_a_call():
    body = body_of(over("hangup"), Style.WAVIX_POST_CALL)
    assert (body["disposition"], body["duration"]) == ("answered", 60)
    assert body_of(over("no_answer", answered=False), Style.WAVIX_POST_CALL)["disposition"] == (
        "noanswer"
    )
    assert body_of(event("call.ringing"), Style.WAVIX_POST_CALL) is None


# Filters and signatures


@pytest.mark.parametrize(
    ("filters", "wanted"),
    [
        ([], True),
        (["All"], True),
        (["Call"], True),
        (["calls.completed"], True),
        (["calls.*"], True),
        (["call.ended"], True),
        (["calls.failed"], False),
        (["messages.*"], False),
    ],
)
def test_a_filter_knows_the_vendors_names_and_ours(filters, wanted):
    assert wants(filters, Style.CHIRP, over("hangup")) is wanted


def test_no_filter_wants_what_the_vendor_has_no_name_for():
    assert not wants(["*"], Style.CHIRP, event("leg.silent"))


@pytest.mark.parametrize("style", list(Style))
def test_every_style_is_signed_twice_and_the_id_stays(style):
    sent = event("transcript.ready") if style is Style.WAVIX_TRANSCRIPTION else over("hangup")
    delivery = render(sent, Receiver(style))
    assert delivery is not None
    headers = signed(delivery, style, secret="whsec_AAAA", identity="evt_1", now=5)
    own = "wadial-signature" if style is Style.WADIAL else "bridge-signature"
    assert headers[own].startswith("t=5,v1=")
    assert headers["webhook-signature"].startswith("v1,")
    assert headers["webhook-id"] == "evt_1"


def test_without_a_secret_there_is_no_signature_but_an_id():
    delivery = render(over("hangup"), Receiver(Style.WAVIX))
    assert delivery is not None
    assert signed(delivery, Style.WAVIX, secret="", identity="evt_1", now=5) == {
        "Content-Type": "application/json",
        "webhook-id": "evt_1",
    }
