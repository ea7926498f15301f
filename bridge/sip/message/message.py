"""Parsing and writing of SIP requests and responses (RFC 3261 section 7), safe for untrusted input."""

import re
from dataclasses import dataclass, field

from bridge.sip.message.headers import Headers
from bridge.sip.message.values import Address, CSeq, Uri, ValueSyntaxError, Via

MAX_BYTES = 65535
MAX_HEAD = 16_384
"""Octets of the header section: bounds the time of parsing."""
MAX_HEADERS = 200
VERSION = "SIP/2.0"
_TOKEN = re.compile(r"[A-Za-z0-9\-.!%*_+`'~]+")
_FOLD = re.compile(r"\r\n[ \t]+")
_VERSION = re.compile(r"SIP/[0-9]+\.[0-9]+", re.IGNORECASE)
_CODE = re.compile(r"[1-6][0-9][0-9]")
_LENGTH = re.compile(r"[0-9]{1,9}")
_SINGLE = (
    "from",
    "to",
    "call-id",
    "cseq",
    "max-forwards",
    "content-length",
    "content-type",
    "expires",
)
"""Fields that may occur once: parsers differ in which of two values they take."""

PHRASES = {
    100: "Trying", 180: "Ringing", 181: "Call Is Being Forwarded", 182: "Queued", 183: "Session Progress",
    200: "OK", 202: "Accepted", 302: "Moved Temporarily", 400: "Bad Request", 401: "Unauthorized",
    403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed", 406: "Not Acceptable",
    407: "Proxy Authentication Required", 408: "Request Timeout", 410: "Gone", 413: "Request Entity Too Large",
    415: "Unsupported Media Type", 416: "Unsupported URI Scheme", 420: "Bad Extension",
    422: "Session Interval Too Small", 423: "Interval Too Brief", 480: "Temporarily Unavailable",
    481: "Call/Transaction Does Not Exist", 482: "Loop Detected", 484: "Address Incomplete",
    486: "Busy Here", 487: "Request Terminated", 488: "Not Acceptable Here", 489: "Bad Event",
    491: "Request Pending", 500: "Server Internal Error", 501: "Not Implemented", 503: "Service Unavailable",
    504: "Server Time-out", 505: "Version Not Supported", 513: "Message Too Large", 600: "Busy Everywhere",
    603: "Decline", 604: "Does Not Exist Anywhere", 606: "Not Acceptable",
}  # fmt: skip


@dataclass(slots=True)
class Request:
    """A request."""

    method: str
    uri: str
    headers: Headers = field(default_factory=Headers)
    body: bytes = field(default=b"", repr=False)

    def __bytes__(self) -> bytes:
        return _serialize(f"{self.method} {self.uri} {VERSION}", self.headers, self.body)


@dataclass(slots=True)
class Response:
    """A response."""

    code: int
    phrase: str
    headers: Headers = field(default_factory=Headers)
    body: bytes = field(default=b"", repr=False)
    local: bool = False
    """Generated locally: 408 for a timeout, 503 for a transport error (RFC 3261 section 8.1.3.1)."""

    def __bytes__(self) -> bytes:
        return _serialize(f"{VERSION} {self.code} {self.phrase}", self.headers, self.body)


class SipError(Exception):
    """A message is malformed or not supported."""

    def __init__(
        self, code: int, reason: str, *, headers: tuple[tuple[str, str], ...] = ()
    ) -> None:
        super().__init__(reason)
        self.code = code
        """The status code to respond with."""
        self.headers = headers
        """Header fields of that response."""
        self.request: Request | None = None
        """The request to respond to; None if no response can be built."""


def _serialize(start: str, headers: Headers, body: bytes) -> bytes:
    headers.put("Content-Length", str(len(body)))
    return f"{start}\r\n{headers.text()}\r\n".encode("utf-8", "surrogateescape") + body


def parse(data: bytes, *, datagram: bool = True) -> Request | Response:
    """Read one message; what follows its Content-Length in a datagram is ignored.

    Octets that are not UTF-8 become surrogates, so that a header is echoed as it came.

    Raises:
        SipError: it is malformed; `request` is set if it can be responded to.
    """
    if len(data) > MAX_BYTES:
        raise SipError(513, "too large")
    head, separator, body = data.lstrip(b"\r\n").partition(b"\r\n\r\n")
    if not separator:
        raise SipError(400, "no end of the header section")
    if len(head) > MAX_HEAD:
        raise SipError(513, "too large a header section")
    start, *lines = _FOLD.sub(" ", head.decode("utf-8", "surrogateescape")).split("\r\n")
    message, problem = _start_line(start)
    message.headers, unread = _fields(lines)
    try:
        if problem or unread:
            raise problem or SipError(400, unread)
        _check(message)
        message.body = _body(message.headers, body, datagram=datagram)
    except SipError as error:
        error.request = message if isinstance(message, Request) and _answerable(message) else None
        raise
    return message


