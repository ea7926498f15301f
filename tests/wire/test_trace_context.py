import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.wire.trace_context import NONE, TraceContext, read, traceparent

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.mark.parametrize(
    ("sent", "flags"),
    [
        (f"00-{TRACE}-{SPAN}-01", "01"),
        (f"00-{TRACE}-{SPAN}-00", "00"),
        (f"00-{TRACE}-{SPAN}-ff", "01"),
        (f"01-{TRACE}-{SPAN}-01", "01"),
        (f"01-{TRACE}-{SPAN}-01-what-comes-later", "01"),
        (f"  00-{TRACE}-{SPAN}-01 ", "01"),
    ],
)
def test_a_context_is_read_whatever_its_version_and_flags_are(sent, flags):
    found = read(sent)
    assert found == TraceContext(f"00-{TRACE}-{SPAN}-{flags}")
    assert (found.trace_id, found.span_id) == (int(TRACE, 16), int(SPAN, 16))


@pytest.mark.parametrize(
    "sent",
    [
        "",
        "nonsense",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-1",
        f"01-{TRACE}-{SPAN}-01-{'x' * 300}",
        f"00-{TRACE}-{SPAN}-01\r\nx: y",
        f"00-{'٣' * 32}-{SPAN}-01",
    ],
)
def test_a_malformed_context_is_none(sent):
    assert read(sent, "a=b") == NONE


@pytest.mark.full
@given(st.text(max_size=80))
def test_no_text_raises(text):
    found = read(text, text)
    assert found == NONE or found.trace_id


@pytest.mark.parametrize(
    ("state", "kept"),
    [
        ("a=1,b@vendor=2", "a=1,b@vendor=2"),
        (" a=1 , , b=2 ", "a=1,b=2"),
        ("a=1\r\nx: y", ""),
        ("A=1", ""),
        ("a", ""),
        ("a=" + "x" * 300, ""),
        (",".join(f"k{n}=v" for n in range(33)), ""),
        (",".join(f"k{n}={'v' * 100}" for n in range(6)), ""),
    ],
)
def test_a_state_that_is_malformed_or_too_long_is_dropped_alone(state, kept):
    found = read(f"00-{TRACE}-{SPAN}-01", state)
    assert found.trace_id == int(TRACE, 16)
    assert found.tracestate == kept


def test_no_context_has_no_ids_and_no_headers():
    assert (NONE.trace_id, NONE.span_id, NONE.headers()) == (0, 0, {})


def test_what_is_written_is_read_again():
    written = traceparent(int(TRACE, 16), 7)
    assert read(written).headers() == {"traceparent": f"00-{TRACE}-{7:016x}-01"}
