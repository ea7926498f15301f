"""Problems of bots that are reported rather than measured: by the response to a handshake, or by a model's server."""

from collections.abc import Mapping
from typing import Any, Final

from bridge.call.diagnosis.bot_mends import mend
from bridge.call.diagnosis.finding import Finding
from bridge.call.diagnosis.observation import BotKind
from bridge.call.diagnosis.problems import Code, Severity

FUNCTION_FAILED: Final = "function_failed"
WRONG_ENCODING: Final = "wrong_encoding"
"""Errors that the bridge itself reports."""
_WORDS: Final[Mapping[str, str]] = {
    "auth": "the key is not valid",
    "api_key": "the key is not valid",
    "permission": "the key may not do this",
    "quota": "the account's quota is used up",
    "billing": "the account's quota is used up",
    "rate_limit": "there are too many requests",
    "model": "the model is not available",
    "expired": "the session is over",
    "server_error": "the model's server fails",
    "overloaded": "the model's server is overloaded",
}
"""Substrings of error codes, and what they mean."""
_REFUSED: Final[Mapping[str, str]] = {
    "the key is not valid": "Set a valid key in lines.NAME.realtime.key.",
    "the key may not do this": "Use a key of a project that may use the model, in lines.NAME.realtime.key.",
    "the account's quota is used up": "Raise the limits of the key's account, or pay its bill.",
    "there are too many requests": "Raise the rate limits of the key's account, or take fewer calls at a time.",
    "the model is not available": "Set the name of a model that the key may use in lines.NAME.realtime.model.",
}
STATUS_MENDS: Final[Mapping[int, str]] = {
    401: "It rejects the credentials. ",
    403: "It denies access. ",
    404: "The path does not exist. ",
    429: "It receives too many requests. ",
}
"""Put before the fix, by the status of the response."""


def refused_stream(data: Mapping[str, Any]) -> Finding:
    """Return the problem of a stream whose server refused the handshake, from the data of `stream.ended`."""
    status, protocol = int(data["status"]), str(data.get("protocol", ""))
    kind = BotKind(protocol) if protocol in list(BotKind) else None
    fix = mend(Code.BOT_REFUSED, kind)
    evidence = {"status": status, "protocol": protocol}
    return Finding(
        Code.BOT_REFUSED, None, evidence, fix=STATUS_MENDS.get(status, "") + fix if fix else ""
    )


def stream_error(data: Mapping[str, Any]) -> Finding | None:
    """Return the problem behind an error of a stream's server, from the data of `stream.error`; None if it is harmless."""
    code, message = str(data.get("code", "")), str(data.get("message", ""))
    if code == WRONG_ENCODING:
        return None
    if code == FUNCTION_FAILED:
        return Finding(Code.BOT_FUNCTION_FAILED, None, {"reason": message})
    reason = next((words for part, words in _WORDS.items() if part in code), "")
    fix = _REFUSED.get(reason) or mend(Code.BOT_PROVIDER_REFUSED, BotKind.REALTIME)
    evidence = {"reason": reason or "it reports an error", "error": code, "message": message}
    severity = None if reason else Severity.DEGRADED
    return Finding(Code.BOT_PROVIDER_REFUSED, None, evidence, severity, fix)
