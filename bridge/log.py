"""Logging to standard error: one line an event, ids from context, nothing secret.

The message is a constant in dotted past tense (`leg.ended`), data goes into `extra`. Call and leg
ids come from context variables, so that nobody passes them. Never a key, a number, SDP or audio.
"""

import json
import logging
import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Literal

from typing_extensions import override

call_id: ContextVar[str] = ContextVar("call_id", default="")
leg_id: ContextVar[str] = ContextVar("leg_id", default="")
request_id: ContextVar[str] = ContextVar("request_id", default="")
node: ContextVar[str] = ContextVar("node", default="")
"""Which of several nodes this process is; set once, before its loop starts."""

_MAX_FIELD = 1000
_PLAIN = frozenset(logging.LogRecord("", 0, "", 0, "", (), None).__dict__) | {"message", "asctime"}


def setup(level: str, style: Literal["text", "json"]) -> None:
    """Send every logger to standard error in one of two shapes."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if style == "json" else TextFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for noisy in ("aioice", "aiortc", "aiohttp.access"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    # It writes a request that it cannot read as it came, with the key that may be in it.
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)


@contextmanager
def about(call: str, leg: str) -> Iterator[None]:
    """Name a call and a leg in what is logged meanwhile, and later by what is started meanwhile."""
    before = call_id.set(call), leg_id.set(leg)
    try:
        yield
    finally:
        call_id.reset(before[0])
        leg_id.reset(before[1])


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    @override
    def format(self, record: logging.LogRecord) -> str:
        head = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
        }
        if record.exc_info:
            head["error"] = self.formatException(record.exc_info)
        return json.dumps(head | _fields(record), default=str)


class TextFormatter(logging.Formatter):
    """`time level event key=value …`, for people."""

    @override
    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created, UTC).strftime("%H:%M:%S.%f")[:-3]
        fields = " ".join(f"{key}={value}" for key, value in _fields(record).items())
        line = (
            f"{time} {record.levelname.lower():7} {_clean(record.getMessage())} {fields}".rstrip()
        )
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def _fields(record: logging.LogRecord) -> dict[str, str | float]:
    context = {
        "node": node.get(),
        "call": call_id.get(),
        "leg": leg_id.get(),
        "request": request_id.get(),
    }
    extra = {key: value for key, value in record.__dict__.items() if key not in _PLAIN}
    return {key: _plain(value) for key, value in (context | extra).items() if value != ""}


def _plain(value: object) -> str | float:
    """Leave figures and truths as they are, so that machines can compare them."""
    if isinstance(value, int | float) and math.isfinite(value):
        return value
    return _clean(str(value))


def _clean(text: str) -> str:
    """Keep a field on one line and short, whatever a stranger put into it."""
    return "".join(c if c.isprintable() else "?" for c in text[:_MAX_FIELD])
