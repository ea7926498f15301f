"""The command line: `python -m bridge` or `media-bridge`."""

import argparse
import logging
import os
import sys
from pathlib import Path

from bridge import __version__, log, supervisor
from bridge.cli import whatsapp
from bridge.errors import SetupError
from bridge.settings import model
from bridge.settings.http import MIN_KEY_CHARACTERS
from bridge.settings.model import Settings
from bridge.supervisor import CANNOT_START, NODE_FLAG, NodeSlot

logger = logging.getLogger(__name__)


def main() -> int:
    """Run the bridge and return the exit code."""
    arguments = _arguments()
    try:
        if arguments.command == "whatsapp":
            return _whatsapp(arguments)
        if arguments.node:
            _serve_node(supervisor.read_slot())
        else:
            _serve(arguments)
    except SetupError as error:
        sys.stderr.write(f"bridge: {error}\n")
        return CANNOT_START
    return 0


def _serve(arguments: argparse.Namespace) -> None:
    chosen = model.load(os.environ, arguments.config)
    log.setup(chosen.log.level, chosen.log.format)
    if arguments.lan:
        chosen = _on_lan(chosen)
    for name, key in model.keys_in(chosen):
        if len(key) < MIN_KEY_CHARACTERS:
            logger.warning("settings.short_key", extra={"setting": name})
    if supervisor.node_count(chosen) > 1:
        supervisor.run(chosen)
        return
    # Imported here, because the supervisor does not need what a node loads.
    from bridge import serve

    serve.run(chosen)


def _whatsapp(arguments: argparse.Namespace) -> int:
    chosen = model.load(os.environ, arguments.config)
    log.setup("error", chosen.log.format)
    return whatsapp.run(chosen, arguments)


def _serve_node(slot: NodeSlot) -> None:
    from bridge import serve

    log.setup(slot.settings.log.level, slot.settings.log.format)
    log.node.set(str(slot.index))
    if slot.core is not None:
        os.sched_setaffinity(0, {slot.core})
    serve.run(slot.settings, slot)


def _on_lan(chosen: Settings) -> Settings:
    from bridge.app.peers import default_address
    from bridge.cli import lan

    address = default_address()
    chosen = lan.on_lan(chosen, address)
    model.check(chosen)
    sys.stdout.write(lan.invitation(chosen, address))
    sys.stdout.flush()
    return chosen


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="media-bridge" if Path(sys.argv[0]).stem == "media-bridge" else "python -m bridge",
        description="A WebRTC media bridge: a person in a browser talks with a WhatsApp call.",
        epilog="Settings come from the TOML file and from BRIDGE_SECTION__KEY environment "
        "variables; deploy/bridge.example.toml lists them all.",
    )
    parser.add_argument("--config", type=Path, help="settings file (default: $BRIDGE_CONFIG)")
    parser.add_argument(
        "--lan",
        action="store_true",
        help="serve HTTPS on the LAN address with a self-signed certificate and show a QR code",
    )
    parser.add_argument(NODE_FLAG, action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--version", action="version", version=f"bridge {__version__}")
    commands = parser.add_subparsers(dest="command")
    whatsapp.add_arguments(
        commands.add_parser("whatsapp", help="check or configure a WhatsApp number")
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
