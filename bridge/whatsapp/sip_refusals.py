"""Final responses of Meta's SIP server to our calls, in plain words and as our end reasons.

Source: WhatsApp Business Platform, Calling API, "Troubleshooting". Several causes share 403; the reason phrase tells them
apart.
"""

from typing import Final

from bridge.call.model import EndReason
from bridge.errors import BridgeError, WhatsAppError, WhatsAppRefused
from bridge.sip.events import Refused
from bridge.whatsapp.graph_errors import NO_PERMISSION, NOT_NOW, ended_by

_ENDS: Final = {
    480: EndReason.NO_ANSWER,
    486: EndReason.REJECTED,
    487: EndReason.CANCELED,
    600: EndReason.REJECTED,
    603: EndReason.REJECTED,
}
"""What the user did: nothing, or decline, which Meta reports as 486."""

_GRAPH_CODES: Final = {
    "no approved call permission": NO_PERMISSION,
    "limit hit": 138012,
    "duplicate call": 138003,
    "payment": 131044,
}
"""Meta's code of the same over the Graph API, by a part of the phrase."""

_SETTINGS: Final = {
    "does not match any sip server": "the number has another SIP server at Meta than "
    "lines.NAME.whatsapp.sip_hostname",
    "is not authorized for phone number": "the app of the SIP server lacks the right "
    "whatsapp_business_messaging for the number",
    "asset not found": "Meta does not know the first of lines.NAME.numbers",
    "invalid business phone number": "Meta does not know the first of lines.NAME.numbers",
    "sdp validation": "Meta does not accept our session description; is lines.NAME.whatsapp.media "
    "what the number has at Meta?",
    "digest": "Meta does not accept lines.NAME.whatsapp.sip_password",
    "auth": "Meta does not accept the credentials",
}
_CODES: Final = {
    401: "Meta does not accept lines.NAME.whatsapp.sip_password",
    404: "Meta does not know the address that was called",
    407: "Meta does not accept lines.NAME.whatsapp.sip_password",
}
_UNREACHABLE: Final = frozenset({408, 503})


def refused(event: Refused, *, rang: bool) -> tuple[EndReason, BridgeError | None]:
    """Return why an outbound call ended, and the error unless the user has refused it or did not answer."""
    if "rtp timeout" in event.phrase.lower():
        return EndReason.MEDIA_TIMEOUT, None
    if event.code in _ENDS:
        return _ENDS[event.code], None
    return EndReason.FAILED, error_of(event)


def error_of(event: Refused) -> WhatsAppError:
    """Return the error of a refusal; its text never has Meta's phrase, which may name numbers."""
    phrase = event.phrase.lower()
    for part, code in _GRAPH_CODES.items():
        if part in phrase:
            return ended_by(code)
    words = next((text for part, text in _SETTINGS.items() if part in phrase), "")
    words = words or _CODES.get(event.code, "")
    if event.code in _UNREACHABLE or (not words and event.code >= 500):
        does = "does not respond" if event.code in _UNREACHABLE else "has failed"
        error = WhatsAppError(f"Meta's SIP server {does} (SIP {event.code})")
        error.retry_after = event.retry_after
        return error
    refusal = WhatsAppRefused(f"{words or 'Meta refuses the call'} (SIP {event.code})")
    refusal.status = NOT_NOW
    return refusal
