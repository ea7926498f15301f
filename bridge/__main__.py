"""The command line: `python -m bridge` runs a node until it is told to stop."""

import argparse
import asyncio
import logging
import os
import signal
import ssl
import sys
from pathlib import Path

import uvloop
from aiohttp import web

from bridge import __version__, lan, log, settings
from bridge.app import Bridge, build, default_address
from bridge.errors import SettingsError, SetupError
from bridge.settings import DEMO_KEY, Settings

logger = logging.getLogger(__name__)

IDLE_CONNECTION_SECONDS = 30.0
"""How long a client may hold a connection without a request, or take to send its headers."""
CLOSE_SECONDS = 5.0


def main() -> int:
    """Run the bridge; returns the process's exit code."""
    arguments = _arguments()
    try:
        chosen = settings.load(os.environ, arguments.config)
        log.setup(chosen.log.level, chosen.log.format)
        if arguments.lan:
            chosen = lan.on_lan(chosen, default_address())
            sys.stdout.write(lan.invitation(chosen))
            sys.stdout.flush()
        uvloop.run(_serve(chosen))
    except SetupError as error:
        sys.stderr.write(f"bridge: {error}\n")
        return 2
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bridge",
        description="A WebRTC media bridge: a person in a browser talks with a WhatsApp call.",
        epilog="Settings come from the TOML file and from BRIDGE_SECTION__KEY environment "
        "variables; deploy/bridge.example.toml lists them all.",
    )
    parser.add_argument("--config", type=Path, help="settings file (default: $BRIDGE_CONFIG)")
    parser.add_argument(
        "--lan",
        action="store_true",
        help="serve HTTPS on the LAN address with a self-made certificate and show a QR code",
    )
    parser.add_argument("--version", action="version", version=f"bridge {__version__}")
    return parser.parse_args()


async def _serve(chosen: Settings) -> None:
    bridge = build(chosen)
    # The access log is off: paths may carry keys; the metrics count requests.
    runner = web.AppRunner(
        bridge.application,
        access_log=None,
        keepalive_timeout=IDLE_CONNECTION_SECONDS,
        shutdown_timeout=CLOSE_SECONDS,
    )
    await runner.setup()
    try:
        site = web.TCPSite(runner, chosen.http.host, chosen.http.port, ssl_context=_tls(chosen))
        try:
            await site.start()
        except OSError as error:
            raise SettingsError(
                f"cannot listen on {chosen.http.host}:{chosen.http.port}: {error.strerror}; "
                "choose another with BRIDGE_HTTP__HOST and BRIDGE_HTTP__PORT"
            ) from error
        _announce(chosen)
        await _stop_signal()
        logger.info("node.stopping")
    finally:
        await _close(bridge, runner)


async def _close(bridge: Bridge, runner: web.AppRunner) -> None:
    await bridge.aclose()
    await runner.cleanup()


async def _stop_signal() -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    await stopped.wait()


def _tls(chosen: Settings) -> ssl.SSLContext | None:
    if not chosen.http.tls_cert:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(chosen.http.tls_cert, chosen.http.tls_key)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(f"http.tls_cert, http.tls_key: {error}") from error
    return context


def _announce(chosen: Settings) -> None:
    scheme = "https" if chosen.http.tls_cert else "http"
    host = f"[{chosen.http.host}]" if ":" in chosen.http.host else chosen.http.host
    demo = {} if chosen.lines else {"demo_key": DEMO_KEY}
    logger.info(
        "node.ready",
        extra={"url": f"{scheme}://{host}:{chosen.http.port}/", "pid": os.getpid(), **demo},
    )


if __name__ == "__main__":
    sys.exit(main())
