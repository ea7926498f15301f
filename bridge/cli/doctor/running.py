"""Whether the bridge of these settings is running, and whether its HTTP port can be used."""

import asyncio
import socket
from enum import Enum
from typing import Final

import aiohttp
import msgspec

from bridge.api.operations.health import Health, Readiness
from bridge.cli.doctor.findings import Finding, failed, ok
from bridge.cli.doctor.runner import Surroundings
from bridge.cli.doctor.stored import known_identity
from bridge.errors import SettingsError
from bridge.http.client import Http
from bridge.http.listener import open_listeners
from bridge.settings.model import Settings

CHECK: Final = "http"
ANSWER_SECONDS: Final = 5.0
MAX_BYTES: Final = 4096
_EVERYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared, not bound


class Occupant(Enum):
    """Who answers at the bridge's address."""

    NOBODY = "nobody"
    OURS = "ours"
    """The bridge of this data folder."""
    ANOTHER_BRIDGE = "another bridge"
    STRANGER = "stranger"


def local_url(settings: Settings) -> str:
    """Return the address at which this machine reaches the bridge."""
    host = _EVERYWHERE.get(settings.http.host, settings.http.host)
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
    limit = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
    try:
        # The identity tells who it is; whether browsers trust its certificate is a check of its own.
        async with http.trusted().get(
            url, ssl=False, timeout=limit, allow_redirects=False
        ) as answer:
            body = await answer.content.read(MAX_BYTES)
    except aiohttp.ClientConnectorError:
        return Occupant.NOBODY
    except (aiohttp.ClientError, OSError):
        return Occupant.STRANGER
    return judge(body, own)


async def trunks_down(settings: Settings, http: Http) -> int:
    """Return how many SIP trunks the bridge that runs counts as down; 0 where it does not say."""
    limit = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
    try:
        async with http.trusted().get(
            f"{local_url(settings)}/readyz", ssl=False, timeout=limit, allow_redirects=False
        ) as answer:
            trunks = msgspec.json.decode(
                await answer.content.read(MAX_BYTES), type=Readiness
            ).trunks
    except (aiohttp.ClientError, OSError, msgspec.DecodeError):
        return 0
    return 0 if isinstance(trunks, msgspec.UnsetType) else trunks.down


def judge(body: bytes, own: str) -> Occupant:
    """Return whose `/healthz` has this body."""
    try:
        health = msgspec.json.decode(body, type=Health)
    except msgspec.DecodeError:
        return Occupant.STRANGER
    return Occupant.OURS if own and health.bridge == own else Occupant.ANOTHER_BRIDGE


async def check_http(around: Surroundings) -> list[Finding]:
    """Check that the HTTP port is the bridge's, or free and reachable from a second socket."""
    settings = around.settings
    who = Occupant.OURS if around.running else await occupant(settings, around.http)
    if who is Occupant.NOBODY:
        return [await asyncio.to_thread(_try_port, settings)]
    return [judge_occupant(who, local_url(settings))]


def judge_occupant(who: Occupant, url: str) -> Finding:
    """Return what it means that somebody answers at the bridge's address."""
    if who is Occupant.OURS:
        return ok(CHECK, f"the bridge of this data folder is running and answers at {url}")
    other = (
        "another bridge, with another data.dir," if who is Occupant.ANOTHER_BRIDGE else "a program"
    )
    return failed(
        CHECK,
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
            CHECK,
            str(error),
            setting="http.host, http.port",
            fix="choose an address of this machine and a port that nobody uses; ports below 1024 "
            "need the right to bind them",
        )
    try:
        for listener in listeners:
            place = listener.getsockname()
            target = (_EVERYWHERE.get(place[0], place[0]), place[1])
            with socket.create_connection(target, timeout=ANSWER_SECONDS):
                listener.accept()[0].close()
    except OSError as error:
        return failed(
            CHECK,
            f"{host}:{port} is free, but a second socket of this machine cannot reach it: "
            f"{error.strerror or type(error).__name__}",
            setting="http.host",
            fix="look for a local firewall rule (nft list ruleset)",
        )
    finally:
        for listener in listeners:
            listener.close()
    shown = port or "any port"
    return ok(CHECK, f"{host}:{shown} is free, and a second socket reaches it")
