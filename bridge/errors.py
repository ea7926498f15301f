"""Every error the bridge raises on purpose, as one tree; importable from everywhere.

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
│   ├── LocalProtocolError   500   we tried to send nonsense: a bug
│   └── RemoteProtocolError  400   they sent nonsense: SdpError
├── LegError          502  Unreachable, NegotiationFailed
│   └── WhatsAppError    502  meta_code: WhatsAppRefused 4xx, PermissionRequired 403
├── NodeUnavailable   502  · StoreFailed 502
├── Unsupported       501
├── DatabaseFailed    503
└── SetupError             the start is refused: SettingsError, OpusMissing

`code` is stable snake_case for programs, the message is for people and never holds a secret, a
number or SDP. `api.middleware` maps the tree to HTTP once.
"""

from collections.abc import Iterator
from contextlib import contextmanager


class BridgeError(Exception):
    """The root of the tree."""

    code = "internal_error"
    status = 500
    retry_after: int | None = None
    """Seconds after which trying again makes sense; sent as `Retry-After`."""
    field: str | None = None
    """The field of the request that is wrong, where one is; every face's errors show it."""
    call_id: str | None = None
    """Of a dial that was refused: the call, which has ended."""


class InvalidRequest(BridgeError):
    """The request is malformed."""

    code = "invalid_request"
    status = 400

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class Unauthorized(BridgeError):
    """No key, or one we do not know."""

    code = "unauthorized"
    status = 401


class Forbidden(BridgeError):
    """The key is known but may not do this."""

    code = "forbidden"
    status = 403


class NotFound(BridgeError):
    """There is no such thing, or it belongs to another line."""

    code = "not_found"
    status = 404

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class MethodNotAllowed(BridgeError):
    """There is something at the path, but not for this method."""

    code = "method_not_allowed"
    status = 405


class CallNotFound(NotFound):
    """This key never had such a call."""

    code = "call_not_found"


class LegNotFound(NotFound):
    """The call has no such leg."""

    code = "leg_not_found"


class InvalidState(BridgeError):
    """The thing exists, but not in a state that allows the operation."""

    code = "invalid_state"
    status = 409


class CallEnded(InvalidState):
    """The call was known and has ended; faces that forget ended calls say `CallNotFound` instead."""


class EngineOff(InvalidState):
    """The line makes and takes no calls now: they are switched off, or it is not connected."""

    code = "engine_off"


class PayloadTooLarge(BridgeError):
    """The request's body is over the route's limit."""

    code = "payload_too_large"
    status = 413


class AddressBlocked(BridgeError):
    """A customer's URL leads where it may not (`net.guard`)."""

    code = "address_blocked"
    status = 422


class LimitExceeded(BridgeError):
    """A limit of the operator's is reached; try again later."""

    code = "limit_exceeded"
    status = 503
    retry_after: int | None = 5

    def __init__(self, message: str, *, limit: str = "other") -> None:
        super().__init__(message)
        self.limit = limit
        """Which one, in the words of `metrics.calls.REFUSALS`."""


class RateLimited(LimitExceeded):
    """Too many requests with one key."""

    code = "rate_limited"
    status = 429

    def __init__(self, message: str, *, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class StorageFull(LimitExceeded):
    """The disk has no room for what was to be kept."""

    code = "storage_full"
    retry_after: int | None = 60


class TooManyStreams(LimitExceeded):
    """A call has all the streams that it may have."""

    code = "too_many_streams"
    status = 429
    retry_after: int | None = None


class StillDialling(BridgeError):
    """The call's provider has yet to accept the dial: try again in a moment."""

    code = "still_dialling"
    status = 503
    retry_after: int | None = 1


class ProtocolError(BridgeError):
    """A message breaks its protocol."""

    code = "protocol_error"


class LocalProtocolError(ProtocolError):
    """We tried to send nonsense: a bug of ours."""


class RemoteProtocolError(ProtocolError):
    """They sent nonsense."""

    code = "bad_message"
    status = 400


class SdpError(RemoteProtocolError):
    """A session description we cannot work with; `line` counts from 1 where one line is to blame."""

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
    """ICE or DTLS did not come up; `stage` is `ice` or `dtls`, `reason` a word of a closed set."""

    code = "negotiation_failed"

    def __init__(self, message: str, *, stage: str, reason: str) -> None:
        super().__init__(message)
        self.stage = stage
        self.reason = reason


class Unsupported(BridgeError):
    """What is asked for is known, and not to be had here."""

    code = "unsupported"
    status = 501


class WhatsAppError(LegError):
    """Meta did not do what was asked: its own failure, no answer, or an answer without sense."""

    code = "whatsapp_failed"

    def __init__(self, message: str, *, meta_code: int = 0, details: str = "") -> None:
        super().__init__(f"{message} (Meta code {meta_code})" if meta_code else message)
        self.meta_code = meta_code
        """0 where Meta gave none."""
        self.data = {"metaCode": meta_code, "details": details} if meta_code else {}
        """For programs; `details` are Meta's own words."""


class WhatsAppRefused(WhatsAppError):
    """Meta refused what was asked; asking again changes nothing, unless `retry_after` is set."""

    code = "whatsapp_refused"
    status = 400


class PermissionRequired(WhatsAppRefused):
    """The person has not allowed this number to call."""

    code = "call_permission_required"
    status = 403


class NodeUnavailable(BridgeError):
    """The node that owns the call does not answer."""

    code = "node_unavailable"
    status = 502
    retry_after: int | None = 1


class StoreFailed(BridgeError):
    """The store of recordings did not do what was asked; `reason` is a word of a closed set."""

    code = "store_failed"
    status = 502
    retry_after: int | None = 5

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class DatabaseFailed(BridgeError):
    """The database could not keep what was to be kept."""

    code = "database_failed"
    status = 503
    retry_after: int | None = 1


class SetupError(BridgeError):
    """The bridge cannot start; the message says what to do."""

    code = "setup_error"


class SettingsError(SetupError):
    """A setting is unknown, has the wrong type or contradicts another; the message names the key."""

    code = "bad_setting"


class OpusMissing(SetupError):
    """No usable libopus was found."""

    code = "opus_missing"


@contextmanager
def about_field(field: str) -> Iterator[None]:
    """Let errors about a value, such as a URL that is blocked, name its field unless they name one."""
    try:
        yield
    except (InvalidRequest, AddressBlocked, PayloadTooLarge) as error:
        error.field = error.field or field
        raise
