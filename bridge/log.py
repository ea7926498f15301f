"""Logging to standard error: one line per event, ids from context variables, no secrets.

The message is a constant in dotted past tense (`leg.ended`); data goes into `extra`. Keys, numbers,
SDP and audio are never logged.
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
"""The index of this node; set before its event loop starts."""

_MAX_FIELD = 1000
_PLAIN = frozenset(logging.LogRecord("", 0, "", 0, "", (), None).__dict__) | {"message", "asctime"}


def setup(level: str, style: Literal["text", "json"]) -> None:
    """Send every logger to standard error as text or JSON."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if style == "json" else TextFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for noisy in ("aioice", "aiortc", "aiohttp.access"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    # It logs malformed requests verbatim, keys included.
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)


@contextmanager
def about(call: str, leg: str) -> Iterator[None]:
    """Add call and leg to what is logged in this context, and by tasks started in it."""
    before = call_id.set(call), leg_id.set(leg)
    try:
        yield
    finally:
        call_id.reset(before[0])
        leg_id.reset(before[1])


class JsonFormatter(logging.Formatter):
    """One JSON object per line."""

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
    """Keep numbers and booleans as they are; other values become text."""
    if isinstance(value, int | float) and math.isfinite(value):
        return value
    return _clean(str(value))


def _clean(text: str) -> str:
    """Truncate text and replace unprintable characters."""
    return "".join(c if c.isprintable() else "?" for c in text[:_MAX_FIELD])
