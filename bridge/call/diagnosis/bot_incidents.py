"""Problems of bots that are reported and not measured: by a handshake's response, and by a model's server."""

from collections.abc import Mapping
from typing import Any, Final

from bridge.call.diagnosis.bot_mends import mend
from bridge.call.diagnosis.finding import Finding
from bridge.call.diagnosis.observation import BotKind
from bridge.call.diagnosis.problems import Code, Severity

FUNCTION_FAILED: Final = "function_failed"
WRONG_ENCODING: Final = "wrong_encoding"
"""Errors that the bridge itself reports; the second is measured as well."""
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
"""What the code of an error contains, and what it means."""
_REFUSED: Final[Mapping[str, str]] = {
    "the key is not valid": "Set a valid key in lines.NAME.realtime.key.",
    "the key may not do this": "Use a key of a project that may use the model, in lines.NAME.realtime.key.",
    "the account's quota is used up": "Raise the limits of the key's account, or pay its bill.",
    "there are too many requests": "Raise the rate limits of the key's account, or take fewer calls at a time.",
    "the model is not available": "Set the name of a model that the key may use in lines.NAME.realtime.model.",
}
STATUS_MENDS: Final[Mapping[int, str]] = {
    401: "It wants other credentials. ",
    403: "It does not let the bridge in. ",
    404: "There is nothing at this path. ",
    429: "It is asked too often. ",
}
"""What comes before what the author of the bot does."""


def refused_stream(data: Mapping[str, Any]) -> Finding:
    """Return the problem of a stream whose server has refused the handshake, from the data of `stream.ended`."""
    status, protocol = int(data["status"]), str(data.get("protocol", ""))
    kind = BotKind(protocol) if protocol in list(BotKind) else None
    fix = mend(Code.BOT_REFUSED, kind)
    evidence = {"status": status, "protocol": protocol}
    return Finding(
        Code.BOT_REFUSED, None, evidence, fix=STATUS_MENDS.get(status, "") + fix if fix else ""
    )


def stream_error(data: Mapping[str, Any]) -> Finding | None:
    """Return the problem that an error of a stream's server is, from the data of `stream.error`; None for one that is no problem."""
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
