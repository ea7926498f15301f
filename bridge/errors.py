"""The exception hierarchy of the bridge.

BridgeError                code, status, retry_after, field
├── InvalidRequest    400
├── Unauthorized      401  · Forbidden 403
├── NotFound          404  CallNotFound, LegNotFound  · MethodNotAllowed 405
├── InvalidState      409  CallEnded (404 in some faces), EngineOff
├── PayloadTooLarge   413
├── AddressBlocked    422
├── LimitExceeded     503  (429 for a rate, and for a call's streams)
├── StillDialling     503
├── ProtocolError
│   ├── LocalProtocolError   500   we tried to send an invalid message: a bug
│   └── RemoteProtocolError  400   the peer sent one: SdpError
├── LegError          502  Unreachable, NegotiationFailed
│   └── WhatsAppError    502  meta_code: WhatsAppRefused 4xx, PermissionRequired 403
├── NodeUnavailable   502  · StoreFailed 502
├── Unsupported       501
├── DatabaseFailed    503
└── SetupError             the bridge cannot start: SettingsError, OpusMissing

`code` is a stable identifier for programs; the message is for people and never contains a secret, a
number or SDP. `api.middleware` maps the errors to HTTP.
"""

from collections.abc import Iterator
from contextlib import contextmanager


class BridgeError(Exception):
    """Base class of all errors of the bridge."""

    code = "internal_error"
    status = 500
    retry_after: int | None = None
    """Seconds until a retry makes sense; sent as `Retry-After`."""
    field: str | None = None
    """The invalid field of the request, if any."""
    call_id: str | None = None
    """The call of a refused dial, which has ended."""


class InvalidRequest(BridgeError):
    """The request is malformed."""

    code = "invalid_request"
    status = 400

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class Unauthorized(BridgeError):
    """The key is missing or unknown."""

    code = "unauthorized"
    status = 401


class Forbidden(BridgeError):
    """The key is not authorized for the operation."""

    code = "forbidden"
    status = 403


class NotFound(BridgeError):
    """The resource does not exist or belongs to another line."""

    code = "not_found"
    status = 404

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class MethodNotAllowed(BridgeError):
    """The path does not support this method."""

    code = "method_not_allowed"
    status = 405


class CallNotFound(NotFound):
    """The line never had such a call."""

    code = "call_not_found"


class LegNotFound(NotFound):
    """The call has no such leg."""

    code = "leg_not_found"


class InvalidState(BridgeError):
    """The state of the resource does not allow the operation."""

    code = "invalid_state"
    status = 409


class CallEnded(InvalidState):
    """The call has ended; some faces report `CallNotFound` instead."""


class EngineOff(InvalidState):
    """Calls of the line are disabled, or it is not connected."""

    code = "engine_off"


class PayloadTooLarge(BridgeError):
    """The request's body is larger than the route's limit."""

    code = "payload_too_large"
    status = 413


class AddressBlocked(BridgeError):
    """The address guard forbids a customer's URL (`net.guard`)."""

    code = "address_blocked"
    status = 422


class LimitExceeded(BridgeError):
    """A configured limit has been reached; retry later."""

    code = "limit_exceeded"
    status = 503
    retry_after: int | None = 5

    def __init__(self, message: str, *, limit: str = "other") -> None:
        super().__init__(message)
        self.limit = limit
        """The limit, of `metrics.calls.REFUSALS`."""


class RateLimited(LimitExceeded):
    """Too many requests with one key."""

    code = "rate_limited"
    status = 429

    def __init__(self, message: str, *, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class StorageFull(LimitExceeded):
    """The disk is full."""

    code = "storage_full"
    retry_after: int | None = 60


class TooManyStreams(LimitExceeded):
    """The call has its maximum of streams."""

    code = "too_many_streams"
    status = 429
    retry_after: int | None = None


class StillDialling(BridgeError):
    """The provider has not accepted the dial yet; retry shortly."""

    code = "still_dialling"
    status = 503
    retry_after: int | None = 1


class ProtocolError(BridgeError):
    """A message violates its protocol."""

    code = "protocol_error"


class LocalProtocolError(ProtocolError):
    """The bridge tried to send an invalid message, which is a bug."""


class RemoteProtocolError(ProtocolError):
    """The peer sent an invalid message."""

    code = "bad_message"
    status = 400


class SdpError(RemoteProtocolError):
    """A session description is unusable; `line` is the faulty line, from 1."""

    code = "bad_sdp"
    field: str | None = "sdp"

    def __init__(self, message: str, *, line: int | None = None) -> None:
        super().__init__(message if line is None else f"{message} (line {line})")
        self.line = line


class LegError(BridgeError):
    """A party could not be connected."""

    code = "leg_failed"
    status = 502


class Unreachable(LegError):
    """The number cannot be reached."""

    code = "unreachable"


class NegotiationFailed(LegError):
    """ICE or DTLS failed; `stage` is `ice` or `dtls`, `reason` of `metrics.setup.FAILURE_REASONS`."""

    code = "negotiation_failed"

    def __init__(self, message: str, *, stage: str, reason: str) -> None:
        super().__init__(message)
        self.stage = stage
        self.reason = reason


class Unsupported(BridgeError):
    """The operation is not supported here."""

    code = "unsupported"
    status = 501


class WhatsAppError(LegError):
    """Meta failed, did not respond, or sent an invalid response."""

    code = "whatsapp_failed"

    def __init__(self, message: str, *, meta_code: int = 0, details: str = "") -> None:
        super().__init__(f"{message} (Meta code {meta_code})" if meta_code else message)
        self.meta_code = meta_code
        """0 if Meta sent none."""
        self.data = {"metaCode": meta_code, "details": details} if meta_code else {}
        """For programs; `details` is Meta's message."""


class WhatsAppRefused(WhatsAppError):
    """Meta rejected the request; a retry is useless unless `retry_after` is set."""

    code = "whatsapp_refused"
    status = 400


class PermissionRequired(WhatsAppRefused):
    """The person has not permitted calls from this number."""

    code = "call_permission_required"
    status = 403


class NodeUnavailable(BridgeError):
    """The node that owns the call does not respond."""

    code = "node_unavailable"
    status = 502
    retry_after: int | None = 1


class StoreFailed(BridgeError):
    """Object storage failed; `reason` is of `metrics.recording.UPLOADS`."""

    code = "store_failed"
    status = 502
    retry_after: int | None = 5

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class DatabaseFailed(BridgeError):
    """A database write failed."""

    code = "database_failed"
    status = 503
    retry_after: int | None = 1


class SetupError(BridgeError):
    """The bridge cannot start; the message says what to do."""

    code = "setup_error"


class SettingsError(SetupError):
    """A setting is unknown, invalid or inconsistent; the message names the key."""

    code = "bad_setting"


class OpusMissing(SetupError):
    """libopus was not found."""

    code = "opus_missing"


@contextmanager
def about_field(field: str) -> Iterator[None]:
    """Set the field of errors raised in this context, unless they have one."""
    try:
        yield
    except (InvalidRequest, AddressBlocked, PayloadTooLarge) as error:
        error.field = error.field or field
        raise
