"""The SDP grammar (RFC 8866 §5): text to sections of numbered attributes."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from bridge.errors import SdpError

_MAX_TEXT: Final = 65_536
_MAX_MEDIA_LINES: Final = 128

_LINE: Final = re.compile(r"[a-z]=[^\x00-\x08\x0a-\x1f\x7f]*")
_LINE_END: Final = re.compile(r"\r\n|\n|\r")
_ALPHABET: Final = r"[!#$%&'*+\-.0-9A-Z^_`a-z{|}~]"
_TOKEN: Final = re.compile(f"{_ALPHABET}+")
_MEDIA: Final = re.compile(
    rf"(?P<kind>{_ALPHABET}+) +(?P<port>[0-9]{{1,5}})(?:/[0-9]{{1,5}})? +"
    rf"(?P<protocol>(?:{_ALPHABET}|/)+)(?P<formats>(?: +{_ALPHABET}+)+)"
)


@dataclass(frozen=True, slots=True)
class Attribute:
    """One `a=` line, or one of another type."""

    name: str
    value: str
    """The part after the colon, "" without one."""
    line: int
    """Counted from 1."""


@dataclass(frozen=True, slots=True)
class Section:
    """The attributes of the session, or of one media line."""

    attributes: tuple[Attribute, ...]
    fields: tuple[Attribute, ...]
    """The lines of other types, `c=` and `b=` among them, each named by its letter."""

    def field(self, letter: str) -> Attribute | None:
        """Return the first line of a type."""
        return next((one for one in self.fields if one.name == letter), None)

    def all(self, name: str) -> Iterator[Attribute]:
        """Return the attributes of a name, in order."""
        return (attribute for attribute in self.attributes if attribute.name == name)

    def first(self, name: str) -> Attribute | None:
        """Return the first attribute of a name."""
        return next(self.all(name), None)

    def has(self, name: str) -> bool:
        """Return whether there is an attribute of a name."""
        return self.first(name) is not None


@dataclass(frozen=True, slots=True)
class Media(Section):
    """One `m=` line and its attributes."""

    kind: str
    port: int
    protocol: str
    formats: tuple[str, ...]
    line: int
    """Counted from 1."""

    @property
    def mid(self) -> str:
        """Value of `a=mid`, "" without one."""
        attribute = self.first("mid")
        return attribute.value if attribute else ""


@dataclass(frozen=True, slots=True)
class Description:
    """A session description, split into sections."""

    session: Section
    media: tuple[Media, ...]

    bundle: tuple[str, ...]
    """Mids of the first BUNDLE group, the tagged one first (RFC 9143 §7); empty without one."""


def is_token(text: str) -> bool:
    """Return whether the text is a token of RFC 8866, safe to repeat in an answer."""
    return _TOKEN.fullmatch(text) is not None


def split_description(text: str) -> Description:
    """Split a description into sections; any line ending and trailing blanks are accepted.

    Raises:
        SdpError: It is too long, or not a valid session description.
    """
    if len(text) > _MAX_TEXT:
        raise SdpError("the SDP is longer than 64 kB")
    attributes: list[Attribute] = []
    fields: list[Attribute] = []
    session = attributes, fields
    media: list[tuple[str, int, list[Attribute], list[Attribute]]] = []
    begun = False
    for number, raw in enumerate(_LINE_END.split(text), start=1):
        line = raw.rstrip(" \t")
        if not line:
            continue
        if not begun and line != "v=0":
            raise SdpError('the SDP does not begin with "v=0"', line=number)
        begun = True
        if not _LINE.fullmatch(line):
            raise SdpError("this is not an SDP line", line=number)
        if line.startswith("m="):
            attributes, fields = [], []
            media.append((line[2:], number, attributes, fields))
        elif line.startswith("a="):
            name, _, value = line[2:].partition(":")
            attributes.append(Attribute(name.strip(), value.strip(), number))
        else:
            fields.append(Attribute(line[0], line[2:].strip(), number))
    if not begun:
        raise SdpError("the SDP is empty")
    if len(media) > _MAX_MEDIA_LINES:
        raise SdpError("the SDP has too many media lines")
    head = Section(*map(tuple, session))
    return Description(head, tuple(_parse_media(*each) for each in media), _read_bundle(head))


def _read_bundle(session: Section) -> tuple[str, ...]:
    for group in session.all("group"):
        semantics, *mids = group.value.split() or [""]
        if semantics == "BUNDLE":
            return tuple(mids)
    return ()


def _parse_media(
    head: str, number: int, attributes: list[Attribute], fields: list[Attribute]
) -> Media:
    match = _MEDIA.fullmatch(head)
    if not match or int(match["port"]) > 65_535:
        raise SdpError("the media line is malformed", line=number)
    formats = tuple(match["formats"].split())
    port = int(match["port"])
    kind, protocol = match["kind"], match["protocol"]
    media = Media(tuple(attributes), tuple(fields), kind, port, protocol, formats, number)
    if media.mid and not is_token(media.mid):
        raise SdpError("the media line's a=mid is malformed", line=number)
    return media
