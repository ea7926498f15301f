"""Webhooks of Meta's WhatsApp Business Calling API.

Parsing is tolerant: missing, duplicate and unknown fields are no errors. Webhooks may be delivered
twice, out of order and in batches. Source: WhatsApp Business Platform, "Calling API" (user-initiated
calls, business-initiated calls) and "Graph API webhooks".
"""

import hashlib
import hmac
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, TypeAlias

from bridge.errors import RemoteProtocolError
from bridge.wire.cloud_fields import number_in, object_in, objects_in, text_in
from bridge.wire.cloud_people import PersonWebhook, UserIdChanged, read_people
from bridge.wire.cloud_recordings import MediaAvailable, read_media

SIGNATURE_HEADER: Final = "X-Hub-Signature-256"
MEDIA_TIMEOUT_CODES: Final = frozenset({138021, 138022, 138023})
"""Meta ended the call because it received no media."""


class Status(StrEnum):
    """Progress of an outbound call."""

    RINGING = "RINGING"
    ACCEPTED = "ACCEPTED"
    REJECTED = "REJECTED"


@dataclass(frozen=True, slots=True)
class Caller:
    """The other party; fields that Meta omits are empty."""

    number: str = ""
    """Digits; omitted for people with a username."""
    name: str = ""
    username: str = ""
    user_id: str = ""
    """Meta's id of the person for this business."""

    @property
    def identity(self) -> str:
        """Number, else id, else username."""
        return self.number or self.user_id or self.username or "unknown"


@dataclass(frozen=True, slots=True)
class Connected:
    """A session description: an inbound offer, or the answer to ours."""

    wacid: str
    phone_number_id: str
    at: float
    """Unix time; 0 if missing."""
    inbound: bool
    sdp: str
    caller: Caller
    called: str = ""
    """Digits of the business number that was called; empty for an answer."""
    deeplink_payload: str = ""
    cta_payload: str = ""
    opaque: str = ""


@dataclass(frozen=True, slots=True)
class Terminated:
    """The call has ended."""

    wacid: str
    phone_number_id: str
    at: float
    failed: bool
    answered: bool
    """Whether it had been answered."""
    error_codes: tuple[int, ...]
    outbound: bool = False
    """Whether Meta says that the business placed it."""


@dataclass(frozen=True, slots=True)
class StatusChanged:
    """Progress of an outbound call."""

    wacid: str
    phone_number_id: str
    at: float
    status: Status
    person: str = ""
    """Digits, or Meta's id if the number is omitted."""
    opaque: str = ""


@dataclass(frozen=True, slots=True)
class Standby:
    """Meta's Business Agent or another partner handles a conversation of the number; we are only told."""

    phone_number_id: str
    key: str
    """The ids of what it is about."""


CallWebhook: TypeAlias = Connected | Terminated | StatusChanged
"""A webhook about one call."""
WebhookEvent: TypeAlias = CallWebhook | PersonWebhook | Standby | MediaAvailable


def parse(body: bytes) -> list[WebhookEvent]:
    """Parse a webhook's body; events other than those of calls and people are ignored.

    Raises:
        RemoteProtocolError: It is not a JSON object.
    """
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise RemoteProtocolError("the webhook is not valid JSON") from None
    if not isinstance(document, dict):
        raise RemoteProtocolError("the webhook is not a JSON object")
    found: list[WebhookEvent] = []
    for entry in objects_in(document, "entry"):
        for change in objects_in(entry, "changes"):
            value = object_in(change, "value")
            if change.get("field") == "calls":
                found.extend(_calls(value))
            elif change.get("field") == "messages":
                found.extend(read_people(value))
            elif change.get("field") == "standby":
                found.append(_standby(value))
    return found


def key_of(event: WebhookEvent) -> tuple[str, str]:
    """Return the key by which repeated deliveries of an event are recognized."""
    if isinstance(event, Connected):
        return event.wacid, "connect"
    if isinstance(event, Terminated):
        return event.wacid, "terminate"
    if isinstance(event, StatusChanged):
        return event.wacid, event.status
    if isinstance(event, MediaAvailable):
        return event.media_id, event.kind
    if isinstance(event, Standby):
        return event.key, "standby"
    if isinstance(event, UserIdChanged):
        return event.message_id or f"{event.former} {event.person}", "user_id"
    return event.message_id or f"{event.person} {event.at}", "permission"


def signature(body: bytes, secret: str) -> str:
    """Return the signature header that Meta sends with a body."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def verify_signature(body: bytes, header: str, secret: str) -> bool:
    """Return whether the raw body is signed with the app's secret, in constant time.

    Providers in front of Meta may leave out what stands before the digits.
    """
    expected = signature(body, secret).removeprefix("sha256=").encode()
    given = header.strip().removeprefix("sha256=")
    return hmac.compare_digest(expected, given.encode("utf-8", "replace"))


def challenge(query: Mapping[str, str], verify_token: str) -> str | None:
    """Return the response to Meta's verification request; None to reject it."""
    given = query.get("hub.verify_token", "").encode("utf-8", "replace")
    matches = hmac.compare_digest(given, verify_token.encode())
    if query.get("hub.mode") != "subscribe" or not matches:
        return None
    return query.get("hub.challenge", "")


