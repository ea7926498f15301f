"""Writes to the database what waited for it in the spool."""

import contextlib
import logging
from collections.abc import Mapping, Sequence
from itertools import groupby

from bridge.db.group import Handler, handle
from bridge.db.session import Session
from bridge.db.spool import Spooled
from bridge.errors import DatabaseFailed, DatabaseLost

log = logging.getLogger(__name__)


def replay(
    session: Session, page: Sequence[Spooled], handlers: Mapping[str, Handler]
) -> list[Spooled]:
    """Write payloads in one transaction, or each in its own if that is refused; return those refused for good.

    Raises:
        DatabaseLost: the connection is gone; any of them may have been written.
    """
    try:
        return _write(session, page, handlers)
    except DatabaseLost:
        raise
    except DatabaseFailed:
        # The transaction as a whole was refused: whose fault is it?
        return [one for one in page if _is_refused(session, one, handlers)]


def _write(
    session: Session, page: Sequence[Spooled], handlers: Mapping[str, Handler]
) -> list[Spooled]:
    refused = []
    try:
        session.begin()
        for kind, same in groupby(page, key=lambda one: one.kind):
            payloads = list(same)
            errors = handle(session, kind, [one.body for one in payloads], handlers)
            for one, error in zip(payloads, errors, strict=True):
                if error is not None:
                    log.error("database.refused", extra={"kind": kind}, exc_info=error)
                    refused.append(one)
        session.commit()
    except DatabaseFailed:
        with contextlib.suppress(DatabaseFailed):
            session.rollback()
        raise
    return refused


def _is_refused(session: Session, one: Spooled, handlers: Mapping[str, Handler]) -> bool:
    try:
        return bool(_write(session, [one], handlers))
    except DatabaseLost:
        raise
    except DatabaseFailed as error:
        log.error("database.refused", extra={"kind": one.kind}, exc_info=error)
        return True
