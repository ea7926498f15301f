"""Structs read from bodies and queries: spellings, null, and errors that name the field."""

from typing import Annotated

import pytest
from msgspec import UNSET, Struct, UnsetType

from bridge.api.fields import CallId, Digits, Peer, Phone, field, read
from bridge.errors import InvalidRequest


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
    with pytest.raises(InvalidRequest):
        read(Numbers, {"digits": "x"})
