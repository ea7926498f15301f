"""Problems that are reported and not measured: by the events of services, and by providers that refuse."""

from collections.abc import Mapping
from typing import Final

from bridge.call.diagnosis.bot_incidents import refused_stream, stream_error
from bridge.call.diagnosis.bot_mends import AGENT_MENDS
from bridge.call.diagnosis.finding import Finding
from bridge.call.diagnosis.problems import Code, Severity
from bridge.call.leg_state import FailedPart, ProviderFailure
from bridge.call.model import LegId
from bridge.errors import (
    BridgeError,
    LimitExceeded,
    NoCommonCodec,
    ProviderUnreachable,
    SdpError,
    TrunkFailed,
    TrunkUnreachable,
    Unreachable,
    WhatsAppError,
    WhatsAppRefused,
)
from bridge.wire.call_event import CallEvent, EventType
from bridge.wire.stream.media_stream import STREAM_FAILURES, StreamEndReason

_RESOLVED_BY: Final[Mapping[str, tuple[Code, ...]]] = {
    EventType.STREAM_STARTED: (
        Code.STREAM_UNREACHABLE,
        Code.BOT_REFUSED,
        Code.BOT_PROVIDER_REFUSED,
        Code.BOT_FUNCTION_FAILED,
    ),
    EventType.TURN: (Code.BOT_PROVIDER_REFUSED, Code.BOT_FUNCTION_FAILED),
    EventType.AGENT_REPLIED: (Code.AGENT_PROVIDER_FAILED,),
    EventType.RECORDING_STARTED: (Code.RECORDING_FAILED,),
}
MENDS: Final[Mapping[int, str]] = {
    3: "Grant the app of the access token the permission whatsapp_business_messaging.",
    4: "Wait until Meta takes requests again; fewer calls at a time avoid it.",
    10: "Grant the access token the permission whatsapp_business_messaging.",
    190: "Make a new access token and set lines.NAME.whatsapp.access_token.",
    200: "Use an access token of the business that owns the number.",
    368: "Appeal in Meta Business Support: the account is blocked.",
    130497: "Use a business number of a country from which Meta allows calls to that one.",
    131026: "Have the person update WhatsApp; they can call the number until then.",
    131030: "Add the recipient to the allowed list of the test number at Meta.",
    131031: "Unlock the business account in Meta Business Support.",
    131044: "Add a valid payment method to the business account at Meta.",
    131055: "Switch the number's SIP mode off at Meta.",
    138000: "Run: media-bridge whatsapp enable.",
    138001: "Check the number: this person cannot be called on WhatsApp.",
    138002: "Wait until another call of the number has ended.",
    138003: "Hang up the other call with this person first.",
    138005: "Wait until tomorrow: the number's calls of the day are used up.",
    138006: "Ask the person for permission with POST /call/permission.",
    138011: "Send the person a message, or wait for one of theirs, before asking for permission.",
    138012: "Wait: this person may be called again in 24 hours at the latest.",
    138013: "Use a business number of a country whose numbers Meta lets call.",
    138014: "Wait until Meta ends the pause, and call only people who expect it.",
    138018: "Subscribe the app to the webhook field calls.",
    138019: "Call again; if it fails for others too, run media-bridge whatsapp check.",
    138020: "Have the person try another network: theirs lets no call through.",
    138021: "Open UDP from rtc.ports to Meta's media servers; GET /call/{callId}/diagnosis names the hop.",
    138022: "Have the person check their network, and whether WhatsApp may use the microphone.",
    138023: "Open UDP from rtc.ports to Meta's media servers, and leave pre_accept on.",
    138024: "Set the number's SIP server at Meta, or switch its SIP mode off.",
    138025: "Set the SIP server with the token of the app that makes the calls, or switch SIP mode off.",
}
"""By Meta's number."""
_CHECK: Final = (
    "Run media-bridge whatsapp check; the message of Meta names what it does not accept."
)
_NUMBER: Final = "Check the number, and try again later."
_GATEWAY: Final = "Check the line's gateway settings and the log of the gateway."
TRUNK_MENDS: Final[Mapping[int, str]] = {
    403: "Ask the operator of the trunk: it must allow the destination and the caller's number (caller_id).",
    404: "Check the number; the trunk may want it in another form.",
    484: "Check the number: digits are missing.",
}
"""By the code of the trunk's response."""
STREAM_MENDS: Final[Mapping[str, str]] = {
    StreamEndReason.SERVER_ERROR: "Read the log of the stream's server: it has closed the connection.",
    StreamEndReason.FAILED: "Check that the stream's server still runs, and what lies between it and the bridge.",
    StreamEndReason.SLOW: "Read every message at once in the stream's server, and work on it elsewhere.",
    StreamEndReason.FLOOD: "Send audio and marks no faster than 20 times as fast as they are played.",
    StreamEndReason.TOO_LARGE: "Send audio in messages of less than a minute.",
    StreamEndReason.PROTOCOL_ERROR: "Send whole WebSocket messages (RFC 6455) with text in UTF-8.",
}
"""By the reason of a stream's end; for the others what the code says."""
_TRUNK_REFUSALS: Final[Mapping[int, FailedPart]] = {
    401: "account",
    407: "account",
    415: "codec",
    488: "codec",
    606: "codec",
}
_FAILURES: Final[Mapping[str, Code]] = {
    "trunk": Code.TRUNK_UNREACHABLE,
    "account": Code.SIP_REGISTRATION_FAILED,
    "codec": Code.CODEC_REFUSED,
}
_TRUNK: Final = "Ask the operator of the trunk, and name the number of the response."
_ON_PURPOSE: Final = frozenset({"upgrade", "drain"})
"""Causes of interruptions."""
_BROKEN_SECONDS: Final = 1.0
"""An interruption that lasts longer cuts words off."""
_NO_MENDS: Final = "None is needed: calls pass to another process when the bridge is upgraded, or a node is drained."
_DESCRIPTION: Final = "Read the log of the call, and report what the provider sends."


