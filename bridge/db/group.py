"""What is queued for the database's writer, which runs a group of it in one transaction."""

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Final, TypeAlias

from bridge.db.session import Connection, Session
from bridge.errors import DatabaseFailed, DatabaseLost

MAX_WAITING: Final = 100_000
"""Queued items; more are dropped, logged and counted."""
GROUP: Final = 1000
"""Items in one transaction."""

Handler: TypeAlias = Callable[[Connection, list[bytes]], None]
"""Writes what was appended of one kind, in order; tried again one by one if it fails for several."""
Report: TypeAlias = Callable[[Any, BaseException | None], None]
"""Called in the loop with the result, or the failure."""
Outcome: TypeAlias = tuple[Report, Any, BaseException | None]


@dataclass(slots=True)
class Work:
    """A function to be run."""

    run: Callable[[Connection], Any]
    report: Report
    since: float = field(default_factory=time.monotonic)


@dataclass(slots=True)
class Payload:
    """What must not be lost, for the handler of its kind."""

    kind: str
    body: bytes
    report: Report


@dataclass(slots=True)
class Marker:
    """Reports that everything before it is on disk, or has failed."""

    report: Report


Item: TypeAlias = Work | Payload | Marker


class WriteQueue:
    """Items, taken in groups by one thread; the other methods may be called from any."""

    def __init__(self) -> None:
        self.closing = threading.Event()
        """Set when nothing more is accepted."""
        self._changed = threading.Condition()
        self._items: deque[Item] = deque()
        self._taken = False
        """Whether a group was taken and is not done."""
        self._woken = False

    @property
    def busy(self) -> bool:
        """Whether items are queued or being committed."""
        with self._changed:
            return not self.closing.is_set() and bool(self._items or self._taken)

    def put(self, item: Item) -> bool:
        """Queue an item; False when there are too many, or the queue was closed."""
        with self._changed:
            accepted = not self.closing.is_set() and len(self._items) < MAX_WAITING
            if accepted:
                self._items.append(item)
                self._changed.notify()
        return accepted

    def wake(self) -> None:
        """Have `take` return at once, now or the next time."""
        with self._changed:
            self._woken = True
            self._changed.notify()

    def close(self) -> None:
        """Accept nothing more; what is queued can still be taken."""
        with self._changed:
            self.closing.set()
            self._changed.notify()

    def take(self, seconds: float | None) -> list[Item]:
        """Return the next group: empty after so long without one (None: for ever), when woken or closed."""
        with self._changed:
            if not self._items and not self._woken and not self.closing.is_set():
                self._changed.wait(seconds)
            self._woken = False
            group = [self._items.popleft() for _ in range(min(GROUP, len(self._items)))]
            self._taken = bool(group)
            return group

    def done(self) -> bool:
        """Note that the group is done; return whether there may be another."""
        with self._changed:
            self._taken = False
            return bool(self._items) or not self.closing.is_set()


def transact(
    session: Session, group: Sequence[Item], handlers: Mapping[str, Handler]
) -> list[Outcome]:
    """Do a group in one transaction; return what has become of each (`perform`).

    Raises:
        Exception: the transaction has failed, and was rolled back.
    """
    try:
        session.begin()
        outcomes = perform(session, group, handlers)
        session.commit()
    except Exception:
        with contextlib.suppress(DatabaseFailed):
            session.rollback()
        raise
    return outcomes


def perform(
    session: Session, group: Sequence[Item], handlers: Mapping[str, Handler]
) -> list[Outcome]:
    """Do a group in its order; return what has become of each.

    Raises:
        DatabaseFailed: the whole transaction has failed.
    """
    outcomes: list[Outcome] = []
    for kind, same in groupby(group, key=lambda one: getattr(one, "kind", "")):
        if kind:
            payloads = [one for one in same if isinstance(one, Payload)]
            errors = handle(session, kind, [one.body for one in payloads], handlers)
            outcomes += [
                (one.report, None, error) for one, error in zip(payloads, errors, strict=True)
            ]
            continue
        for one in same:
            result = _attempt(session, one.run) if isinstance(one, Work) else (None, None)
            outcomes.append((one.report, *result))
    return outcomes


def handle(
    session: Session, kind: str, bodies: list[bytes], handlers: Mapping[str, Handler]
) -> list[BaseException | None]:
    """Write payloads of a kind; return what was wrong with each.

    Raises:
        DatabaseFailed: the whole transaction has failed.
    """
    if kind not in handlers:
        return [DatabaseFailed(f"nothing writes {kind}") for _ in bodies]
    _, error = _attempt(session, lambda connection: handlers[kind](connection, bodies))
    if error is None or len(bodies) == 1:
        return [error for _ in bodies]
    return [handle(session, kind, [body], handlers)[0] for body in bodies]


def _attempt(
    session: Session, work: Callable[[Connection], Any]
) -> tuple[Any, BaseException | None]:
    """Run a function within a savepoint; return its result, or its failure, after which nothing has changed.

    Raises:
        DatabaseFailed: the whole transaction has failed.
    """
    session.savepoint()
    try:
        result = work(session)
        session.release()
    except Exception as error:
        if not session.in_transaction:
            if isinstance(error, DatabaseLost):
                raise
            raise DatabaseFailed("the transaction was rolled back") from error
        session.rollback_to_savepoint()
        return None, error
    return result, None


def reason_of(error: BaseException) -> str:
    """Return what was wrong, without values (`db.postgres.described`)."""
    notes: list[str] = []
    cause: BaseException | None = error
    while cause is not None:
        notes += getattr(cause, "__notes__", [])
        cause = cause.__cause__
    return " ".join(notes) or str(error)
