"""TURN servers: an allocation, and a packet through it to a media port and back."""

import asyncio
from datetime import UTC, datetime
from typing import Final

from bridge.api.server.turn import IceServer, ice_configuration
from bridge.cli.doctor.findings import Finding, failed, ok, warning
from bridge.cli.doctor.media_ports import media_addresses
from bridge.cli.doctor.runner import Surroundings
from bridge.errors import BridgeError
from bridge.rtc.ports import PortPool
from bridge.rtc.turn import RelayOutcome, RelayStep, send_through_relay, turn_address
from bridge.settings.model import Settings, port_range

USER: Final = "doctor"
_FAILURES: Final = {
    RelayStep.CONNECT: (
        "no answer",
        "turn.urls",
        "does the server run, and do firewalls let its ports through?",
    ),
    RelayStep.CERTIFICATE: (
        "its certificate is not one that browsers trust, or it does not speak TLS",
        "turn.urls",
        "install a certificate with its whole chain on the server, for the name in the URL",
    ),
    RelayStep.THERE: (
        "it relays from {relayed}, but nothing arrived at {peer}",
        "rtc.external_address, rtc.ports",
        "the UDP ports of rtc.ports must be open (and forwarded) to this machine, and "
        "rtc.external_address must be its address as the server sees it",
    ),
    RelayStep.BACK: (
        "a packet arrived at {peer}, but the answer to {relayed} did not come back",
        "rtc.external_address",
        "packets from this machine must leave from rtc.external_address, and the server must "
        "take UDP on its relay ports (49152-65535, or min-port to max-port of coturn)",
    ),
    401: (
        "the server does not accept the credentials",
        "turn.secret, turn.username, turn.credential",
        "with turn.mode shared_secret, turn.secret must be coturn's static-auth-secret and the clocks "
        "of both machines right; with static, compare user name and password",
    ),
    403: (
        "the server refuses to relay to the bridge",
        "rtc.external_address",
        "allow the address in the server's configuration (allowed-peer-ip of coturn)",
    ),
    486: (
        "the server's quota of allocations is used up",
        "",
        "raise user-quota and total-quota of coturn",
    ),
    508: ("the server has no free relay port", "", "widen min-port and max-port of coturn"),
}
"""By step, or by the code with which the server refuses: what was found, the settings, and what to do."""
_OTHER_REFUSAL: Final = ("the server refuses with code {code}", "turn.urls", "see its log")


async def check_turn(around: Surroundings) -> list[Finding]:
    """Send a packet through every TURN server that browsers are told of."""
    settings = around.settings
    if settings.turn.mode == "none":
        return [evaluate_none(exposed=settings.http.exposed)]
    return await asyncio.gather(
        *(
            _try(url, (server.get("username", ""), server.get("credential", "")), settings)
            for server in _servers(settings)
            for url in server["urls"]
        )
    )


def evaluate_none(*, exposed: bool) -> Finding:
    """Return what it means that there is no TURN server."""
    if not exposed:
        return ok("turn.mode is none; http.host lets only this machine use the bridge")
    return warning(
        "turn.mode is none: browsers in networks that block UDP have no audio",
        setting="turn.mode, turn.urls",
        fix="run coturn (deploy/coturn/turnserver.conf) and set turn.mode and turn.urls",
    )


def evaluate(url: str, peer: str, outcome: RelayOutcome) -> Finding:
    """Return what an attempt to relay means; `peer` is the address it was to reach."""
    relayed, step = outcome.relayed, outcome.step
    if step is RelayStep.DONE:
        return ok(f"{url}: a packet went by way of {relayed} to {peer} and back")
    refused = step in (RelayStep.ALLOCATE, RelayStep.PERMISSION)
    words, setting, fix = _FAILURES.get(outcome.code if refused else step, _OTHER_REFUSAL)
    found = words.format(relayed=relayed, peer=peer, code=outcome.code)
    return _failed(url, found, setting, fix)


def _failed(url: str, words: str, setting: str, fix: str) -> Finding:
    return failed(f"{url}: {words}", setting=setting, fix=fix)


def _servers(settings: Settings) -> list[IceServer]:
    """Return the TURN servers with credentials, as browsers get them."""
    now = datetime.now(UTC).timestamp()
    return ice_configuration([], settings.turn, user=USER, now_unix=now)["iceServers"]


async def _try(url: str, credentials: tuple[str, str], settings: Settings) -> Finding:
    own = media_addresses(settings)[0]
    try:
        port, [media] = PortPool(port_range(settings.rtc.ports)).open([own])
    except BridgeError as error:
        return _failed(url, str(error), "rtc.ports", "free a media port, or widen rtc.ports")
    peer = settings.rtc.external_address or own
    outcome = await send_through_relay(turn_address(url), credentials, media, (peer, port))
    return evaluate(url, peer, outcome)
