"""A line's own settings and connection: how it takes calls, and whether it does."""

from typing import Any, Final

from aiohttp import web

from bridge.api import render
from bridge.api.body import Body, read_body
from bridge.api.services import SERVICES
from bridge.errors import InvalidRequest, about_field
from bridge.net.guard import parse
from bridge.node.lines import InboundMode, LineConfig, Session, with_changes

URLS: Final = {"stt_url": "callSttUrl", "llm_url": "callLlmUrl", "tts_url": "callTtsUrl"}
TEXTS: Final = {
    "system_prompt": "callSystemPrompt",
    "greeting": "callGreeting",
    "provider_token": "callProviderToken",
}
MODES: Final = ", ".join(InboundMode)
MAX_TEXT: Final = 32_768
MAX_SUBSCRIPTIONS: Final = 64


async def config(request: web.Request) -> web.Response:
    """Show how the line is set to take calls; never the providers' token."""
    line = request.app[SERVICES].keys.line(request)
    return render.success(_shown(request.app[SERVICES].lines.stored(line)))


async def configure(request: web.Request) -> web.Response:
    """Set how the line takes calls from its next connect on.

    A field that is missing keeps its value, and null clears it; the mode is `webhook` in both cases.
    """
    line = request.app[SERVICES].keys.line(request)
    body = await read_body(request)
    lines = request.app[SERVICES].lines
    texts = {name: _text(body, field) for name, field in TEXTS.items()}
    changed = with_changes(
        lines.stored(line),
        calls_enabled=body.optional_flag("callsEnabled"),
        mode=_mode(body.optional_text("callInboundMode")),
        record=False if body.clears("callRecord") else body.optional_flag("callRecord"),
        **{name: _url(body, field) for name, field in URLS.items()},
        **texts,
    )
    await lines.put(line, changed)
    return render.success({"ok": True})


async def connect(request: web.Request) -> web.Response:
    """Connect the line, anew if it is connected: what was set comes into force."""
    line = request.app[SERVICES].keys.line(request)
    body = await read_body(request)
    lines = request.app[SERVICES].lines
    await lines.connect(line, body.texts("Subscribe", most=MAX_SUBSCRIPTIONS))
    session = lines.session(line)
    return render.success(
        {"details": "Connected!", "jid": _jid(session), "events": ",".join(session.subscribed)}
    )


async def disconnect(request: web.Request) -> web.Response:
    """Disconnect the line; the calls that it has end."""
    line = request.app[SERVICES].keys.line(request)
    await request.app[SERVICES].lines.disconnect(line)
    return render.success({"details": "Disconnected"})


async def status(request: web.Request) -> web.Response:
    """Show the line's connection, in the spellings of both WaGo and ZuckZapGo."""
    line = request.app[SERVICES].keys.line(request)
    session = request.app[SERVICES].lines.session(line)
    shown: dict[str, Any] = {
        "connected": session.connected,
        "loggedIn": True,
        "jid": _jid(session),
        "events": ",".join(session.subscribed),
    }
    return render.success({"name": line, **shown, **{_capital(key): shown[key] for key in shown}})


async def server_ok(request: web.Request) -> web.Response:
    """Say that the server is up, as WaGo does; asks for no key."""
    return render.success({"details": "ok"})


ROUTES: Final = (
    web.get("/call/config", config),
    web.put("/call/config", configure),
    web.post("/session/connect", connect),
    web.post("/session/disconnect", disconnect),
    web.get("/session/status", status),
    web.get("/server/ok", server_ok),
)


def _shown(config: LineConfig) -> dict[str, Any]:
    return {
        "callsEnabled": config.calls_enabled,
        "callInboundMode": config.mode.value,
        "callRecord": config.record,
        "callSttUrl": config.stt_url,
        "callLlmUrl": config.llm_url,
        "callTtsUrl": config.tts_url,
        "callSystemPrompt": config.system_prompt,
        "callGreeting": config.greeting,
    }


def _mode(text: str | None) -> InboundMode:
    try:
        return InboundMode(text or InboundMode.WEBHOOK)
    except ValueError:
        raise InvalidRequest(
            f"callInboundMode: expected one of {MODES}", field="callInboundMode"
        ) from None


def _text(body: Body, field: str) -> str | None:
    text = "" if body.clears(field) else body.optional_text(field)
    if text is not None and len(text) > MAX_TEXT:
        raise InvalidRequest(f"{field}: longer than {MAX_TEXT} characters", field=field)
    return text


def _url(body: Body, field: str) -> str | None:
    url = _text(body, field)
    if url:
        with about_field(field):
            parse(url, schemes=("https", "http"))
    return url


def _jid(session: Session) -> str:
    return f"{session.number}@s.whatsapp.net" if session.number else ""


def _capital(name: str) -> str:
    return name[0].upper() + name[1:]
