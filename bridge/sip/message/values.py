"""Values of SIP header fields: URIs, addresses, Via and CSeq (RFC 3261 section 25, read leniently)."""

import re
import urllib.parse
from dataclasses import dataclass, field

_WORD = r"[A-Za-z0-9\-.!%*_+`'~]+"
_HOST = r"\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.\-]+"
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*):(.+)", re.DOTALL)
_HOST_PORT = re.compile(rf"({_HOST})(?::([0-9]{{1,5}}))?")
_VIA = re.compile(
    rf"SIP *\/ *2\.0 *\/ *({_WORD}) +({_HOST})(?: *: *([0-9]{{1,5}}))? *(;.*)?", re.IGNORECASE
)
_CSEQ = re.compile(rf"([0-9]{{1,10}}) +({_WORD})")
_PARAMETER = re.compile(rf'({_WORD})(?: *= *("(?:[^"\\]|\\.)*"|[^\s";,]*))?')
_QUOTED = re.compile(r'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
_PARTS = {
    separator: re.compile(rf'(?:[^"<{separator}]++|{_QUOTED.pattern}|<[^>]*+>)*+', re.DOTALL)
    for separator in ",;"
}
"""What precedes a separator; possessive, so that matching takes linear time."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_NOT_IN_URI = re.compile(r'[\s<>"\x00-\x1f\x7f]')
MAX_PORT = 65535
MAX_PARTS = 100
"""Values of a list, and parameters; more are malformed."""
MAX_SEQUENCE = 2**32 - 1


class ValueSyntaxError(ValueError):
    """A header value or URI cannot be read."""


def check_token(text: str) -> None:
    """Check a token, such as the name of a header field.

    Raises:
        ValueSyntaxError: it is not a token.
    """
    if not re.fullmatch(_WORD, text):
        raise ValueSyntaxError("not a token")


def split_outside(text: str, separator: str) -> list[str]:
    """Split at commas or semicolons that are neither in a quoted string nor between angle brackets.

    Raises:
        ValueSyntaxError: a quoted string or bracket does not end, or there are more than `MAX_PARTS`.
    """
    if separator not in text:
        return [text.strip()]
    parts, position = [], 0
    while True:
        found = _PARTS[separator].match(text, position)
        end = found.end() if found else position
        parts.append(text[position:end].strip())
        if end == len(text):
            return parts
        if text[end] != separator or len(parts) >= MAX_PARTS:
            raise ValueSyntaxError(
                "a quoted string or bracket that does not end, or too many parts"
            )
        position = end + 1


def _end_of_quoted(text: str, start: int) -> int:
    """Return where the quote is that closes the one at `start`."""
    found = _QUOTED.match(text, start)
    if found is None:
        raise ValueSyntaxError("a quoted string does not end")
    return found.end() - 1


def unquote(text: str) -> str:
    """Return the content of a quoted string; other text as it is."""
    if len(text) > 1 and text.startswith('"') and text.endswith('"'):
        # In C, as a string may be all escapes; no header holds a NUL.
        marked = text[1:-1].replace("\\\\", "\0").replace("\\", "")
        return marked.replace("\0", "\\")
    return text


def quote(text: str) -> str:
    """Return a quoted string."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def unescape(text: str) -> str:
    """Replace %-escapes; what is no escape stays."""
    return urllib.parse.unquote(text, errors="surrogateescape")


def escape(text: str, safe: str = "-_.!~*'()+&=$,;?/") -> str:
    """Replace what may not stand in a user part (or with another `safe`, elsewhere) by %-escapes."""
    return urllib.parse.quote(text, safe, errors="surrogateescape")


def parameters(text: str) -> dict[str, str]:
    """Read `;name=value;name`, names in lower case; the first of equal names counts.

    Raises:
        ValueSyntaxError: one of them is not a parameter.
    """
    found: dict[str, str] = {}
    if not text.strip():
        return found
    first, *parts = split_outside(text, ";")
    if first:
        raise ValueSyntaxError("parameters begin with a semicolon")
    for part in parts:
        match = _PARAMETER.fullmatch(part)
        if match is None:
            raise ValueSyntaxError("not a parameter")
        found.setdefault(match[1].lower(), unquote(match[2] or ""))
    return found


@dataclass(frozen=True, slots=True)
class Uri:
    """A URI; of schemes other than sip, sips and tel only the scheme is read."""

    text: str
    """As received."""
    scheme: str
    user: str = ""
    """Unescaped. Of tel URIs, the number with its separators."""
    host: str = ""
    """IPv6 without brackets."""
    port: int = 0
    """0 if there is none."""
    parameters: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    """Of `?name=value&...`, unescaped, names in lower case."""

    @classmethod
    def parse(cls, text: str) -> "Uri":
        """Read one URI, without angle brackets.

        Raises:
            ValueSyntaxError: it is not a URI.
        """
        found = _SCHEME.fullmatch(text)
        if found is None or _NOT_IN_URI.search(text):
            raise ValueSyntaxError("not a URI")
        scheme, rest = found[1].lower(), found[2]
        if scheme == "tel":
            number, *_ = rest.split(";")
            return cls(text, scheme, user=unescape(number))
        if scheme not in ("sip", "sips"):
            return cls(text, scheme)
        user, at, place = rest.partition("@")
        if not at:
            user, place = "", rest
        place, _, query = place.partition("?")
        place, *given = place.split(";", MAX_PARTS)
        where = _HOST_PORT.fullmatch(place)
        if where is None or int(where[2] or 0) > MAX_PORT or "@" in place:
            raise ValueSyntaxError("a SIP URI without a host")
        return cls(
            text,
            scheme,
            user=unescape(user.split(":")[0]),
            host=where[1].strip("[]"),
            port=int(where[2] or 0),
            parameters={unescape(key).lower(): unescape(value) for key, value in _pairs(given)},
            headers={
                unescape(key).lower(): unescape(value) for key, value in _pairs(query.split("&"))
            },
        )

    @property
    def transport(self) -> str:
        """The transport parameter in lower case, tls for sips; empty for none."""
        named = self.parameters.get("transport", "").lower()
        return "tls" if self.scheme == "sips" and named in ("", "tcp") else named


def _pairs(parts: list[str]) -> list[tuple[str, str]]:
    split = (part.partition("=") for part in parts if part)
    return [(key, value) for key, _, value in split]


@dataclass(frozen=True, slots=True)
class Address:
    """The value of From, To, Contact, Route and the like."""

    uri: Uri
    name: str = ""
    parameters: dict[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> "Address":
        """Read one address; without angle brackets, parameters are the address's and not the URI's.

        Raises:
            ValueSyntaxError: it is not an address.
        """
        text = text.strip()
        opening = _end_of_quoted(text, 0) + 1 if text.startswith('"') else 0
        bracket = text.find("<", opening)
        if bracket < 0:
            if opening:
                raise ValueSyntaxError("a display name without an address")
            spec, semicolon, rest = text.partition(";")
            if "?" in spec or "," in spec:
                raise ValueSyntaxError("this URI has to stand in angle brackets")
            return cls(Uri.parse(spec.strip()), "", parameters(semicolon + rest))
        end = text.find(">", bracket)
        name = text[:bracket].strip()
        if end < 0 or (opening and text[opening:bracket].strip()):
            raise ValueSyntaxError("not an address")
        if not opening and '"' in name:
            raise ValueSyntaxError("a quote in a display name that is not quoted")
        uri = Uri.parse(text[bracket + 1 : end].strip())
        return cls(uri, unquote(name), parameters(text[end + 1 :]))

    @property
    def tag(self) -> str:
        """The tag of From and To; empty for none."""
        return self.parameters.get("tag", "")


@dataclass(frozen=True, slots=True)
class Via:
    """One Via value."""

    transport: str
    """In upper case."""
    host: str
    port: int
    """0 if there is none."""
    parameters: dict[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> "Via":
        """Read one value.

        Raises:
            ValueSyntaxError: it is not a Via value.
        """
        found = _VIA.fullmatch(text.strip())
        if found is None or int(found[3] or 0) > MAX_PORT:
            raise ValueSyntaxError("not a Via value")
        return cls(
            found[1].upper(), found[2].strip("[]"), int(found[3] or 0), parameters(found[4] or "")
        )

    @property
    def branch(self) -> str:
        """The branch; empty for none."""
        return self.parameters.get("branch", "")


@dataclass(frozen=True, slots=True)
class CSeq:
    """Number and method of a request."""

    number: int
    method: str

    @classmethod
    def parse(cls, text: str) -> "CSeq":
        """Read the value.

        Raises:
            ValueSyntaxError: it is not a CSeq value, or exceeds 32 bits.
        """
        found = _CSEQ.fullmatch(text.strip())
        if found is None or int(found[1]) > MAX_SEQUENCE:
            raise ValueSyntaxError("not a CSeq value")
        return cls(int(found[1]), found[2])


def host_text(host: str) -> str:
    """Return a host as it stands in a URI: an IPv6 address in brackets."""
    return f"[{host}]" if ":" in host and not host.startswith("[") else host


def readable(text: str) -> str:
    """Return text fit for JSON: octets that are not UTF-8 as Latin-1, control characters as U+FFFD."""
    shown = "".join(chr(ord(c) - 0xDC00) if 0xDC80 <= ord(c) <= 0xDCFF else c for c in text)
    return _CONTROL.sub("\ufffd", shown)
