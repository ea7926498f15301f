"""What runs in one transaction of the database's writer: functions, and payloads for handlers."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, TypeAlias

from bridge.db.session import Connection, Session
from bridge.errors import DatabaseFailed, DatabaseLost

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
