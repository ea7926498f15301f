"""Webhooks about Meta's recordings and transcripts, and its form of transcripts."""

import json

import pytest

from bridge.errors import RemoteProtocolError
from bridge.wire.cloud import parse
from bridge.wire.cloud_recordings import MAX_SEGMENTS, MediaAvailable, MediaKind, read_transcript
from tests.support.whatsapp.graph_webhooks import NUMBER_ID, change

SHA256 = 43 * "A" + "="


def told(event, outer, inner, **changed):
    file = {"id": "1002", "sha256": SHA256, "url": "https://lookaside.fbsbx.com/?mid=1"} | changed
    call = {"id": "wacid.A", "event": event, outer: {"type": inner, inner: file}}
    entry = {"id": "1", "changes": [change({"calls": [call]})]}
    return parse(json.dumps({"entry": [entry]}).encode())


def test_a_recording_and_a_transcript_are_read():
    url = "https://lookaside.fbsbx.com/?mid=1"
    for event, outer, inner, kind in (
        ("call_recording_available", "call_recording", "audio", MediaKind.RECORDING),
        ("call_transcription_available", "call_transcript", "document", MediaKind.TRANSCRIPT),
    ):
        expected = MediaAvailable("wacid.A", NUMBER_ID, kind, "1002", SHA256, url)
        assert told(event, outer, inner) == [expected]


@pytest.mark.parametrize(
    "changed", [{"id": "../me"}, {"id": ""}, {"id": "1/2"}, {"sha256": "abc"}, {"id": "1" * 200}]
)
def test_what_cannot_be_downloaded_is_left_out(changed):
    assert told("call_recording_available", "call_recording", "audio", **changed) == []


def test_an_address_that_is_too_long_is_left_out():
    [event] = told(
        "call_recording_available", "call_recording", "audio", url="https://" + "a" * 3000
    )
    assert event.url == ""


def test_a_transcript_has_both_sides_with_their_words():
    business, customer = read_transcript(
        json.dumps({"transcript": {"language": "en", "segments": [
            {"speaker": "Business", "channel": 0, "start": 0.5, "end": 1, "text": " Hello "},
            {"channel": 1, "start": -1, "end": "2", "text": "Hi", "lang": "de",
             "words": [{"word": "Hi", "start": 0.1, "end": 2.0}, 7]},
        ]}}).encode()
    )  # fmt: skip
    assert (business.customer, business.text, business.language) == (False, "Hello", "en")
    assert (customer.customer, customer.start, customer.end) == (True, 0.0, 2.0)
    assert [word.text for word in customer.words] == ["Hi"]
    assert customer.language == "de"


@pytest.mark.parametrize(
    "document", [b"", b"[]", b"{", b"[" * 100_000, b'{"transcript": {"text": "\xff"}}']
)
def test_what_is_no_transcript_is_refused(document):
    with pytest.raises(RemoteProtocolError):
        read_transcript(document)


@pytest.mark.parametrize(
    "document", [b"{}", b'{"transcript": 1}', b'{"transcript": {"segments": {"a": 1}}}']
)
def test_a_transcript_without_segments_is_empty(document):
    assert read_transcript(document) == ()


def test_a_transcript_has_a_limit():
    segments = ",".join(["{}"] * (MAX_SEGMENTS + 5))
    document = b'{"transcript": {"segments": [%b]}}' % segments.encode()
    assert len(read_transcript(document)) == MAX_SEGMENTS
