"""Why a telephone call ended: SIP codes (RFC 3261 section 21) and Q.850 causes, from and to our end reasons."""

from collections.abc import Mapping
from typing import Final

from bridge.call.model import EndReason
from bridge.errors import BridgeError, TrunkFailed, TrunkRefused, TrunkUnreachable
from bridge.sip.events import Refused

CAUSES: Final[Mapping[int, EndReason]] = {
    **dict.fromkeys((1, 2, 3, 20, 22, 23, 27, 28), EndReason.UNREACHABLE),
    17: EndReason.BUSY,
    **dict.fromkeys((18, 19), EndReason.NO_ANSWER),
    21: EndReason.REJECTED,
    **dict.fromkeys((34, 38, 41, 42, 47, 57, 65, 88), EndReason.FAILED),
}
"""By Q.850 cause. Others, such as 16 (normal clearing) and 31 (unspecified), say nothing more than the code."""

CODES: Final[Mapping[int, EndReason]] = {
    **dict.fromkeys((404, 410, 416, 484, 485, 604), EndReason.UNREACHABLE),
    **dict.fromkeys((486, 600), EndReason.BUSY),
    487: EndReason.CANCELED,
    **dict.fromkeys((603, 607, 608), EndReason.REJECTED),
}
"""By the code of the final response; other codes mean that the call failed."""
_AWAY: Final = frozenset({408, 480})
"""Nobody took it: unanswered if it rang, else out of reach."""

REFUSALS: Final[Mapping[EndReason, int]] = {
    EndReason.HANGUP: 603,
    EndReason.REJECTED: 603,
    EndReason.BUSY: 486,
    EndReason.NO_ANSWER: 480,
    EndReason.CANCELED: 487,
    EndReason.UNREACHABLE: 404,
    EndReason.DRAINED: 503,
    EndReason.NODE_LOST: 503,
}
"""The final response to an inbound call that ended before its answer; 500 for all others."""

MEANINGS: Final[Mapping[int, str]] = {
    301: "the number has moved",
    302: "the number is diverted, which is not followed",
    401: "it does not accept the user name or the password",
    402: "it requires payment",
    403: "it does not allow the call, or the caller's number",
    404: "it does not know the number",
    407: "it does not accept the user name or the password",
    408: "it did not respond in time",
    410: "the number is no longer in use",
    415: "it does not understand the session description",
    480: "the other party cannot be reached now",
    482: "the call was routed in a loop",
    483: "the call has gone through too many hosts",
    484: "the number is incomplete",
    486: "the other party is busy",
    488: "it does not accept the codecs or the encryption",
    500: "it has failed",
    502: "the network behind it has failed",
    503: "it takes no calls now",
    504: "the network behind it did not respond in time",
    600: "the other party is busy",
    603: "the other party declined",
    604: "the number does not exist",
    606: "it does not accept the codecs or the encryption",
    607: "the other party does not want this call",
    608: "the call was blocked as unwanted",
}


def end_reason(code: int, cause: int | None = None, *, rang: bool = False) -> EndReason:
    """Return why an outbound call ended that got a final response, with the Q.850 cause if it named one."""
    if cause is not None and cause in CAUSES:
        return CAUSES[cause]
    if code in _AWAY:
        return EndReason.NO_ANSWER if rang else EndReason.UNREACHABLE
    return CODES.get(code, EndReason.FAILED)


OF_CALLEE: Final = frozenset(
    {EndReason.BUSY, EndReason.NO_ANSWER, EndReason.REJECTED, EndReason.CANCELED}
)
"""End reasons that come from the called party: the trunk has accepted the dial."""


def ended_reason(code: int | None, cause: int | None, *, connected: bool) -> EndReason:
    """Return why a dialog ended by itself: 408 where the far side does not answer any more, or knows nothing of it."""
    return EndReason.MEDIA_TIMEOUT if code == 408 and connected else bye_reason(cause)


def bye_reason(cause: int | None) -> EndReason:
    """Return why an answered call ended that the far side has ended."""
    failed = cause is not None and CAUSES.get(cause) is EndReason.FAILED
    return EndReason.FAILED if failed else EndReason.REMOTE_HANGUP


def refused(event: Refused, *, rang: bool) -> tuple[EndReason, BridgeError | None]:
    """Return why an outbound call ended that was refused, and the error unless the called party has done so."""
    reason = end_reason(event.code, event.cause, rang=rang)
    if reason in OF_CALLEE:
        return reason, None
    return reason, refusal_error(event.code, event.cause, retry_after=event.retry_after)


def refusal_code(reason: EndReason) -> int:
    """Return the final response to an inbound call that ended so before its answer."""
    return REFUSALS.get(reason, 500)


def refusal_error(code: int, cause: int | None = None, *, retry_after: int = 0) -> BridgeError:
    """Return the error of an outbound call that was refused, which names the code and its meaning.

    408 and 503 mean that the trunk does not respond; 5xx that it failed; all else that it refused.
    """
    known = MEANINGS.get(code, "it gave no known reason")
    text = f"the trunk refused the call: {known}"
    if code in (408, 503):
        error: TrunkFailed = TrunkUnreachable(f"the trunk is unreachable: {known}", code, cause)
    elif 500 <= code < 600:
        error = TrunkUnreachable(f"the trunk failed: {known}", code, cause)
    else:
        error = TrunkRefused(text, code, cause)
    error.retry_after = retry_after
    return error
