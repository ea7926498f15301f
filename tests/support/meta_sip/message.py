"""SIP messages and digest authentication for the double of Meta's SIP server, from the RFCs and without code of the bridge."""

import hashlib
import re
import secrets
from collections.abc import Sequence

Header = tuple[str, str]
_PARAMETER = re.compile(r'([a-z]+)\s*=\s*(?:"([^"]*)"|([^\s,]+))', re.IGNORECASE)
_HASHES = {"MD5": "md5", "SHA-256": "sha256"}


class Message:
    """A request or a response."""

    def __init__(self, head: str, body: str) -> None:
        self.start, *lines = head.split("\r\n")
        self.body = body
        pairs = [line.partition(":")[::2] for line in lines]
        self.headers: list[Header] = [(name.strip().lower(), text.strip()) for name, text in pairs]
        words = self.start.split(" ", 2)
        self.code = int(words[1]) if words[0] == "SIP/2.0" else 0
        """Of a response; 0 of a request."""
        self.method = words[0] if not self.code else self.value("cseq").split()[1]
        """Of a response: that of its request."""
        self.uri = "" if self.code else words[1]

    def all(self, name: str) -> list[str]:
        """Return the values of a header, in their order."""
        return [text for found, text in self.headers if found == name]

    def value(self, name: str) -> str:
        """Return the first value of a header; empty if there is none."""
        return next(iter(self.all(name)), "")

    @property
    def sequence(self) -> int:
        """The number of CSeq."""
        return int(self.value("cseq").split()[0])

    @property
    def branch(self) -> str:
        """Of the topmost Via, which names the transaction."""
        found = re.search(r"branch=([^;,\s]+)", self.value("via"))
        return found[1] if found else ""

    def tag(self, name: str) -> str:
        """Return the tag of From or To; empty if it has none."""
        found = re.search(r">.*;tag=([^;]+)", self.value(name))
        return found[1] if found else ""


def take(buffer: bytearray) -> Message | None:
    """Take the first whole message out of what a connection has brought."""
    while buffer[:2] == b"\r\n":
        del buffer[:2]
    end = buffer.find(b"\r\n\r\n")
    if end < 0:
        return None
    head = buffer[:end].decode()
    found = re.search(r"\r\ncontent-length:\s*(\d+)", head, re.IGNORECASE)
    whole = end + 4 + (int(found[1]) if found else 0)
    if len(buffer) < whole:
        return None
    body = buffer[end + 4 : whole].decode()
    del buffer[:whole]
    return Message(head, body)


def compose(start: str, headers: Sequence[Header], body: str = "") -> bytes:
    """Write a message as Meta does, with blanks before a length."""
    lines = [start, *(f"{name}: {text}" for name, text in headers)]
    if body:
        lines.append("Content-Type: application/sdp")
    lines.append(f"Content-Length: {len(body.encode()):>5}")
    return "\r\n".join([*lines, "", body]).encode()


def uri_in(address: str) -> str:
    """Return the URI of a name-addr such as From, To or Contact."""
    found = re.search(r"<([^>]+)>", address)
    return found[1] if found else address.partition(";")[0].strip()


def uris_in(addresses: Sequence[str]) -> list[str]:
    """Return the URIs of all routes in these values of Route or Record-Route."""
    return re.findall(r"<([^>]+)>", ",".join(addresses))


def user_of(uri: str) -> str:
    """Return the user of a URI without the parameters of the user part."""
    return uri.partition(":")[2].rpartition("@")[0].partition(";")[0]


def host_of(uri: str) -> str:
    """Return the host of a URI, without port and parameters."""
    return uri.partition(":")[2].rpartition("@")[2].partition(";")[0].partition(":")[0]


def digest_fields(value: str) -> dict[str, str]:
    """Return the parameters of a challenge or of credentials; nothing of another scheme."""
    scheme, _, rest = value.partition(" ")
    if scheme.lower() != "digest":
        return {}
    return {name.lower(): quoted or bare for name, quoted, bare in _PARAMETER.findall(rest)}


def challenge(realm: str, nonce: str, *, algorithm: str, stale: bool = False) -> str:
    """Write a challenge with `qop=auth`."""
    text = f'Digest realm="{realm}",nonce="{nonce}",opaque="{nonce[:8]}",algorithm={algorithm}'
    return f'{text},qop="auth"' + (",stale=true" if stale else "")


def digest(fields: dict[str, str], password: str, method: str) -> str:
    """Return the `response` that belongs to these parameters (RFC 7616)."""
    name = _HASHES[fields.get("algorithm", "MD5").upper()]

    def hashed(*parts: str) -> str:
        return hashlib.new(name, ":".join(parts).encode()).hexdigest()

    first = hashed(fields["username"], fields["realm"], password)
    last = hashed(method, fields["uri"])
    if "qop" not in fields:
        return hashed(first, fields["nonce"], last)
    middle = [fields[name] for name in ("nonce", "nc", "cnonce", "qop")]
    return hashed(first, *middle, last)


def credentials(asked: dict[str, str], username: str, password: str, method: str, uri: str) -> str:
    """Answer a challenge."""
    given = {"username": username, "realm": asked["realm"], "nonce": asked["nonce"], "uri": uri}
    given |= {name: asked[name] for name in ("algorithm", "opaque") if name in asked}
    if "qop" in asked:
        given |= {"qop": "auth", "nc": "00000001", "cnonce": secrets.token_hex(8)}
    given["response"] = digest(given, password, method)
    bare = ("algorithm", "qop", "nc")
    parts = [f"{n}={text}" if n in bare else f'{n}="{text}"' for n, text in given.items()]
    return "Digest " + ", ".join(parts)
