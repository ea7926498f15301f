"""Structs read from bodies and queries: spellings, null, and errors that name the field."""

from typing import Annotated

import pytest
from msgspec import UNSET, Struct, UnsetType
from multidict import MultiDict

from bridge.api.server.fields import CallId, Digits, LegId, Peer, Phone, WrongFields, field, read
from bridge.errors import Forbidden, InvalidRequest
from bridge.wire.call_id import chirp, wavix


class Inner(Struct):
    text: str


class Taken(Struct, rename="camel"):
    call_id: CallId
    flag: Annotated[bool, field(spellings=("Flag",))] | None = None
    times: Annotated[int, field(ge=1, le=5)] = 1
    clears: str | UnsetType | None = UNSET
    inner: Inner | None = None


class Numbers(Struct):
    phone: Phone | None = None
    digits: Digits | None = None


class Called(Struct):
    peer: Annotated[Peer, field(spellings=("Phone",))] | None = None


class Query(Struct):
    limit: Annotated[int, field(ge=1, le=100)] = 20
    numbers: Annotated[list[str], field(spellings=("numbers[]",), max_length=3)] | None = None


class Leg(Struct, rename={"leg_id": "legID"}):
    leg_id: LegId | None = None


class Tag(Struct):
    tag: Annotated[str, field(min_length=0, max_length=4)]


ID = "0123456789ABCDEF0123456789ABCDEF"


@pytest.mark.parametrize("name", ["callId", "callID", "CallID", "call_id"])
def test_a_field_is_read_under_each_of_its_spellings(name):
    assert read(Taken, {name: ID}).call_id == ID


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({}, "callId"),
        ({"callID": ""}, "callID"),
        ({"CallID": 1}, "CallID"),
        ({"callId": ID, "Flag": "yes"}, "Flag"),
        ({"callId": ID, "times": 6}, "times"),
        ({"callId": ID, "times": True}, "times"),
        ({"callId": ID, "inner": {}}, "text"),
        ({"callId": ID, "inner": []}, "inner"),
    ],
)
def test_an_error_names_the_field_as_it_was_spelled(given, named):
    with pytest.raises(InvalidRequest) as caught:
        read(Taken, given)
    assert caught.value.field == named
    assert named in str(caught.value)


def test_null_counts_as_missing_except_where_it_clears():
    taken = read(Taken, {"callId": ID, "times": None, "Flag": None, "clears": None})
    assert (taken.times, taken.flag, taken.clears) == (1, None, None)
    assert read(Taken, {"callId": ID}).clears is UNSET


def test_a_query_holds_numbers_as_text():
    assert read(Query, {"limit": "5"}, strict=False).limit == 5
    for wrong in ("x", "", "1e1", " 5", "٣", "9" * 400):
        with pytest.raises(InvalidRequest, match="limit: expected a whole number from 1 to 100"):
            read(Query, {"limit": wrong}, strict=False)


def test_a_query_holds_a_list_as_several_values():
    query = MultiDict({"numbers": "1"})
    query.extend({"numbers[]": "2"})
    query.add("numbers[]", "3")
    assert read(Query, query, strict=False).numbers == ["1", "2", "3"]
    assert read(Query, MultiDict(), strict=False).numbers is None
    query.add("numbers", "4")
    with pytest.raises(InvalidRequest, match="numbers: expected a list of at most 3 words"):
        read(Query, query, strict=False)


def test_all_wrong_fields_are_reported_where_that_is_wanted():
    with pytest.raises(WrongFields) as caught:
        read(Taken, {"Flag": "yes", "times": 6, "clears": "x"}, every=True)
    assert list(caught.value.errors) == ["callId", "Flag", "times"]


def test_a_required_string_may_be_empty_where_its_field_says_so():
    assert read(Tag, {"tag": ""}).tag == ""
    with pytest.raises(InvalidRequest, match="missing tag in payload"):
        read(Tag, {})


@pytest.mark.parametrize("form", [ID, chirp(ID), chirp(ID, test=True), wavix(ID)])
def test_a_call_id_is_read_in_every_form(form):
    assert read(Taken, {"callId": form}).call_id == ID


def test_a_null_does_not_hide_another_spelling():
    assert read(Taken, {"callId": None, "call_id": ID}).call_id == ID


@pytest.mark.parametrize("name", ["legID", "legId", "LegID", "leg_id"])
def test_a_leg_id_is_read_in_every_spelling(name):
    assert read(Leg, {name: "leg_1"}).leg_id == "leg_1"


@pytest.mark.parametrize(
    "sent",
    ["abc", "012345678", "12345", "1234567890123456", "+", "1 555 010", "٣٣٣٣٣٣٣٣", -1, True, 1.5],
)
def test_what_is_not_a_phone_number_is_refused_and_not_repeated(sent):
    with pytest.raises(InvalidRequest) as caught:
        read(Numbers, {"phone": sent})
    assert caught.value.field == "phone"
    assert len(str(sent)) < 5 or str(sent) not in str(caught.value)


@pytest.mark.parametrize("sent", ["+0123", "0112", "+00911"])
def test_an_invalid_number_is_told_as_such_though_it_ends_like_an_emergency_number(sent):
    with pytest.raises(InvalidRequest):
        read(Numbers, {"phone": sent})


@pytest.mark.parametrize("sent", ["000", "112", 911, "+49116117", " +49110 "])
def test_an_emergency_number_is_told_as_such_though_it_is_too_short(sent):
    with pytest.raises(Forbidden, match="emergency"):
        read(Numbers, {"phone": sent})


@pytest.mark.parametrize("sent", ["x", "1 2", "1\n", "1" * 65, 5])
def test_what_are_not_digits_is_refused(sent):
    with pytest.raises(InvalidRequest, match="digits"):
        read(Numbers, {"digits": sent})


@pytest.mark.parametrize(
    "sent", [15550100001, "+15550100001", "15550100001@s.whatsapp.net", " 15550100001"]
)
def test_a_phone_number_is_read_in_all_its_forms(sent):
    assert read(Numbers, {"phone": sent}).phone == "15550100001"


def test_a_peer_may_hide_its_number_and_is_no_group():
    assert read(Called, {"peer": "123456789@lid"}).peer == "123456789@lid"
    with pytest.raises(InvalidRequest, match="Phone: a group cannot be called"):
        read(Called, {"Phone": "12@g.us"})


def test_digits_are_in_upper_case():
    assert read(Numbers, {"digits": "1*a"}).digits == "1*A"
