"""Bodies of SIP messages: SDP, alone or as a part of a multipart body, and the lines of sipfrag and DTMF."""

import re

from bridge.sip.message.message import Request, Response, SipError
from bridge.sip.message.values import ValueSyntaxError, parameters

SDP = "application/sdp"
_FRAGMENT = re.compile(r"\s*SIP/2\.0 +([1-6][0-9]{2})(?:\s|$)", re.IGNORECASE)
_DTMF_SIGNAL = re.compile(r"^\s*signal\s*=\s*(\S{1,2})\s*$", re.IGNORECASE | re.MULTILINE)
_DTMF_DURATION = re.compile(r"^\s*duration\s*=\s*([0-9]{1,5})\s*$", re.IGNORECASE | re.MULTILINE)
_DIGITS = "0123456789*#ABCD"
_DEFAULT_SECONDS = 0.16


def media_type(message: Request | Response) -> str:
    """Return the media type of the body in lower case; empty for none."""
    return message.headers.first("content-type").partition(";")[0].strip().lower()


def put_sdp(message: Request | Response, sdp: str) -> None:
    """Set an SDP body; none if `sdp` is empty."""
    if sdp:
        message.headers.put("Content-Type", SDP)
        message.body = sdp.encode()


def sdp_of(message: Request | Response) -> str:
    """Return the SDP of a message; empty for none.

    Raises:
        SipError: 415 for a body that is not SDP.
    """
    if not message.body.strip():
        return ""
    kind = media_type(message)
    if kind == SDP and not message.headers.first("content-encoding").strip():
        return message.body.decode("utf-8", "replace")
    if kind.startswith("multipart/"):
        found = _sdp_part(message)
        if found:
            return found
    if _optional(message):
        return ""
    raise SipError(415, "a body other than SDP", headers=(("Accept", SDP),))


def readable_sdp(message: Request | Response) -> str:
    """Return the SDP of a message; empty for none, and for a body that is not SDP."""
    try:
        return sdp_of(message)
    except SipError:
        return ""


def _sdp_part(message: Request | Response) -> str:
    """Return the first SDP part of a multipart body."""
    value = message.headers.first("content-type")
    try:
        boundary = parameters(";" + value.partition(";")[2]).get("boundary", "")
    except ValueSyntaxError:
        return ""
    if not boundary:
        return ""
    delimiter = b"\r\n--" + boundary.encode("utf-8", "surrogateescape")
    for part in (b"\r\n" + message.body).split(delimiter)[1:17]:
        head, separator, body = part.partition(b"\r\n\r\n")
        if separator and re.search(rb"(?i)content-type\s*:\s*application/sdp", head):
            return body.decode("utf-8", "replace") + "\r\n"
    return ""


def _optional(message: Request | Response) -> bool:
    """Return whether the body may be ignored (RFC 3261 section 20.11)."""
    return "handling=optional" in message.headers.first("content-disposition").replace(" ", "")


def fragment_code(message: Request) -> int:
    """Return the status code of a sipfrag body (RFC 3420); 0 for none."""
    found = _FRAGMENT.match(message.body[:200].decode("utf-8", "replace"))
    return int(found[1]) if found else 0


def digit_of(message: Request) -> tuple[str, float] | None:
    """Return digit and duration of an INFO body, in seconds; None for an empty one.

    Raises:
        SipError: 415 for another media type, 400 for no DTMF digit.
    """
    text = message.body[:500].decode("utf-8", "replace")
    if not text.strip():
        return None
    kind, seconds = media_type(message), _DEFAULT_SECONDS
    if kind == "application/dtmf":
        digit = text.strip()
    elif kind == "application/dtmf-relay":
        signal, duration = _DTMF_SIGNAL.search(text), _DTMF_DURATION.search(text)
        digit = signal[1] if signal else ""
        seconds = int(duration[1]) / 1000 if duration else seconds
    else:
        accepted = (("Accept", "application/dtmf-relay, application/dtmf"),)
        raise SipError(415, "not a digit", headers=accepted)
    digit = {"10": "*", "11": "#"}.get(digit, digit.upper())
    if len(digit) != 1 or digit not in _DIGITS:
        raise SipError(400, "not a digit")
    return digit, min(max(seconds, 0.04), 10.0)


def put_digit(message: Request, digit: str, seconds: float) -> None:
    """Set the body of an INFO for a digit (application/dtmf-relay)."""
    message.headers.put("Content-Type", "application/dtmf-relay")
    message.body = f"Signal={digit}\r\nDuration={round(seconds * 1000)}\r\n".encode()
