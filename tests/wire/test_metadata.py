import msgspec
import pytest

from bridge.wire.metadata import NOTHING, field, pack, raw


def test_metadata_is_embedded_unchanged():
    sent = msgspec.json.encode({"metadata": raw(pack({"order": [7, {"é": None}]}))})
    assert msgspec.json.decode(sent) == {"metadata": {"order": [7, {"é": None}]}}


def test_no_metadata_is_an_empty_object():
    assert pack({}) == b""
    assert raw(b"") is NOTHING
    assert msgspec.json.encode([raw(b"")]) == b"[{}]"


@pytest.mark.parametrize(
    ("fields", "found"), [({}, ""), ({"a": "é"}, "é"), ({"a": 1}, ""), ({"b": "x"}, "")]
)
def test_one_field_is_read_if_it_is_a_string(fields, found):
    assert field(pack(fields), "a") == found
