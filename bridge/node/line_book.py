"""The lines and their keys: those of the settings, and what an operator has changed since.

Changes are stored in the database, so that all nodes agree and restarts change nothing. Keys are stored as
SHA-256 digests: keys are long and random, so a digest cannot be inverted, and the time of a look-up reveals
nothing about one.
"""

import hashlib
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import msgspec

from bridge.call.model import LineName
from bridge.cluster.siblings import Siblings
from bridge.db.database import Connection, Database
from bridge.errors import Forbidden, InvalidRequest, InvalidState, NotFound
from bridge.node.lines import LINES_PATH

MAX_KEYS: Final = 16
"""Of one line."""
MAX_LINES: Final = 10_000
NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?")
"""Names are parts of URLs and of file paths."""


class StoredKey(msgspec.Struct, frozen=True):
    """A key as it is stored."""

    digest: str
    created_at: float
    """Seconds since 1970."""
    expires_at: float | None = None

    @property
    def key_id(self) -> str:
        """Identifies the key without giving access."""
        return self.digest[:16]


class _Entry(msgspec.Struct, frozen=True):
    made: bool = False
    """Whether an operator made the line; the others are in the settings."""
    removed: bool = False
    """Its name is not reused, so that nobody else gets what is left of its calls."""
    paused: bool = False
    numbers: tuple[str, ...] = ()
    keys: tuple[StoredKey, ...] = ()
    ends: dict[str, float] = {}
    """When keys of the settings expire, by digest; seconds since 1970."""


@dataclass(frozen=True, slots=True)
class KnownLine:
    """A line as an operator sees it."""

    name: LineName
    made: bool
    paused: bool
    numbers: tuple[str, ...]
    keys: tuple[StoredKey, ...]
    """Those that are valid now; keys of the settings were created at 0."""


