"""`python -m bridge whatsapp`: a number's calling settings, its set-up for SIP, and a check of its configuration."""

import argparse
import asyncio
import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import msgspec

from bridge.errors import BridgeError, SettingsError
from bridge.settings import model
from bridge.settings.model import Settings, WhatsApp

ICONS: Final = ("DEFAULT", "DISABLE_ALL")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "action",
        choices=("status", "enable", "sip-setup", "check"),
        help="show the number's calling settings as JSON; switch calling on; set the number up for calls "
        "over SIP and fetch its password; or go through the whole configuration and say what to fix",
    )
    parser.add_argument("named", nargs="?", default="", metavar="LINE", help="as --line")
    parser.add_argument("--line", default="", help="the line (default: the only one of Meta's)")
    parser.add_argument(
        "--port",
        type=int,
        default=0,
        help="sip-setup: the port that Meta connects to (default: that of tls in sip.listen)",
    )
    parser.add_argument("--icon", choices=ICONS, help="enable: who sees the call button")
    parser.add_argument(
        "--callback", choices=("ENABLED", "DISABLED"), help="enable: a call of theirs permits ours"
    )
    parser.add_argument("--hours", help="enable: Meta's `call_hours` as JSON")
    parser.add_argument(
        "--url",
        default="",
        help="check: where Meta reaches the bridge, such as https://bridge.example.com",
    )


def read_settings(environment: Mapping[str, str], arguments: argparse.Namespace) -> Settings:
    """Read the settings; `sip-setup` fetches the password that they may lack.

    Raises:
        SettingsError: they have a mistake.
    """
    reading = model.read(environment, arguments.config)
    if arguments.action != "sip-setup":
        return model.accepted(reading)
    name, line = _line(reading.settings, arguments.line or arguments.named)
    if line.signalling != "sip":
        raise SettingsError(f'lines.{name}.whatsapp.signalling: set it to "sip" first')
    lacked = f"lines.{name}.whatsapp.sip_password: needed"
    others = tuple(problem for problem in reading.problems if not problem.startswith(lacked))
    # What else is wrong with the line is found once it has a password.
    whole = msgspec.structs.replace(line, sip_password=line.sip_password or "-")
    known = msgspec.structs.replace(reading.settings.lines[name], whatsapp=whole)
    lines = {**reading.settings.lines, name: known}
    model.accepted(replace(reading, problems=others))
    model.check(msgspec.structs.replace(reading.settings, lines=lines))
    return reading.settings


def run(settings: Settings, arguments: argparse.Namespace) -> int:
    """Perform the command; return the exit code.

    Raises:
        SettingsError: there is no `cloud` line, or several and none is chosen.
    """
    chosen = _line(settings, arguments.line or arguments.named)
    return asyncio.run(_run(settings, chosen, arguments))


def calling(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the calling settings that `enable` sends.

    Raises:
        SettingsError: the hours are not a JSON object.
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


def _line(settings: Settings, wanted: str) -> tuple[str, WhatsApp]:
    lines = {name: line.whatsapp for name, line in settings.lines.items()}
    cloud = {name: line for name, line in lines.items() if line.provider == "cloud"}
    if not cloud:
        raise SettingsError(
            'no line has whatsapp.provider = "cloud": is this the right settings file '
            "(--config my.toml, before the word whatsapp)? docs/whatsapp.md shows such a line"
        )
    if wanted in cloud:
        return wanted, cloud[wanted]
    if wanted or len(cloud) > 1:
        raise SettingsError(f"choose a line of Meta's with --line: {', '.join(cloud)}")
    return next(iter(cloud.items()))


async def _run(settings: Settings, chosen: tuple[str, WhatsApp], asked: argparse.Namespace) -> int:
    # Imported here, because a supervisor, which has the same command line, needs none of it.
    from bridge.app.lines import graph_of
    from bridge.cli.whatsapp_check import Check, webhook_url
    from bridge.cli.whatsapp_sip import SipLine, password_file, set_up
    from bridge.http.address_guard import Guard
    from bridge.http.client import Http
    from bridge.http.resolver import Dns

    name, line = chosen
    http = Http(Guard(allow=[], require_tls=False), resolver=Dns(settings.net.nameservers))
    try:
        graph = graph_of(line, http)
        if asked.action == "check":
            url = webhook_url(asked.url)
            return await Check(settings, name, graph, http, say=_say).run(url)
        if asked.action == "sip-setup":
            one = SipLine(settings, name, graph, dns=Dns(settings.net.nameservers))
            kept = password_file(settings, name)
            return await set_up(one, graph, kept, port=asked.port or one.port, say=_say)
        if asked.action == "enable":
            await graph.change_settings(calling(asked))
        _say(json.dumps((await graph.settings()).get("calling", {}), indent=2))
        if asked.action == "enable":
            sys.stderr.write(
                "Calling is on. WhatsApp's apps may take up to seven days to show the call button.\n"
            )
    except BridgeError as error:
        sys.stderr.write(f"failed: {error}\n")
        return 1
    finally:
        await http.aclose()
    return 0


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
