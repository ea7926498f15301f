"""Who may be called over Meta's API, and whose id there has changed.

Source: WhatsApp Business Platform, "User call permissions" and "Business-scoped user ids".
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from bridge.wire.cloud_fields import number_in, object_in, objects_in, text_in

ID_CHANGES: Final = frozenset({"user_changed_user_id", "user_changed_number"})
"""Types of system messages about a new id; a new number brings one too."""
CHANGED: Final = re.compile(r" changed from ([A-Z]{2}\.\w+) to ([A-Z]{2}\.\w+)\.?$")
"""The end of the sentence that is all that older messages have; a name before it may contain anything."""


@dataclass(frozen=True, slots=True)
class PermissionReplied:
    """A person granted or denied permission to be called."""

    phone_number_id: str
    person: str
    granted: bool
    permanent: bool
    at: float
    expires_at: float | None
    message_id: str
    """Of the reply itself."""


@dataclass(frozen=True, slots=True)
class UserIdChanged:
    """A person has another of Meta's ids from now on; permissions are kept."""

    phone_number_id: str
    former: str
    person: str
    message_id: str


PersonWebhook: TypeAlias = PermissionReplied | UserIdChanged
"""A webhook about a person, whether there is a call or not."""


def read_people(value: Mapping[str, Any]) -> Iterator[PersonWebhook]:
    """Parse a change of the field `messages`; messages about anything else are left out."""
    number_id = text_in(object_in(value, "metadata"), "phone_number_id")
    for message in objects_in(value, "messages"):
        reply = object_in(object_in(message, "interactive"), "call_permission_reply")
        if reply:
            yield _replied(message, reply, value, number_id)
        elif (changed := _changed(message, number_id)) is not None:
            yield changed


def _replied(
    message: Mapping[str, Any], reply: Mapping[str, Any], value: Mapping[str, Any], number_id: str
) -> PermissionReplied:
    contacts = objects_in(value, "contacts")
    contact = contacts[0] if len(contacts) == 1 else {}
    granted = text_in(reply, "response").lower() == "accept"
    return PermissionReplied(
        phone_number_id=number_id,
        person=text_in(message, "from")
        or text_in(contact, "wa_id")
        or text_in(message, "from_user_id")
        or text_in(contact, "user_id"),
        granted=granted,
        permanent=granted and reply.get("is_permanent") is True,
        at=number_in(message, "timestamp"),
        expires_at=number_in(reply, "expiration_timestamp") or None,
        message_id=text_in(message, "id"),
    )


def _changed(message: Mapping[str, Any], number_id: str) -> UserIdChanged | None:
    system = object_in(message, "system")
    if text_in(system, "type") not in ID_CHANGES:
        return None
    former, person = text_in(system, "previous_user_id"), text_in(system, "user_id")
    if not former and (told := CHANGED.search(text_in(system, "body"))) is not None:
        former = told[1] if told[2] == (person or told[2]) else ""
        person = person or told[2]
    if not former or not person or former == person:
        return None
    return UserIdChanged(number_id, former, person, text_in(message, "id"))


@dataclass(frozen=True, slots=True)
class Permission:
    """A person's call permission."""

    status: str
    """`no_permission`, `temporary` or `permanent`."""
    expires_at: float | None
    may_call: bool
    may_ask: bool


def read_permission(answer: Mapping[str, Any]) -> Permission:
    """Parse the Graph API's response about a person's permission."""
    permission = object_in(answer, "permission")
    status = text_in(permission, "status").lower() or "no_permission"
    allowed = {
        text_in(action, "action_name"): action.get("can_perform_action") is True
        for action in objects_in(answer, "actions")
    }
    expires = number_in(permission, "expiration_time") or number_in(permission, "expiration")
    return Permission(
        status=status,
        expires_at=expires or None,
        may_call=allowed.get("start_call", status != "no_permission"),
        may_ask=allowed.get("send_call_permission_request", True),
    )