def _calls(value: Mapping[str, Any]) -> Iterator[WebhookEvent]:
    number_id = text_in(object_in(value, "metadata"), "phone_number_id")
    for call in objects_in(value, "calls"):
        event = text_in(call, "event").lower()
        if not text_in(call, "id"):
            continue
        if event == "connect" and (connected := _connected(call, value, number_id)) is not None:
            yield connected
        elif event == "terminate":
            yield _terminated(call, value, number_id)
        elif (media := read_media(call, number_id)) is not None:
            yield media
    for status in objects_in(value, "statuses"):
        word = text_in(status, "status").upper()
        if (
            text_in(status, "type") in {"", "call"}
            and text_in(status, "id")
            and word in set(Status)
        ):
            person = text_in(status, "recipient_id") or text_in(status, "recipient_user_id")
            yield StatusChanged(
                wacid=text_in(status, "id"),
                phone_number_id=number_id,
                at=number_in(status, "timestamp"),
                status=Status(word),
                person=person,
                opaque=text_in(status, "biz_opaque_callback_data"),
            )


def _connected(
    call: Mapping[str, Any], value: Mapping[str, Any], number_id: str
) -> Connected | None:
    sdp, kind = _description(call)
    if not sdp:
        return None
    direction = text_in(call, "direction").upper()
    # Some webhooks have no direction; then the offerer is the caller.
    inbound = direction == "USER_INITIATED" if direction else kind != "answer"
    called = text_in(call, "to") or text_in(object_in(value, "metadata"), "display_phone_number")
    return Connected(
        wacid=text_in(call, "id"),
        phone_number_id=number_id,
        at=number_in(call, "timestamp"),
        inbound=inbound,
        sdp=sdp,
        caller=_caller(call, value, inbound=inbound),
        called="".join(filter(str.isdecimal, called)) if inbound else "",
        deeplink_payload=text_in(call, "deeplink_payload"),
        cta_payload=text_in(call, "cta_payload"),
        opaque=text_in(call, "biz_opaque_callback_data"),
    )


def _description(call: Mapping[str, Any]) -> tuple[str, str]:
    """Return the SDP and its type, from `session` or the older `connection.webrtc.sdp`."""
    session = object_in(call, "session")
    if text_in(session, "sdp"):
        return text_in(session, "sdp"), text_in(session, "sdp_type").lower()
    older = text_in(object_in(object_in(call, "connection"), "webrtc"), "sdp")
    try:
        inner = json.loads(older)
    except (ValueError, RecursionError):
        return older, ""
    inner = inner if isinstance(inner, dict) else {}
    return text_in(inner, "sdp"), (text_in(inner, "type") or text_in(inner, "sdp_type")).lower()


def _caller(call: Mapping[str, Any], value: Mapping[str, Any], *, inbound: bool) -> Caller:
    side = "from" if inbound else "to"
    number, user_id = text_in(call, side), text_in(call, f"{side}_user_id")
    contacts = objects_in(value, "contacts")
    mine = [
        contact
        for contact in contacts
        if (number and text_in(contact, "wa_id") == number)
        or (user_id and text_in(contact, "user_id") == user_id)
    ]
    # In a batch, a contact without a matching id may belong to another call.
    contact = mine[0] if mine else contacts[0] if len(contacts) == 1 else {}
    profile = object_in(contact, "profile")
    return Caller(
        number=(number or text_in(contact, "wa_id")).lstrip("+"),
        name=text_in(profile, "name"),
        username=text_in(profile, "username"),
        user_id=user_id or text_in(contact, "user_id"),
    )


def _terminated(call: Mapping[str, Any], value: Mapping[str, Any], number_id: str) -> Terminated:
    errors = (*objects_in(call, "errors"), *objects_in(value, "errors"))
    status = call.get("status")
    words = status if isinstance(status, list) else [status]
    return Terminated(
        wacid=text_in(call, "id"),
        phone_number_id=number_id,
        at=number_in(call, "timestamp"),
        failed=any(str(word).upper() == "FAILED" for word in words),
        answered=bool(text_in(call, "start_time") or call.get("duration")),
        outbound=text_in(call, "direction").upper() == "BUSINESS_INITIATED",
        error_codes=tuple(dict.fromkeys(int(number_in(error, "code")) for error in errors)),
    )


def _standby(value: Mapping[str, Any]) -> Standby:
    items = (item for name in ("calls", "statuses", "messages") for item in objects_in(value, name))
    words = (
        f"{text_in(item, 'id')} {text_in(item, 'event')}{text_in(item, 'status')}" for item in items
    )
    return Standby(text_in(object_in(value, "metadata"), "phone_number_id"), "\n".join(words))
