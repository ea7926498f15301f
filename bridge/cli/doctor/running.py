"""Whether the bridge of these settings is running, and whether its HTTP port can be used."""

import asyncio
import socket
from enum import Enum
from typing import Final

import aiohttp
import msgspec

from bridge.api.operations.health import Health, Readiness
from bridge.cli.doctor.database import known_identity
from bridge.cli.doctor.findings import Finding, failed, ok
from bridge.cli.doctor.runner import Surroundings
from bridge.errors import SettingsError
from bridge.http.client import Http
from bridge.http.listener import open_listeners
from bridge.settings.model import Settings

ANSWER_SECONDS: Final = 5.0
MAX_BYTES: Final = 4096
LOOPBACK_OF: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared, not bound


class Occupant(Enum):
    """Who answers at the bridge's address."""

    NOBODY = "nobody"
    OURS = "ours"
    """The bridge of this data folder."""
    ANOTHER_BRIDGE = "another bridge"
    ANOTHER_PROGRAM = "another program"


def local_url(settings: Settings) -> str:
    """Return the address at which this machine reaches the bridge."""
    host = LOOPBACK_OF.get(settings.http.host, settings.http.host)
    scheme = "https" if settings.http.tls_cert else "http"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{settings.http.port}"


async def occupant(settings: Settings, http: Http) -> Occupant:
    """Ask who answers at the bridge's address; nobody is asked for port 0, which is any free one."""
    if settings.http.port == 0:
        return Occupant.NOBODY
    try:
        own = await asyncio.to_thread(known_identity, settings.data)
    except OSError:
        own = ""  # of another user; the check of the disk says so
    return await ask(f"{local_url(settings)}/healthz", own, http)


async def ask(url: str, own: str, http: Http) -> Occupant:
    """Ask who answers at the URL of a `/healthz`; `own` is this bridge's identity, "" if it has none."""
    try:
        body = await _get(url, http)
    except aiohttp.ClientConnectorError:
        return Occupant.NOBODY
    except (aiohttp.ClientError, OSError):
        return Occupant.ANOTHER_PROGRAM
    return evaluate(body, own)


async def trunks_down(settings: Settings, http: Http) -> int:
    """Return how many SIP trunks the bridge that runs counts as down; 0 where it does not say."""
    try:
        body = await _get(f"{local_url(settings)}/readyz", http)
        trunks = msgspec.json.decode(body, type=Readiness).trunks
    except (aiohttp.ClientError, OSError, msgspec.DecodeError):
        return 0
    return 0 if isinstance(trunks, msgspec.UnsetType) else trunks.down


async def _get(url: str, http: Http) -> bytes:
    limit = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
    # The identity tells who answers; whether browsers trust its certificate is a check of its own.
    async with http.trusted().get(url, ssl=False, timeout=limit, allow_redirects=False) as answer:
        return await answer.content.read(MAX_BYTES)


def evaluate(body: bytes, own: str) -> Occupant:
    """Return whose `/healthz` has this body."""
    try:
        health = msgspec.json.decode(body, type=Health)
    except msgspec.DecodeError:
        return Occupant.ANOTHER_PROGRAM
    return Occupant.OURS if own and health.bridge == own else Occupant.ANOTHER_BRIDGE


async def check_http(around: Surroundings) -> list[Finding]:
    """Check that the HTTP port is the bridge's, or free and reachable from a second socket."""
    settings = around.settings
    who = Occupant.OURS if around.running else await occupant(settings, around.http)
    if who is Occupant.NOBODY:
        return [await asyncio.to_thread(_try_port, settings)]
    return [evaluate_occupant(who, local_url(settings))]


def evaluate_occupant(who: Occupant, url: str) -> Finding:
    """Return what it means that somebody answers at the bridge's address."""
    if who is Occupant.OURS:
        return ok(f"the bridge of this data folder is running and answers at {url}")
    other = (
        "another bridge, with another data.dir," if who is Occupant.ANOTHER_BRIDGE else "a program"
    )
    return failed(
        f"{other} answers at {url}",
        setting="http.port",
        fix="stop it, or choose another http.port; if it is the bridge that you mean, run the "
        "doctor with the same --config and environment, as the same user",
    )


def _try_port(settings: Settings) -> Finding:
    host, port = settings.http.host, settings.http.port
    try:
        listeners = open_listeners(host, port)
    except SettingsError as error:
        return failed(
            str(error),
            setting="http.host, http.port",
            fix="choose an address of this machine and a port that nobody uses; ports below 1024 "
            "need the right to bind them",
        )
    try:
        for listener in listeners:
            place = listener.getsockname()
            target = (LOOPBACK_OF.get(place[0], place[0]), place[1])
            with socket.create_connection(target, timeout=ANSWER_SECONDS):
                listener.accept()[0].close()
    except OSError as error:
        return failed(
            f"{host}:{port} is free, but a second socket of this machine cannot reach it: "
            f"{error.strerror or type(error).__name__}",
            setting="http.host",
            fix="look for a local firewall rule (nft list ruleset)",
        )
    finally:
        for listener in listeners:
            listener.close()
    shown = port or "any port"
    return ok(f"{host}:{shown} is free, and a second socket reaches it")
