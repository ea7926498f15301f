"""Header fields of a SIP message, in order, with the values that every message has."""

import re
from collections.abc import Iterable, Iterator

from bridge.sip.message.values import Address, CSeq, ValueSyntaxError, Via, split_outside

COMPACT = {
    "a": "accept-contact", "b": "referred-by", "c": "content-type", "d": "request-disposition",
    "e": "content-encoding", "f": "from", "i": "call-id", "j": "reject-contact", "k": "supported",
    "l": "content-length", "m": "contact", "o": "event", "r": "refer-to", "s": "subject", "t": "to",
    "u": "allow-events", "v": "via", "x": "session-expires", "y": "identity",
}  # fmt: skip
"""One-letter names (IANA, SIP header fields)."""
_SPELLED = {
    "call-id": "Call-ID", "cseq": "CSeq", "www-authenticate": "WWW-Authenticate", "rack": "RAck",
    "rseq": "RSeq", "min-se": "Min-SE", "mime-version": "MIME-Version",
}  # fmt: skip
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]+")
_DIGITS = re.compile(r"[0-9]{1,10}")


class Headers:
    """Header fields by name; names in any case, kept in the order of their first value."""

    __slots__ = ("_values",)

    def __init__(self, fields: Iterable[tuple[str, str]] = ()) -> None:
        self._values: dict[str, list[str]] = {}
        for name, value in fields:
            self.add(name, value)

    def add(self, name: str, value: str) -> None:
        """Append a value; control characters, which could end the line, become spaces."""
        key = name.lower()
        self._values.setdefault(COMPACT.get(key, key), []).append(_CONTROL.sub(" ", value))

    def put(self, name: str, *values: str) -> None:
        """Replace all values of a name; none removes it."""
        self._values.pop(name.lower(), None)
        for value in values:
            self.add(name, value)

    def first(self, name: str) -> str:
        """Return the first value; empty for none."""
        values = self._values.get(name)
        return values[0] if values else ""

    def all(self, name: str) -> list[str]:
        """Return the values of a lower-case name, one for each line."""
        return list(self._values.get(name, ()))

    def split(self, name: str) -> list[str]:
        """Return the values of a comma-separated field, whatever the lines.

        Raises:
            ValueSyntaxError: a quoted string or bracket does not end.
        """
        found = [part for line in self._values.get(name, ()) for part in split_outside(line, ",")]
        return [part for part in found if part]

    def tokens(self, name: str) -> set[str]:
        """Return the lower-case tokens of a field such as Supported; what cannot be read is none."""
        try:
            return {token.lower() for token in self.split(name)}
        except ValueSyntaxError:
            return set()

    def number(self, name: str) -> int | None:
        """Return the number a field begins with (`1800;refresher=uac`); None if there is none."""
        found = _DIGITS.match(self.first(name).strip())
        return int(found[0]) if found else None

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def __iter__(self) -> Iterator[tuple[str, str]]:
        for key, values in self._values.items():
            for value in values:
                yield key, value

    # Of a message that was parsed or is complete these cannot fail.

    @property
    def top_via(self) -> Via:
        """The first Via value."""
        return Via.parse(self.split("via")[0])

    @property
    def from_(self) -> Address:
        """From."""
        return Address.parse(self.first("from"))

    @property
    def to(self) -> Address:
        """To."""
        return Address.parse(self.first("to"))

    @property
    def call_id(self) -> str:
        """Call-ID."""
        return self.first("call-id")

    @property
    def cseq(self) -> CSeq:
        """CSeq."""
        return CSeq.parse(self.first("cseq"))

    def addresses(self, name: str) -> list[Address]:
        """Return the addresses of a field.

        Raises:
            ValueSyntaxError: one of them is none.
        """
        return [Address.parse(part) for part in self.split(name)]

    def text(self) -> str:
        """Return the header section without the empty line."""
        return "".join(f"{_spelled(name)}: {value}\r\n" for name, value in self)


def _spelled(name: str) -> str:
    return _SPELLED.get(name) or "-".join(part.capitalize() for part in name.split("-"))