class LineBook:
    """The lines of a bridge and their keys."""

    def __init__(
        self,
        database: Database,
        keys: Mapping[LineName, Sequence[str]],
        numbers: Mapping[LineName, Sequence[str]],
        *,
        siblings: Siblings | None = None,
        now: Callable[[], float] = lambda: datetime.now(UTC).timestamp(),
    ) -> None:
        """`reload` reads what was changed.

        Keys and numbers are those of the settings; `siblings` are notified of changes; `now` returns the
        seconds since 1970.
        """
        self._database = database
        self._set = {
            line: tuple(StoredKey(digest_of(key.encode()), 0.0) for key in found)
            for line, found in keys.items()
        }
        self._numbers = {line: tuple(found) for line, found in numbers.items()}
        self._siblings = siblings
        self._now = now
        self._entries: dict[LineName, _Entry] = {}
        self._lines: dict[str, tuple[LineName, float | None]] = {}
        self._followers: list[Callable[[KnownLine | None, LineName], None]] = []
        self._index()

    def follow_changes(self, follower: Callable[[KnownLine | None, LineName], None]) -> None:
        """Call a function with each line that changes, and None for one that was removed."""
        self._followers.append(follower)

    def line_of(self, key: bytes) -> LineName | None:
        """Return the line of a key, while it is valid."""
        line, expires_at = self._lines.get(digest_of(key), (None, None))
        return None if expires_at is not None and expires_at <= self._now() else line

    def has(self, line: str) -> bool:
        """Whether the line exists."""
        return self._known(LineName(line)) is not None

    def paused(self, line: LineName) -> bool:
        """Whether the line makes and takes no calls, and its keys give no access."""
        return self._entries.get(line, _Entry()).paused

    def check_open(self, line: LineName) -> None:
        """Raise `Forbidden` while a line is paused."""
        if self.paused(line):
            raise Forbidden("this line is paused; ask who runs the bridge")

    def all(self) -> list[KnownLine]:
        """Return every line, by name."""
        names = sorted({*self._set, *self._entries})
        return [known for name in names if (known := self._known(name)) is not None]

    def find(self, name: str) -> KnownLine:
        """Return a line, or raise `NotFound`."""
        known = self._known(LineName(name))
        if known is None:
            raise NotFound("there is no such line")
        return known

    async def create(self, name: str, numbers: Sequence[str]) -> tuple[KnownLine, str]:
        """Make a line for simulated contacts and browsers; return it and its key.

        Raises:
            InvalidRequest: the name is invalid.
            InvalidState: there is or was such a line, or there are too many.
        """
        if not NAME.fullmatch(name):
            raise InvalidRequest("name: expected a-z, 0-9, - and _, at most 63", field="name")
        key, stored = self._new_key()

        def change(entry: _Entry | None) -> _Entry:
            if entry is not None or name in self._set:
                raise InvalidState("there is, or was, a line of this name")
            if len(self._entries) >= MAX_LINES:
                raise InvalidState(f"there are {MAX_LINES} lines already")
            return _Entry(made=True, numbers=tuple(numbers), keys=(stored,))

        await self._change(LineName(name), change)
        return self.find(name), key

    async def add_key(self, name: str, *, others_end_in: float | None) -> tuple[StoredKey, str]:
        """Add a key to a line; `others_end_in` seconds later the others expire, if it is not None.

        Raises:
            NotFound: there is no such line.
            InvalidState: it has too many keys.
        """
        known = self.find(name)
        key, stored = self._new_key()
        now = self._now()
        ends = None if others_end_in is None else now + others_end_in

        def change(entry: _Entry | None) -> _Entry:
            entry = entry or _Entry()
            kept = [one for one in entry.keys if not _expired(one.expires_at, now)]
            if len(kept) >= MAX_KEYS:
                raise InvalidState(f"the line has {MAX_KEYS} keys already; remove one")
            if ends is None:
                return msgspec.structs.replace(entry, keys=(*kept, stored))
            older = tuple(
                msgspec.structs.replace(one, expires_at=min(one.expires_at or ends, ends))
                for one in kept
            )
            of_settings = {one.digest: ends for one in self._set.get(known.name, ())}
            sooner = {digest: min(end, ends) for digest, end in entry.ends.items()}
            return msgspec.structs.replace(entry, keys=(*older, stored), ends=of_settings | sooner)

        await self._change(known.name, change)
        return stored, key

    async def remove_key(self, name: str, key_id: str) -> None:
        """Remove a key of a line at once.

        Raises:
            NotFound: there is no such line, or it has no such key.
        """
        known = self.find(name)
        found = next((one for one in known.keys if one.key_id == key_id), None)
        if found is None:
            raise NotFound("the line has no such key")

        def change(entry: _Entry | None) -> _Entry:
            entry = entry or _Entry()
            left = tuple(one for one in entry.keys if one.digest != found.digest)
            of_settings = any(one.digest == found.digest for one in self._set.get(known.name, ()))
            ends = entry.ends | ({found.digest: 0.0} if of_settings else {})
            return msgspec.structs.replace(entry, keys=left, ends=ends)

        await self._change(known.name, change)

    async def pause(self, name: str, *, paused: bool) -> KnownLine:
        """Pause or resume a line; while paused it has no calls and its keys give no access.

        Raises:
            NotFound: there is no such line.
        """
        known = self.find(name)
        await self._change(
            known.name, lambda entry: msgspec.structs.replace(entry or _Entry(), paused=paused)
        )
        return self.find(name)

    async def remove(self, name: str) -> None:
        """Remove a line that an operator made.

        Raises:
            NotFound: there is no such line.
            InvalidState: the line is in the settings.
        """
        known = self.find(name)
        if not known.made:
            raise InvalidState("this line is in the settings file; pause it, or remove it there")
        await self._change(known.name, lambda entry: _Entry(made=True, removed=True))

    async def reload(self) -> None:
        """Read what may have changed elsewhere."""
        before, self._entries = self._entries, await self._database.run(_read_all)
        self._index()
        for line in {*before, *self._entries}:
            if before.get(line) != self._entries.get(line):
                for follower in self._followers:
                    follower(self._known(line), line)

    async def _change(self, line: LineName, change: Callable[[_Entry | None], _Entry]) -> None:
        def work(connection: Connection) -> None:
            entry = change(_read_all(connection, line).get(line))
            connection.execute(
                "INSERT INTO line_book VALUES (?, ?) "
                "ON CONFLICT (line) DO UPDATE SET entry = excluded.entry",
                (line, msgspec.json.encode(entry)),
            )

        await self._database.run(work)
        await self.reload()
        if self._siblings is not None:
            await self._siblings.request_all(LINES_PATH)

    def _known(self, line: LineName) -> KnownLine | None:
        entry = self._entries.get(line)
        if line not in self._set and (entry is None or entry.removed or not entry.made):
            return None
        entry, now = entry or _Entry(), self._now()
        of_settings = (
            msgspec.structs.replace(one, expires_at=entry.ends.get(one.digest))
            for one in self._set.get(line, ())
        )
        keys = tuple(
            one for one in (*of_settings, *entry.keys) if not _expired(one.expires_at, now)
        )
        numbers = entry.numbers or self._numbers.get(line, ())
        return KnownLine(line, line not in self._set, entry.paused, numbers, keys)

    def _index(self) -> None:
        self._lines = {
            key.digest: (known.name, key.expires_at) for known in self.all() for key in known.keys
        }

    def _new_key(self) -> tuple[str, StoredKey]:
        key = secrets.token_urlsafe(32)
        return key, StoredKey(digest_of(key.encode()), self._now())


def digest_of(key: bytes) -> str:
    """Return what a key is stored and looked up as."""
    return hashlib.sha256(key).hexdigest()


def _expired(expires_at: float | None, now: float) -> bool:
    return expires_at is not None and expires_at <= now


def _read_all(connection: Connection, line: LineName | None = None) -> dict[LineName, _Entry]:
    rows = connection.execute(
        "SELECT line, entry FROM line_book WHERE line = coalesce(?, line)", (line,)
    )
    return {LineName(name): msgspec.json.decode(entry, type=_Entry) for name, entry in rows}