def _start_line(line: str) -> tuple[Request | Response, SipError | None]:
    """Return the message that a start line begins, and what is wrong with the line.

    Raises:
        SipError: it is neither a request line nor a status line.
    """
    words = line.split(" ", 2)
    if _VERSION.fullmatch(words[0]):
        if len(words) < 2 or words[0].upper() != VERSION or not _CODE.fullmatch(words[1]):
            raise SipError(400, "not a status line")
        return Response(int(words[1]), words[2] if len(words) > 2 else ""), None
    method = words[0]
    if len(words) < 2 or not _TOKEN.fullmatch(method):
        raise SipError(400, "not a start line")
    request = Request(method, words[1])
    version = words[2] if len(words) > 2 else ""
    if not _VERSION.fullmatch(version):
        return request, SipError(400, "not a request line")
    if version.upper() != VERSION:
        return request, SipError(505, "another version of SIP")
    try:
        uri = Uri.parse(request.uri)
    except ValueSyntaxError as error:
        return request, SipError(400, str(error))
    # RFC 3261 section 19.1.1: no header component in a Request-URI; RFC 4475 section 3.1.2.11.
    return request, SipError(400, "headers in the Request-URI") if uri.headers else None


def _fields(lines: list[str]) -> tuple[Headers, str]:
    """Return the header fields, and what is wrong with them."""
    headers, problem = Headers(), ""
    if len(lines) > MAX_HEADERS:
        lines, problem = lines[:MAX_HEADERS], "too many header fields"
    for line in lines:
        name, colon, value = line.partition(":")
        name = name.rstrip(" \t")
        if (
            not colon
            or not _TOKEN.fullmatch(name)
            or "\r" in value
            or "\n" in value
            or "\0" in value
        ):
            problem = "a line that is no header field"
        else:
            headers.add(name, value.strip(" \t"))
    return headers, problem


def _check(message: Request | Response) -> None:
    """Check the fields that every message has.

    Raises:
        SipError: one is missing, stands twice, or cannot be read.
    """
    headers = message.headers
    for name in _SINGLE:
        if len(headers.all(name)) > 1:
            raise SipError(400, f"more than one {name}")
    if not headers.call_id:
        raise SipError(400, "no call-id")
    try:
        cseq = CSeq.parse(headers.first("cseq"))
        Address.parse(headers.first("from"))
        Address.parse(headers.first("to"))
        vias = [Via.parse(value) for value in headers.split("via")]
        headers.addresses("record-route")
        if isinstance(message, Request) and headers.first("contact") != "*":
            headers.addresses("contact")
    except ValueSyntaxError as error:
        raise SipError(400, str(error)) from None
    if not vias:
        raise SipError(400, "no via")
    if isinstance(message, Request) and cseq.method != message.method:
        raise SipError(400, "the method of CSeq is another")
    hops = headers.first("max-forwards")
    if hops and (not hops.isascii() or not hops.isdigit() or len(hops) > 3 or int(hops) > 255):
        raise SipError(400, "not a number of forwards")


def _body(headers: Headers, body: bytes, *, datagram: bool) -> bytes:
    given = headers.first("content-length")
    if not given:
        if not datagram and body:
            raise SipError(400, "a body of unknown length")
        return body
    if not _LENGTH.fullmatch(given) or int(given) > len(body):
        raise SipError(400, "not the length of the body")
    return body[: int(given)]


def _answerable(request: Request) -> bool:
    """Return whether a response can be routed and matched (RFC 3261 section 8.2.6.2)."""
    headers = request.headers
    try:
        Via.parse(headers.split("via")[0])
    except (ValueSyntaxError, IndexError):
        return False
    return request.method != "ACK" and all(
        headers.first(name) for name in ("from", "to", "call-id", "cseq")
    )


def reply(
    request: Request,
    code: int,
    *,
    tag: str = "",
    headers: tuple[tuple[str, str], ...] = (),
    body: bytes = b"",
) -> Response:
    """Return a response to a request; `tag` is added to To unless it has one."""
    response = Response(code, PHRASES.get(code, "Refused"))
    for name in ("via", "record-route") if 100 < code < 300 else ("via",):
        for value in request.headers.all(name):
            response.headers.add(name, value)
    to = request.headers.first("to")
    if tag and code != 100 and not re.search(r";\s*tag\s*=", to, re.IGNORECASE):
        to += f";tag={tag}"
    response.headers.put("From", request.headers.first("from"))
    response.headers.put("To", to)
    for name in ("call-id", "cseq"):
        response.headers.put(name, request.headers.first(name))
    if code == 100 and "timestamp" in request.headers:
        response.headers.put("Timestamp", request.headers.first("timestamp"))
    for name, value in headers:
        response.headers.add(name, value)
    response.body = body
    return response
