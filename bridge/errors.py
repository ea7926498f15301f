"""The exception hierarchy of the bridge.

`code` is a stable identifier for programs, `status` that of the answer (`api.server.middleware`); what a class
does not state it inherits. The message is for people and never contains a secret, a number or SDP.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from types import MappingProxyType

from typing_extensions import override


class BridgeError(Exception):
    """Base class of all errors of the bridge."""

    code = "internal_error"
    status = 500
    retry_after = 0
    """Seconds until a retry makes sense, sent as `Retry-After`; 0 sends none."""
    field: str | None = None
    """The invalid field of the request, if any."""
    call_id: str | None = None
    """The call of a refused dial, which has ended."""

    @override
    def __init_subclass__(
        cls, *, code: str | None = None, status: int | None = None, retry_after: int | None = None
    ) -> None:
        """Set what the class statement states as keywords."""
        cls.code = cls.code if code is None else code
        cls.status = cls.status if status is None else status
        cls.retry_after = cls.retry_after if retry_after is None else retry_after

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field or self.field


class InvalidRequest(BridgeError, code="invalid_request", status=400):
    """The request is malformed."""


class Unauthorized(BridgeError, code="unauthorized", status=401):
    """The key is missing or unknown."""


class WrongKey(Unauthorized):
    """A credential that nobody here has issued."""


class Forbidden(BridgeError, code="forbidden", status=403):
    """The key is not authorized for the operation."""


class NotFound(BridgeError, code="not_found", status=404):
    """The resource does not exist or belongs to another line."""


class CallNotFound(NotFound, code="call_not_found"):
    """The line never had such a call."""


class LegNotFound(NotFound, code="leg_not_found"):
    """The call has no such leg."""


class MethodNotAllowed(BridgeError, code="method_not_allowed", status=405):
    """The path does not support this method."""


class RequestTimeout(BridgeError, code="request_timeout", status=408):
    """The request's body did not arrive in time."""


class InvalidState(BridgeError, code="invalid_state", status=409):
    """The state of the resource does not allow the operation."""


class CallEnded(InvalidState):
    """The call has ended; some faces report `CallNotFound` instead."""


class LineDisabled(InvalidState, code="engine_off"):
    """Calls of the line are disabled, or it is not connected."""


class PayloadTooLarge(BridgeError, code="payload_too_large", status=413):
    """The request's body is larger than the route's limit."""


class AddressBlocked(BridgeError, code="address_blocked", status=422):
    """The address guard forbids a customer's URL (`http.address_guard`)."""


class LimitExceeded(BridgeError, code="limit_exceeded", status=503, retry_after=5):
    """A configured limit has been reached; `limit` is of `metrics.calls.REFUSALS`."""

    def __init__(self, message: str, *, limit: str = "other") -> None:
        super().__init__(message)
        self.limit = limit


