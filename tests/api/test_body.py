"""Tests of how the fields of a request are read."""

import pytest

from bridge.api.body import Body
from bridge.errors import InvalidRequest


def refusal(read, *arguments):
    with pytest.raises(InvalidRequest) as refused:
        read(*arguments)
    return refused.value.field


@pytest.mark.parametrize("spelling", ["callId", "callID", "CallID", "call_id"])
def test_a_call_id_is_read_in_any_spelling(spelling):
    assert Body({spelling: "00AB"}).call_id() == "00AB"


@pytest.mark.parametrize("spelling", ["legID", "legId", "LegID", "leg_id"])
def test_a_leg_id_is_read_in_any_spelling(spelling):
    assert Body({spelling: "leg_1"}).leg_id() == "leg_1"


@pytest.mark.parametrize("fields", [{}, {"legID": None}, {"legID": ""}])
def test_a_leg_id_may_be_left_out(fields):
    assert Body(fields).leg_id() is None


@pytest.mark.parametrize("fields", [{}, {"callId": None}, {"callId": ""}])
def test_a_missing_field_is_named_as_the_documents_name_it(fields):
    assert refusal(Body(fields).call_id) == "callId"


@pytest.mark.parametrize("wrong", [3, True, ["00AB"], {"id": "00AB"}])
def test_a_field_of_the_wrong_type_is_named_as_it_was_sent(wrong):
    assert refusal(Body({"CallID": wrong}).call_id) == "CallID"


@pytest.mark.parametrize("value", [True, False])
def test_a_flag_is_true_or_false(value):
    assert Body({"muted": value}).flag("muted") is value


@pytest.mark.parametrize("fields", [{}, {"muted": None}, {"muted": "true"}, {"muted": 1}])
def test_a_flag_is_nothing_else(fields):
    assert refusal(Body(fields).flag, "muted") == "muted"


@pytest.mark.parametrize(
    "number",
    ["15550100001", "+15550100001", " 15550100001 ", "15550100001@s.whatsapp.net", 15550100001],
)
def test_a_number_may_have_a_plus_be_a_jid_or_a_json_number(number):
    assert Body({"Phone": number}).phone("phone", "Phone") == "15550100001"


@pytest.mark.parametrize(
    "number", ["", "12345", "0555010001", "1" * 16, "+1 555 010", "a15550100001", True, 1.5]
)
def test_what_is_no_number_is_refused(number):
    assert refusal(Body({"phone": number}).phone, "phone") == "phone"


def test_digits_become_upper_case():
    assert Body({"digits": "12*#abCD"}).dtmf() == "12*#ABCD"


@pytest.mark.parametrize("digits", ["", "12x", "E", "1" * 65, "1 2"])
def test_what_are_no_digits_is_refused(digits):
    assert refusal(Body({"digits": digits}).dtmf) == "digits"
