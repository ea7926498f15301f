"""What Meta's SIP server says of a caller."""

import pytest

from bridge.wire.meta_sip import MAX_VALUE, read_invite

CALL_ID = {"call-id": ("outgoing:wacid.AB==",)}


def test_a_number_is_the_caller_and_the_call_id_holds_metas_id_of_the_call():
    found = read_invite(CALL_ID, "+15550102222", "15550102222", "v=0")
    assert (found.caller.identity, found.caller.name, found.wacid) == (
        "15550102222", "", "wacid.AB==",
    )  # fmt: skip
    assert found.sdp == "v=0"


def test_a_person_with_a_username_has_metas_id_in_place_of_the_number():
    found = read_invite({"x-wa-meta-username": ("ana",)}, "US.1349", "US.1349")
    assert found.caller.identity == found.caller.user_id == "US.1349"
    assert (found.caller.username, found.caller.name, found.wacid) == ("ana", "", "")


def test_both_spellings_of_metas_fields_are_read():
    for names in (
        ("x-wa-meta-user-name", "x-wa-meta-user-country-code", "x-wa-meta-parent-user-id"),
        ("x-wa_meta-username", "x-wa-meta-country-code", "x-wa_meta-parent-user-id"),
    ):
        headers = dict(zip(names, (("ana",), ("US",), ("US.ENT.1",)), strict=True))
        found = read_invite(headers, "+15550102222", "Ana")
        assert (found.caller.username, found.caller.name) == ("ana", "Ana")
        assert found.others == {"country_code": "US", "parent_user_id": "US.ENT.1"}


@pytest.mark.parametrize("text", ["a\x00b", "\x07"])
def test_what_is_not_printable_is_left_out_and_the_rest_is_cut(text):
    found = read_invite({"x-wa-meta-cta-payload": (text,)}, "+15550102222", text)
    assert (found.others, found.caller.name) == ({}, "")
    long = read_invite({"x-wa-meta-cta-payload": ("x" * 9999,)}, "+15550102222", "")
    assert len(long.others["cta_payload"]) == MAX_VALUE
