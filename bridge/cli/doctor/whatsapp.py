"""The lines of the Cloud API, and the gateways of the others."""

import asyncio

from bridge.app.lines import graph_of, lines_of
from bridge.call.model import LineName
from bridge.cli.doctor.findings import Finding, failed, ok, warning
from bridge.cli.doctor.runner import Surroundings
from bridge.cli.steps import Outcome, Step
from bridge.cli.whatsapp_check import Check, webhook_url
from bridge.errors import BridgeError
from bridge.settings.model import WhatsApp
from bridge.whatsapp.gateway import make_gateway


async def check_cloud(around: Surroundings) -> list[Finding]:
    """Perform the steps of `whatsapp check` for every line of the Cloud API."""
    names = lines_of(around.settings, "cloud")
    found = await asyncio.gather(*(_check_line(name, line, around) for name, line in names.items()))
    findings = [finding for one in found for finding in one]
    return findings or [ok("no line uses the Cloud API")]


async def check_gateways(around: Surroundings) -> list[Finding]:
    """Ask every gateway for its calls."""
    names = lines_of(around.settings, "gateway")
    found = await asyncio.gather(*(_ask(name, line, around) for name, line in names.items()))
    return [*found] or [ok("no line has a gateway")]


def evaluate_step(line: str, step: Step) -> list[Finding]:
    """Return what a step of `whatsapp check` found; nothing of one that another failure prevented."""
    text = f"line {line}, {step.name}: {step.text}"
    if step.outcome is Outcome.OK:
        return [ok(text)]
    if step.outcome is Outcome.FAILED:
        setting = f"lines.{line}.whatsapp"
        return [failed(text, setting=setting, fix="docs/whatsapp.md explains each step")]
    return []


async def _check_line(name: LineName, line: WhatsApp, around: Surroundings) -> list[Finding]:
    public = around.settings.http.public_url
    # A bridge that does not run cannot answer Meta.
    url = webhook_url(public) if around.running else ""
    check = Check(around.settings, name, graph_of(line, around.http), around.http)
    await check.perform(url)
    found = [finding for step in check.steps for finding in evaluate_step(name, step)]
    if not url:
        why = "http.public_url is empty" if around.running else "this bridge is not running"
        fix = (
            "set http.public_url to the address at which Meta reaches the bridge"
            if around.running
            else "start the bridge and run the doctor again"
        )
        text = f"line {name}, webhook: not tried, as {why}"
        found.append(warning(text, setting="http.public_url", fix=fix))
    return found


async def _ask(name: LineName, line: WhatsApp, around: Surroundings) -> Finding:
    asked = make_gateway(
        around.http, dialect=line.dialect, url=line.url, token=line.token, session=line.session
    )
    try:
        calls = await asked.calls()
    except BridgeError as error:
        return failed(
            f"line {name}: {error}",
            setting=f"lines.{name}.whatsapp.url, token, session",
            fix="does the gateway run at this address, with this token and (wadial) this session?",
        )
    return ok(f"line {name}: the gateway answers, and has {len(calls)} calls")
