"""What the key of a recording says of its file, and what several files hold."""

from datetime import date

import pytest

from bridge.call.model import CallId, LineName
from bridge.call.recording import Recording, Written, key_stem


def recording(key, kind="mixed"):
    return Recording(
        recording_id="rec_1",
        call_id=CallId("call"),
        line=LineName("line"),
        kind=kind,
        key=key,
        status="completed",
        started_at="",
        ended_at=None,
        seconds=1.2345,
        size_bytes=0,
        expires_at="",
    )


@pytest.mark.parametrize(
    ("key", "form", "content_type"),
    [
        ("recordings/a.wav", "wav", "audio/wav"),
        ("recordings/a.ogg", "ogg", "audio/ogg"),
        ("recordings/a.mp4", "wav", "audio/wav"),
        ("files/a.ogg", "wav", "audio/wav"),
        ("files/a", "wav", "audio/wav"),
    ],
)
def test_the_suffix_says_the_format_unless_a_caller_chose_the_path(key, form, content_type):
    found = recording(key)
    assert (found.file_format, found.content_type) == (form, content_type)


def test_a_mix_of_packets_is_made_of_both_sides():
    assert recording("recordings/a.mixed.wav").mixed_from == ()
    assert recording("recordings/a.outbound.ogg", "outbound").mixed_from == ()
    assert recording("recordings/a.mixed.ogg").mixed_from == (
        "recordings/a.mixed.inbound.ogg",
        "recordings/a.mixed.outbound.ogg",
    )


@pytest.mark.parametrize(
    ("kind", "stem"), [("inbound", "A"), ("outbound", "A.outbound"), ("mixed", "A.mixed")]
)
def test_a_key_has_the_day_the_call_and_the_kind(kind, stem):
    assert key_stem(date(2026, 1, 2), "A", kind) == f"recordings/2026/01/02/{stem}"


def test_files_that_began_together_are_as_long_as_the_longest():
    assert Written.sum([Written(10, 1.0), Written(20, 3.0)]) == Written(30, 3.0)
    assert Written.sum([]) == Written()
