"""Webhooks of Meta's WhatsApp Business Calling API.

Parsing is tolerant: missing, duplicate and unknown fields are no errors. Webhooks may be delivered
twice, out of order and in batches. Source: WhatsApp Business Platform, "Calling API" (user-initiated
calls, business-initiated calls, user call permissions) and "Graph API webhooks".
"""

import hashlib
import hmac
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, TypeAlias

from bridge.errors import RemoteProtocolError

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


CallWebhook: TypeAlias = Connected | Terminated | StatusChanged
"""A webhook about one call."""
WebhookEvent: TypeAlias = CallWebhook | PermissionReplied


def parse(body: bytes) -> list[WebhookEvent]:
    """Parse a webhook's body; events other than calls and permissions are ignored.

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
    for entry in _objects(document, "entry"):
        for change in _objects(entry, "changes"):
            value = _object(change, "value")
            if change.get("field") == "calls":
                found.extend(_calls(value))
            elif change.get("field") == "messages":
                found.extend(_permissions(value))
    return found


def key_of(event: WebhookEvent) -> tuple[str, str]:
    """Return the key by which repeated deliveries of an event are recognized."""
    if isinstance(event, Connected):
        return event.wacid, "connect"
    if isinstance(event, Terminated):
        return event.wacid, "terminate"
    if isinstance(event, StatusChanged):
        return event.wacid, event.status
    return event.message_id or f"{event.person} {event.at}", "permission"


def signature(body: bytes, secret: str) -> str:
    """Return the signature header that Meta sends with a body."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def verify_signature(body: bytes, header: str, secret: str) -> bool:
    """Return whether the raw body is signed with the app's secret, in constant time."""
    expected = signature(body, secret).encode()
    return hmac.compare_digest(expected, header.strip().encode("utf-8", "replace"))


def challenge(query: Mapping[str, str], verify_token: str) -> str | None:
    """Return the response to Meta's verification request; None to reject it."""
    given = query.get("hub.verify_token", "").encode("utf-8", "replace")
    matches = hmac.compare_digest(given, verify_token.encode())
    if query.get("hub.mode") != "subscribe" or not matches:
        return None
    return query.get("hub.challenge", "")


def _calls(value: Mapping[str, Any]) -> Iterator[WebhookEvent]:
    number_id = _text(_object(value, "metadata"), "phone_number_id")
    for call in _objects(value, "calls"):
        event = _text(call, "event").lower()
        if not _text(call, "id"):
            continue
        if event == "connect" and (connected := _connected(call, value, number_id)) is not None:
            yield connected
        elif event == "terminate":
            yield _terminated(call, value, number_id)
    for status in _objects(value, "statuses"):
        word = _text(status, "status").upper()
        if _text(status, "type") in {"", "call"} and _text(status, "id") and word in set(Status):
            person = _text(status, "recipient_id") or _text(status, "recipient_user_id")
            yield StatusChanged(
                wacid=_text(status, "id"),
                phone_number_id=number_id,
                at=_number(status, "timestamp"),
                status=Status(word),
                person=person,
                opaque=_text(status, "biz_opaque_callback_data"),
            )


def _connected(
    call: Mapping[str, Any], value: Mapping[str, Any], number_id: str
) -> Connected | None:
    sdp, kind = _description(call)
    if not sdp:
        return None
    direction = _text(call, "direction").upper()
    # Some webhooks have no direction; then the offerer is the caller.
    inbound = direction == "USER_INITIATED" if direction else kind != "answer"
    called = _text(call, "to") or _text(_object(value, "metadata"), "display_phone_number")
    return Connected(
        wacid=_text(call, "id"),
        phone_number_id=number_id,
        at=_number(call, "timestamp"),
        inbound=inbound,
        sdp=sdp,
        caller=_caller(call, value, inbound=inbound),
        called="".join(filter(str.isdecimal, called)) if inbound else "",
        deeplink_payload=_text(call, "deeplink_payload"),
        cta_payload=_text(call, "cta_payload"),
        opaque=_text(call, "biz_opaque_callback_data"),
    )