class RateLimited(LimitExceeded, code="rate_limited", status=429):
    """Too many requests with one key."""

    def __init__(self, message: str, *, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class StorageFull(LimitExceeded, code="storage_full", retry_after=60):
    """The disk is full."""


class TooManyStreams(LimitExceeded, code="too_many_streams", status=429, retry_after=0):
    """The call has its maximum of streams."""


class TooManyTelephoneCalls(LimitExceeded, code="too_many_telephone_calls", status=429):
    """The line is over a limit of its trunk."""

    def __init__(self, message: str, *, retry_after: int) -> None:
        super().__init__(message, limit="telephone")
        self.retry_after = retry_after


class TooManyTests(LimitExceeded, code="too_many_tests", status=429, retry_after=10):
    """The line has its maximum of test calls."""


class CallMoving(BridgeError, code="call_moving", status=503, retry_after=1):
    """The call is passing to another process, which takes the request in a moment."""

    data = MappingProxyType({"reason": "call_moving"})
    """For programs."""


class StillDialling(BridgeError, code="still_dialling", status=503, retry_after=1):
    """The provider has not accepted the dial yet."""


class LocalProtocolError(BridgeError, code="protocol_error"):
    """The bridge tried to send an invalid message, which is a bug."""


class RemoteProtocolError(BridgeError, code="bad_message", status=400):
    """The peer sent an invalid message."""


class SdpError(RemoteProtocolError, code="bad_sdp"):
    """A session description is unusable; `line` is the faulty line, from 1."""

    def __init__(self, message: str, *, line: int | None = None) -> None:
        super().__init__(message if line is None else f"{message} (line {line})", field="sdp")
        self.line = line


class NoCommonCodec(SdpError, code="codec_refused"):
    """A session description has no codec that is spoken here."""


class LegError(BridgeError, code="leg_failed", status=502):
    """A party could not be connected."""


class Unreachable(LegError, code="unreachable"):
    """The number cannot be reached."""


class ProviderUnreachable(LegError):
    """The provider that reaches a party does not answer, or fails."""


class NegotiationFailed(LegError, code="negotiation_failed"):
    """ICE or DTLS failed; `stage` is `ice` or `dtls`, `reason` of `metrics.calls.FAILURE_REASONS`."""

    def __init__(self, message: str, *, stage: str, reason: str) -> None:
        super().__init__(message)
        self.stage = stage
        self.reason = reason


class WhatsAppError(LegError, code="whatsapp_failed"):
    """Meta failed, did not respond, or sent an invalid response."""

    def __init__(self, message: str, *, meta_code: int = 0, details: str = "") -> None:
        super().__init__(f"{message} (Meta code {meta_code})" if meta_code else message)
        self.meta_code = meta_code
        """0 if Meta sent none."""
        self.data = {"metaCode": meta_code, "details": details} if meta_code else {}
        """For programs; `details` is Meta's message."""


class WhatsAppRefused(WhatsAppError, code="whatsapp_refused", status=400):
    """Meta rejected the request; a retry is useless unless `retry_after` is set."""


class PermissionRequired(WhatsAppRefused, code="call_permission_required", status=403):
    """The person has not permitted calls from this number."""


class TrunkFailed(LegError, code="trunk_failed"):
    """A SIP trunk did not make a call; the message ends with the SIP code."""

    def __init__(self, message: str, sip_code: int, cause: int | None = None) -> None:
        q850 = f", Q.850 cause {cause}" if cause else ""
        super().__init__(f"{message} (SIP {sip_code}{q850})")
        self.sip_code = sip_code
        self.cause = cause
        self.data = {"sipCode": sip_code} | ({"q850Cause": cause} if cause else {})
        """For programs."""


class TrunkUnreachable(TrunkFailed, code="trunk_unreachable"):
    """The trunk does not respond, or has failed."""


class TrunkRefused(TrunkFailed, code="trunk_refused"):
    """The trunk, or the network behind it, refused the call."""


class Unsupported(BridgeError, code="unsupported", status=501):
    """The operation is not supported here."""


class NodeUnavailable(BridgeError, code="node_unavailable", status=502, retry_after=1):
    """A node does not respond."""


class OwnerUnavailable(BridgeError, code="call_node_unavailable", status=503, retry_after=1):
    """The node that has the call does not respond; if it is dead, the call soon goes on at another one, or ends."""

    data = MappingProxyType({"reason": "call_node_unavailable"})
    """For programs."""


class FileUnavailable(BridgeError, code="file_unavailable", status=503, retry_after=30):
    """A file is on a machine that cannot be reached, and nowhere else."""


class StoreFailed(BridgeError, code="store_failed", status=502, retry_after=5):
    """Object storage failed; `reason` is of `metrics.recording.UPLOADS`."""

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class HandoverRefused(BridgeError, code="handover_refused", status=409):
    """A live call, or a part of it, cannot be handed over or taken over; it stays as it is."""


class DatabaseFailed(BridgeError, code="database_failed", status=503, retry_after=1):
    """A database write failed."""


class DatabaseLost(DatabaseFailed, code="database_unreachable", retry_after=5):
    """The database cannot be reached, or cannot work at present; what was to be kept may or may not be."""


class Fenced(BridgeError, code="fenced"):
    """This process was declared dead by others, who have ended its calls."""


class SetupError(BridgeError, code="setup_error"):
    """The bridge cannot start; the message says what to do."""


class SettingsError(SetupError, code="bad_setting"):
    """A setting is unknown, invalid or inconsistent; the message names the key."""


class OpusMissing(SetupError, code="opus_missing"):
    """libopus was not found."""


@contextmanager
def about_field(field: str) -> Iterator[None]:
    """Set the field of errors raised in this context, unless they have one."""
    try:
        yield
    except (InvalidRequest, AddressBlocked, PayloadTooLarge) as error:
        error.field = error.field or field
        raise
