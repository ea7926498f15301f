"""The forms of a call id."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.wire import call_id

NATIVE = "00A1B2C3D4E5F60718293A4B5C6D7E8F"
IDS = st.binary(min_size=16, max_size=16).map(lambda raw: raw.hex().upper())


@given(IDS)
def test_every_form_leads_back_to_the_native_id(native):
    forms = [
        native,
        call_id.chirp(native),
        call_id.chirp(native, test=True),
        call_id.wavix(native),
        call_id.twilio(native),
        call_id.room(native),
        call_id.chirp_voicemail(native),
        call_id.chirp_voicemail(native, test=True),
    ]
    assert [call_id.native(form) for form in forms] == [native] * len(forms)


@given(IDS)
def test_each_form_looks_as_its_vendor_writes_it(native):
    assert re.fullmatch(r"call_[0-9A-Za-z]{27}", call_id.chirp(native))
    assert re.fullmatch(r"call_test_[0-9A-Za-z]{27}", call_id.chirp(native, test=True))
    assert re.fullmatch(r"call_vm_[0-9A-Za-z]{27}", call_id.chirp_voicemail(native))
    assert re.fullmatch(r"room_[0-9A-Za-z]{27}", call_id.room(native))
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", call_id.wavix(native))
    assert re.fullmatch(r"CA[0-9a-f]{32}", call_id.twilio(native))


@given(IDS, IDS)
def test_two_calls_never_share_an_id(one, other):
    assert (call_id.chirp(one) == call_id.chirp(other)) is (one == other)
    assert (call_id.wavix(one) == call_id.wavix(other)) is (one == other)


def test_the_case_of_hexadecimal_digits_does_not_matter():
    assert call_id.native(NATIVE.lower()) == NATIVE
    assert call_id.native(call_id.wavix(NATIVE).upper()) == NATIVE


def test_the_forms_of_one_id_are_known_by_heart():
    assert call_id.wavix(NATIVE) == "00a1b2c3-d4e5-f607-1829-3a4b5c6d7e8f"
    assert call_id.chirp("0" * 32) == "call_" + "0" * 27
    assert call_id.chirp("0" * 30 + "3D") == "call_" + "0" * 26 + "z"
    assert call_id.chirp("0" * 30 + "3E") == "call_" + "0" * 25 + "10"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "call_",
        NATIVE[:-1],
        NATIVE + "0",
        NATIVE + "\n",
        "call_" + "0" * 26,
        "call_" + "0" * 28,
        "call_" + "0" * 26 + "-",
        "call_" + "z" * 27,
        "CA" + NATIVE[:-1],
        "ca" + NATIVE,
        "CA" + call_id.wavix(NATIVE),
        "live_" + "0" * 27,
        "CALL_" + "0" * 27,
        "00a1b2c3d4e5-f607-1829-3a4b5c6d7e8f-",
        "\u0660" * 32,
    ],
)
def test_what_is_no_call_id_has_no_native_form(text):
    assert call_id.native(text) is None


@given(st.text())
def test_any_text_is_an_id_or_none(text):
    found = call_id.native(text)
    assert found is None or re.fullmatch("[0-9A-F]{32}", found)