def _description(call: Mapping[str, Any]) -> tuple[str, str]:
    """Return the SDP and its type, from `session` or the older `connection.webrtc.sdp`."""
    session = _object(call, "session")
    if _text(session, "sdp"):
        return _text(session, "sdp"), _text(session, "sdp_type").lower()
    older = _text(_object(_object(call, "connection"), "webrtc"), "sdp")
    try:
        inner = json.loads(older)
    except (ValueError, RecursionError):
        return older, ""
    inner = inner if isinstance(inner, dict) else {}
    return _text(inner, "sdp"), (_text(inner, "type") or _text(inner, "sdp_type")).lower()


def _caller(call: Mapping[str, Any], value: Mapping[str, Any], *, inbound: bool) -> Caller:
    side = "from" if inbound else "to"
    number, user_id = _text(call, side), _text(call, f"{side}_user_id")
    contacts = _objects(value, "contacts")
    mine = [
        contact
        for contact in contacts
        if (number and _text(contact, "wa_id") == number)
        or (user_id and _text(contact, "user_id") == user_id)
    ]
    # In a batch, a contact without a matching id may belong to another call.
    contact = mine[0] if mine else contacts[0] if len(contacts) == 1 else {}
    profile = _object(contact, "profile")
    return Caller(
        number=(number or _text(contact, "wa_id")).lstrip("+"),
        name=_text(profile, "name"),
        username=_text(profile, "username"),
        user_id=user_id or _text(contact, "user_id"),
    )


def _terminated(call: Mapping[str, Any], value: Mapping[str, Any], number_id: str) -> Terminated:
    errors = (*_objects(call, "errors"), *_objects(value, "errors"))
    status = call.get("status")
    words = status if isinstance(status, list) else [status]
    return Terminated(
        wacid=_text(call, "id"),
        phone_number_id=number_id,
        at=_number(call, "timestamp"),
        failed=any(str(word).upper() == "FAILED" for word in words),
        answered=bool(_text(call, "start_time") or call.get("duration")),
        error_codes=tuple(dict.fromkeys(int(_number(error, "code")) for error in errors)),
    )


def _permissions(value: Mapping[str, Any]) -> Iterator[PermissionReplied]:
    number_id = _text(_object(value, "metadata"), "phone_number_id")
    for message in _objects(value, "messages"):
        reply = _object(_object(message, "interactive"), "call_permission_reply")
        if not reply:
            continue
        contacts = _objects(value, "contacts")
        contact = contacts[0] if len(contacts) == 1 else {}
        granted = _text(reply, "response").lower() == "accept"
        yield PermissionReplied(
            phone_number_id=number_id,
            person=_text(message, "from")
            or _text(contact, "wa_id")
            or _text(message, "from_user_id")
            or _text(contact, "user_id"),
            granted=granted,
            permanent=granted and reply.get("is_permanent") is True,
            at=_number(message, "timestamp"),
            expires_at=_number(reply, "expiration_timestamp") or None,
            message_id=_text(message, "id"),
        )


def _object(parent: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = parent.get(name)
    return found if isinstance(found, dict) else {}


def _objects(parent: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    found = parent.get(name)
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def _text(parent: Mapping[str, Any], name: str) -> str:
    """Return a string or number as text; "" for everything else."""
    found = parent.get(name)
    if isinstance(found, bool) or not isinstance(found, str | int | float):
        return ""
    # A lone surrogate is valid JSON but cannot be encoded.
    return str(found).encode("utf-8", "replace").decode()


def _number(parent: Mapping[str, Any], name: str) -> float:
    """Return a number or numeric string; 0 for everything else."""
    try:
        number = float(_text(parent, name) or 0)
    except ValueError:
        return 0.0
    return number if abs(number) < 1e15 else 0.0


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
    permission = _object(answer, "permission")
    status = _text(permission, "status").lower() or "no_permission"
    allowed = {
        _text(action, "action_name"): action.get("can_perform_action") is True
        for action in _objects(answer, "actions")
    }
    expires = _number(permission, "expiration_time") or _number(permission, "expiration")
    return Permission(
        status=status,
        expires_at=expires or None,
        may_call=allowed.get("start_call", status != "no_permission"),
        may_ask=allowed.get("send_call_permission_request", True),
    )
