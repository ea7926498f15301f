"""Meta's webhooks about people: what they permit, and who has a new id."""

import pytest

from bridge.wire.cloud import key_of, parse
from bridge.wire.cloud_people import PermissionReplied, UserIdChanged, read_permission
from tests.wire.test_cloud import body, one

OLD, NEW = "US.134912345678", "US.998877665544"
SYSTEM = {"type": "user_changed_user_id", "user_id": NEW, "previous_user_id": OLD}


def system(**fields):
    message = {"id": "wamid.1", "timestamp": "7", "type": "system", "system": fields}
    return parse(body({"messages": [message]}, "messages"))


@pytest.mark.parametrize("expires", ["1790600000", 1790600000])
def test_a_permission_is_read(expires):
    reply = {"response": "accept", "is_permanent": False, "expiration_timestamp": expires}
    message = {"id": "wamid.1", "from": "15550102222", "timestamp": "7", "type": "interactive"}
    inner = {"type": "call_permission_reply", "call_permission_reply": reply}
    event = one({"messages": [message | {"interactive": inner}]}, "messages")
    assert isinstance(event, PermissionReplied)
    assert (event.person, event.granted, event.expires_at) == ("15550102222", True, 1790600000.0)


@pytest.mark.parametrize(
    "told",
    [
        SYSTEM | {"parent_user_id": "US.ENT.1", "previous_parent_user_id": "US.ENT.2"},
        SYSTEM | {"type": "user_changed_number", "wa_id": "15550102223"},
        {"type": SYSTEM["type"], "user_id": NEW, "body": f"User N changed from {OLD} to {NEW}"},
        {"type": SYSTEM["type"], "body": f"User N changed from {OLD} to {NEW}."},
    ],
)
def test_a_new_id_of_a_person_is_read_in_all_its_forms(told):
    assert system(**told) == [UserIdChanged("900", OLD, NEW, "wamid.1")]


@pytest.mark.parametrize(
    "told",
    [
        {"type": "customer_identity_changed", "user_id": NEW, "previous_user_id": OLD},
        {"type": "user_changed_number", "wa_id": "15550102223", "body": "User N changed"},
        {"type": SYSTEM["type"], "user_id": OLD, "previous_user_id": OLD},
        {"type": SYSTEM["type"], "previous_user_id": OLD},
        # A name that tries to speak for Meta.
        {"type": SYSTEM["type"], "body": f"User N changed from US.1 to {NEW} changed his name"},
        {"type": SYSTEM["type"], "user_id": NEW, "body": "User N changed from US.1 to US.2"},
    ],
)
def test_what_names_no_two_ids_moves_nothing(told):
    assert system(**told) == []


def test_the_same_change_has_the_same_key():
    [first], [again] = system(**SYSTEM), system(**SYSTEM)
    assert key_of(first) == key_of(again)


@pytest.mark.parametrize("name", ["expiration_time", "expiration"])
def test_a_permission_that_was_asked_for_is_read(name):
    action = {"action_name": "send_call_permission_request", "can_perform_action": False}
    answer = {"permission": {"status": "temporary", name: 1790600000}, "actions": [action]}
    found = read_permission(answer)
    assert (found.may_call, found.may_ask, found.expires_at) == (True, False, 1790600000.0)
    assert not read_permission({}).may_call
