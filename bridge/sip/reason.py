"""Reason (RFC 3326) and Retry-After: why a request or response ends a call."""

from bridge.sip.events import Refused
from bridge.sip.message.headers import Headers
from bridge.sip.message.message import Response
from bridge.sip.message.values import ValueSyntaxError, parameters, readable

NORMAL_CLEARING = 'Q.850;cause=16;text="Normal call clearing"'
TIMED_OUT = 'SIP;cause=408;text="Session timed out"'
MAX_RETRY_AFTER = 86_400


def reasons(headers: Headers) -> dict[str, int]:
    """Return the causes of the Reason fields by protocol in lower case (`q.850`, `sip`)."""
    found: dict[str, int] = {}
    try:
        values = headers.split("reason")[:8]
    except ValueSyntaxError:
        return found
    for value in values:
        protocol, semicolon, rest = value.partition(";")
        try:
            cause = parameters(semicolon + rest).get("cause", "")
        except ValueSyntaxError:
            continue
        if cause.isascii() and cause.isdigit() and len(cause) < 4:
            found.setdefault(protocol.strip().lower(), int(cause))
    return found


def refused(response: Response) -> Refused:
    """Return the event of a final response that is no 2xx."""
    return Refused(
        code=response.code,
        phrase=readable(response.phrase)[:200],
        cause=reasons(response.headers).get("q.850"),
        retry_after=min(response.headers.number("retry-after") or 0, MAX_RETRY_AFTER),
    )
