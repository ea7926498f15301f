"""Meta's error codes in plain words, and our status for each.

Source: WhatsApp Business Platform, Calling API, "Troubleshooting"; Graph API, "Handling errors".
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from bridge.errors import PermissionRequired, WhatsAppError, WhatsAppRefused

BAD_PARAMETER: Final = 100
NO_PERMISSION: Final = 138006
NOT_NOW: Final = 409
TOO_MUCH: Final = 429
BAD: Final = 400
RETRY_SECONDS: Final = 60

_REFUSALS: Final[Mapping[int, tuple[int, str]]] = {
    3: (NOT_NOW, "the app has no right to call; add whatsapp_business_messaging to the token"),
    4: (TOO_MUCH, "the app has asked Meta too often"),
    10: (NOT_NOW, "the access token lacks a right; add whatsapp_business_messaging"),
    BAD_PARAMETER: (BAD, "Meta does not accept a part of the request"),
    190: (NOT_NOW, "the line's access token has expired or is wrong"),
    200: (NOT_NOW, "the access token has no right to this number"),
    368: (NOT_NOW, "Meta has blocked the account for a violation of its policy"),
    613: (TOO_MUCH, "call permissions were asked for too often"),
    80007: (TOO_MUCH, "the business account has asked Meta too often"),
    130429: (TOO_MUCH, "the number has asked Meta too often"),
    130497: (NOT_NOW, "this number may not call people in that country"),
    131009: (BAD, "calls are not supported in the recipient's country"),
    131026: (BAD, "the person's WhatsApp is too old to be asked for permission"),
    131030: (BAD, "the recipient is not on the test number's list of allowed recipients"),
    131031: (NOT_NOW, "Meta has locked the business account"),
    131044: (NOT_NOW, "the business account has no valid payment method"),
    131047: (BAD, "the person wrote more than 24 hours ago; ask with a template"),
    131055: (NOT_NOW, "the number is in SIP mode, which turns calls over the Graph API off"),
    131056: (TOO_MUCH, "this person was written to too often"),
    138000: (
        NOT_NOW,
        "calling is not enabled for the number; run: python -m bridge whatsapp enable",
    ),
    138001: (BAD, "the recipient cannot be called"),
    138002: (TOO_MUCH, "the number has all the calls that it may have at once"),
    138003: (NOT_NOW, "there is a call with this person already"),
    138005: (TOO_MUCH, "the number has begun too many calls today"),
    138009: (TOO_MUCH, "this person was asked for permission too often (once a day, twice a week)"),
    138011: (NOT_NOW, "no message was exchanged before the request for permission"),
    138012: (TOO_MUCH, "this person was called too often in the last 24 hours"),
    138013: (NOT_NOW, "this number may not call out; Meta bars business numbers of some countries"),
    138014: (NOT_NOW, "Meta has paused calls of this number for their low quality"),
    138015: (NOT_NOW, "calling cannot be enabled before the messaging limit is at least 2000"),
    138017: (NOT_NOW, "this person has permitted calls for good already"),
    138018: (NOT_NOW, "calling cannot be enabled before the app subscribes to the field calls"),
    138019: (BAD, "the person's WhatsApp could not set the call up"),
    138020: (BAD, "the person's WhatsApp did not reach Meta's media server"),
    138021: (BAD, "the person's WhatsApp received no audio for too long"),
    138022: (BAD, "the person's WhatsApp sent no audio for too long"),
    138023: (BAD, "the call was accepted and ended before any audio"),
    138024: (NOT_NOW, "the number has no SIP server at Meta"),
    138025: (NOT_NOW, "the app has no SIP server for the number at Meta"),
}
_FAILURES: Final[Mapping[int, str]] = {
    1: "Meta has an unknown error",
    2: "Meta's service is not available for the moment",
    131000: "something went wrong at Meta",
    138004: "Meta could not connect the call",
    138007: "Meta did not get or apply a session description in time",
}


def error_of(status: int, answer: object, *, retry_after: int | None = None) -> WhatsAppError:
    """Return the error of a response with this decoded body; its text never contains what was sent."""
    error = _object(_object(answer).get("error"))
    code = error.get("code")
    code = code if isinstance(code, int) and not isinstance(code, bool) else 0
    data = _object(error.get("error_data"))
    details = str(data.get("details") or error.get("message") or "")[:500]
    if code == NO_PERMISSION:
        return PermissionRequired(
            "the person has not permitted calls; ask with POST /call/permission",
            meta_code=code,
            details=details,
        )
    if code in _REFUSALS:
        own_status, words = _REFUSALS[code]
    elif code in _FAILURES or not BAD <= status < HTTPStatus.INTERNAL_SERVER_ERROR:
        words = _FAILURES.get(code, f"Meta answers {status}, which makes no sense here")
        return WhatsAppError(words, meta_code=code, details=details)
    else:
        # Meta's 401 is about the line's token, not about the key of who asks us.
        own_status = NOT_NOW if status == HTTPStatus.UNAUTHORIZED else status
        words = f"Meta refuses with {status}"
    # Meta explains only a bad parameter in words worth passing on; others may hold a number.
    if code == BAD_PARAMETER and details:
        words = f"{words}: {details}"
    refused = WhatsAppRefused(words, meta_code=code, details=details)
    refused.status = own_status
    if own_status == TOO_MUCH:
        refused.retry_after = retry_after or RETRY_SECONDS
    return refused


def ended_by(code: int) -> WhatsAppError:
    """Return the error of a call that Meta has ended with this code."""
    if code in _REFUSALS or code in _FAILURES or code == NO_PERMISSION:
        return error_of(BAD, {"error": {"code": code}})
    return WhatsAppRefused("Meta has ended the call", meta_code=code)


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