def incident_of(event: CallEvent) -> Finding | None:
    """Return the problem that an event of a service reports; None for none."""
    reason = str(event.data.get("reason", ""))
    match event.type:
        case EventType.STREAM_ENDED if event.data.get("status"):
            return refused_stream(event.data)
        case EventType.STREAM_ERROR:
            return stream_error(event.data)
        case EventType.STREAM_ENDED if reason in STREAM_FAILURES:
            error = str(event.data.get("error", ""))
            evidence = {"reason": reason} | ({"error": error} if error else {})
            return Finding(
                Code.STREAM_UNREACHABLE, None, evidence, fix=STREAM_MENDS.get(reason, "")
            )
        case EventType.AGENT_FAILED:
            step = str(event.data.get("step", ""))
            evidence = {"step": step, "reason": reason}
            fix = AGENT_MENDS.get(reason, "").format_map(evidence)
            return Finding(Code.AGENT_PROVIDER_FAILED, None, evidence, fix=fix)
        case EventType.RECORDING_FAILED:
            return Finding(Code.RECORDING_FAILED, None, {"reason": reason})
    return None


def resolved_by(event: CallEvent) -> tuple[Code, ...]:
    """Return the codes of the problems that are over after an event."""
    if event.type == EventType.AGENT_REPLIED and "llmMs" not in event.data:
        return ()  # a greeting, or the apology for the failure itself
    return _RESOLVED_BY.get(event.type, ())


def interruption(cause: str, silent: float) -> Finding:
    """Return the problem of a call that another process goes on with, after so many seconds; why it is one of `call.recovered`."""
    on_purpose = cause in _ON_PURPOSE
    severity = Severity.BROKEN if silent >= _BROKEN_SECONDS else None
    return Finding(
        Code.INTERRUPTED,
        None,
        {"cause": cause, "silentMs": round(silent * 1000)},
        Severity.NOTICE if on_purpose else severity,
        _NO_MENDS if on_purpose else "",
    )


def failure_of(error: BridgeError) -> ProviderFailure | None:
    """Return how a provider failed a request; None for an error of the bridge."""
    number = error.meta_code if isinstance(error, WhatsAppError) else 0
    if isinstance(error, TrunkFailed):
        down, code = isinstance(error, TrunkUnreachable), error.sip_code
        what: FailedPart = "trunk" if down else _TRUNK_REFUSALS.get(code, "provider")
        fix = TRUNK_MENDS.get(code, _TRUNK) if what == "provider" else ""
        return ProviderFailure(not down, str(error), number=code, fix=fix, what=what)
    if isinstance(error, NoCommonCodec):
        return ProviderFailure(refused=True, reason=str(error), what="codec")
    if isinstance(error, WhatsAppRefused):
        fix = MENDS.get(number, _CHECK)
    elif isinstance(error, WhatsAppError | ProviderUnreachable):
        return ProviderFailure(refused=False, reason=str(error), number=number)
    elif isinstance(error, Unreachable):
        fix = _NUMBER
    elif isinstance(error, SdpError):
        fix = _DESCRIPTION
    elif type(error) is BridgeError or isinstance(error, LimitExceeded):
        return None
    else:
        fix = _GATEWAY
    return ProviderFailure(refused=True, reason=str(error), number=number, fix=fix)


def refusal(failure: ProviderFailure, leg_id: LegId) -> Finding:
    """Return the problem of a leg whose provider failed a request."""
    evidence: dict[str, object] = {"reason": failure.reason}
    if failure.number:
        evidence["number"] = failure.number
    code = _FAILURES.get(failure.what)
    if code is None:
        code = Code.PROVIDER_REFUSED if failure.refused else Code.PROVIDER_UNREACHABLE
    return Finding(code, leg_id, evidence, fix=failure.fix)
