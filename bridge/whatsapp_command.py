"""`python -m bridge whatsapp`: a number's calling settings, and a check of its configuration."""

import argparse
import asyncio
import json
import secrets
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import aiohttp

from bridge.errors import BridgeError, SettingsError
from bridge.net.graph import Graph
from bridge.net.guard import Guard
from bridge.net.http import Http
from bridge.node.cloud_lines import graph_of
from bridge.settings import Settings, WhatsApp
from bridge.wire.whatsapp import SIGNATURE_HEADER, signature

NOTHING: Final = b'{"object":"whatsapp_business_account","entry":[]}'
"""A webhook that tells nothing."""
ICONS: Final = ("DEFAULT", "DISABLE_ALL")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command's arguments."""
    parser.add_argument("action", choices=("status", "enable", "check"))
    parser.add_argument("--line", default="", help="the line (default: the only one of Meta's)")
    parser.add_argument("--icon", choices=ICONS, help="enable: who sees the call button")
    parser.add_argument(
        "--callback", choices=("ENABLED", "DISABLED"), help="enable: a call of theirs permits ours"
    )
    parser.add_argument("--hours", help="enable: Meta's `call_hours` as JSON")
    parser.add_argument("--url", default="", help="check: the public address of the webhook")


def run(settings: Settings, arguments: argparse.Namespace) -> int:
    """Perform the command; returns the process's exit code.

    Raises:
        SettingsError: no line of Meta's, or which one is not said.
    """
    return asyncio.run(_run(settings, _line(settings, arguments.line), arguments))


def calling(arguments: argparse.Namespace) -> dict[str, Any]:
    """Give the calling settings that `enable` sends.

    Raises:
        SettingsError: the hours are no JSON object.
    """
    found: dict[str, Any] = {"status": "ENABLED"}
    if arguments.icon:
        found["call_icon_visibility"] = arguments.icon
    if arguments.callback:
        found["callback_permission_status"] = arguments.callback
    if arguments.hours:
        try:
            found["call_hours"] = json.loads(arguments.hours)
        except ValueError as error:
            raise SettingsError(f"--hours: {error}") from None
        if not isinstance(found["call_hours"], dict):
            raise SettingsError("--hours: expected a JSON object")
    return found


def _line(settings: Settings, name: str) -> WhatsApp:
    lines = {n: line.whatsapp for n, line in settings.lines.items()}
    cloud = {n: whatsapp for n, whatsapp in lines.items() if whatsapp.provider == "cloud"}
    if name in cloud:
        return cloud[name]
    if name or len(cloud) != 1:
        known = ", ".join(cloud) or "none"
        raise SettingsError(f'choose a line with provider = "cloud" by --line (there are: {known})')
    return next(iter(cloud.values()))


async def _run(settings: Settings, line: WhatsApp, arguments: argparse.Namespace) -> int:
    http = Http(Guard(allow=[], require_tls=False))
    try:
        graph = graph_of(line, http)
        if arguments.action == "check":
            return await Check(settings, line, graph, http).run(arguments.url)
        if arguments.action == "enable":
            await graph.change_settings(calling(arguments))
        _say(json.dumps((await graph.settings()).get("calling", {}), indent=2))
    except BridgeError as error:
        _say(f"failed: {error}")
        return 1
    finally:
        await http.aclose()
    return 0


class Check:
    """Goes through a configuration step by step and says what to fix."""

    def __init__(self, settings: Settings, line: WhatsApp, graph: Graph, http: Http) -> None:
        self._settings = settings
        self._line = line
        self._graph = graph
        self._http = http
        self._failed = 0

    async def run(self, url: str) -> int:
        """Perform all steps; returns the exit code, 1 when one failed."""
        if await self._step("access token and number", self._number):
            await self._step("calling enabled", self._calling)
        if url:
            await self._step("webhook: verification", lambda: self._verify(url))
            await self._step("webhook: signature", lambda: self._sign(url))
        else:
            _say("skipped  webhook: give its public address with --url https://…/whatsapp/webhook")
        self._hint()
        return int(self._failed > 0)

    async def _step(self, name: str, work: Callable[[], Awaitable[str]]) -> bool:
        try:
            found = await work()
        except (BridgeError, aiohttp.ClientError, OSError, TimeoutError) as error:
            self._failed += 1
            _say(f"FAILED   {name}: {str(error) or type(error).__name__}")
            return False
        _say(f"ok       {name}: {found}")
        return True

    async def _number(self) -> str:
        number = await self._graph.get("", {"fields": "display_phone_number,verified_name"})
        return f"Meta knows the number as {number.get('display_phone_number', 'unknown')}"

    async def _calling(self) -> str:
        settings = _object((await self._graph.settings()).get("calling"))
        if settings.get("status") != "ENABLED":
            raise SettingsError("it is off; run: python -m bridge whatsapp enable")
        if _object(settings.get("sip")).get("status") == "ENABLED":
            raise SettingsError("SIP is on, which turns the Graph API's calls off; disable SIP")
        return f"call button {settings.get('call_icon_visibility', 'DEFAULT')}"

    async def _verify(self, url: str) -> str:
        challenge = str(secrets.randbelow(10**9))
        query = {
            "hub.mode": "subscribe",
            "hub.challenge": challenge,
            "hub.verify_token": self._line.verify_token,
        }
        async with self._http.trusted().get(url, params=query) as answer:
            if answer.status != 200 or await answer.text() != challenge:
                raise SettingsError(
                    f"answered {answer.status}; does the address lead to the bridge, and does it "
                    "run with this verify_token?"
                )
        return "the address answers Meta's challenge"

    async def _sign(self, url: str) -> str:
        headers = {SIGNATURE_HEADER: signature(NOTHING, self._line.app_secret)}
        async with self._http.trusted().post(url, data=NOTHING, headers=headers) as answer:
            if answer.status != 200:
                raise SettingsError(
                    f"answered {answer.status} to a signed body; does the bridge run with this "
                    "app_secret, and does a proxy in front leave bodies as they are?"
                )
        return "a body signed with app_secret is taken"

    def _hint(self) -> None:
        rtc = self._settings.rtc
        where = ", ".join(rtc.bind) or "the address of the default route"
        _say(
            f"hint     media: UDP ports {rtc.ports} on {where} must reach Meta's relays "
            "(UDP 3478 to 3484 and 40012) and get their answers back"
        )


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
