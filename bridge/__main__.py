"""The command line: `python -m bridge` or `media-bridge`."""

import argparse
import logging
import os
import sys
from pathlib import Path

import msgspec

from bridge import __version__, log, spare
from bridge.cli import config, control, migrate_data, rehearse_arguments, whatsapp
from bridge.cli.doctor import command as doctor
from bridge.cluster.supervision import read_order
from bridge.errors import Fenced, SettingsError, SetupError
from bridge.settings import model
from bridge.settings.http import MIN_KEY_CHARACTERS
from bridge.supervisor import main as supervisor
from bridge.supervisor import signals
from bridge.supervisor.child import NODE_FLAG
from bridge.supervisor.fleet import CANNOT_START
from bridge.supervisor.orders import SETTINGS_FLAG
from bridge.supervisor.slots import node_count, with_ports
from bridge.wire.supervision import Prepare, Slot

logger = logging.getLogger(__name__)

FENCED = 3
"""Exit code of a node that others have declared dead; it is to be started anew."""


def main() -> int:
    """Run the bridge and return the exit code."""
    arguments = build_parser().parse_args()
    try:
        if arguments.command == "whatsapp":
            return _whatsapp(arguments)
        if arguments.command == "config":
            return config.run(arguments)
        if arguments.command in ("doctor", "migrate-data", "rehearse"):
            log.setup("error", "text")
            return _tool(arguments)
        if arguments.command in ("drain", "link", "upgrade"):
            return _of_running(arguments)
        if arguments.print_settings:
            _print_settings(arguments)
        elif arguments.is_node:
            signals.leave_to_supervisor()
            _serve_node(read_order())
        else:
            _serve(arguments)
    except Fenced as error:
        logger.error("node.left", extra={"error": str(error)})
        return FENCED
    except SetupError as error:
        sys.stderr.write(f"bridge: {error}\n")
        return CANNOT_START
    return 0


def _serve(arguments: argparse.Namespace) -> None:
    reading = model.read(os.environ, arguments.config)
    chosen = model.accepted(reading)
    log.setup(chosen.log.level, chosen.log.format)
    for former, write in reading.renamed:
        logger.warning("settings.renamed", extra={"setting": former, "write": write})
    if arguments.lan:
        from bridge.cli import lan

        chosen = lan.prepare(chosen)
    for name, key in model.keys_in(chosen):
        if len(key) < MIN_KEY_CHARACTERS:
            logger.warning("settings.short_key", extra={"setting": name})
    if arguments.supervised or node_count(chosen) > 1:
        supervisor.run(chosen, arguments.config)
        return
    # Imported here, because the supervisor does not need what a node loads.
    from bridge import serve

    serve.run(chosen)


def _print_settings(arguments: argparse.Namespace) -> None:
    """Write the settings as JSON, for a supervisor of an older version."""
    chosen = model.load(os.environ, arguments.config)
    sys.stdout.buffer.write(msgspec.json.encode(chosen))


def _whatsapp(arguments: argparse.Namespace) -> int:
    chosen = whatsapp.read_settings(os.environ, arguments)
    log.setup("error", chosen.log.format)
    return whatsapp.run(chosen, arguments)


def _tool(arguments: argparse.Namespace) -> int:
    """Perform a command that needs no bridge that runs."""
    if arguments.command == "doctor":
        return doctor.run(arguments)
    if arguments.command == "migrate-data":
        return migrate_data.run(arguments)
    # Imported here, because it takes all that a node loads.
    from bridge.cli import rehearse

    return rehearse.run(arguments)


def _of_running(arguments: argparse.Namespace) -> int:
    """Perform a command for a bridge that runs."""
    chosen = model.load(os.environ, arguments.config)
    if arguments.command == "link":
        return control.link(chosen)
    order = control.drain if arguments.command == "drain" else control.upgrade
    return order(chosen.data.dir, arguments)


def _serve_node(order: Prepare | Slot) -> None:
    slot = order if isinstance(order, Slot) else spare.wait(order)
    from bridge import serve

    try:
        read = msgspec.json.decode(slot.settings, type=model.Settings)
    except msgspec.ValidationError as error:
        raise SettingsError(f"the supervisor's settings are of another version: {error}") from error
    chosen = with_ports(read, slot.ports)
    log.setup(chosen.log.level, chosen.log.format)
    log.node.set(str(slot.node))
    if slot.core is not None:
        os.sched_setaffinity(0, {slot.core})
    serve.run(chosen, slot)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
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
    parser.add_argument(
        "--supervised",
        action="store_true",
        help="run under a supervisor also with one node, so that `upgrade` can replace it",
    )
    parser.add_argument(NODE_FLAG, action="store_true", dest="is_node", help=argparse.SUPPRESS)
    parser.add_argument(SETTINGS_FLAG, action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--version", action="version", version=f"bridge {__version__}")
    commands = parser.add_subparsers(dest="command")
    whatsapp.add_arguments(
        commands.add_parser("whatsapp", help="check or configure a WhatsApp number")
    )
    config.add_arguments(
        commands.add_parser("config", help="check the settings, or show them without secrets")
    )
    doctor.add_arguments(
        commands.add_parser(
            "doctor",
            help="check settings, ports, network, disk, CPU and the services that the bridge uses",
        )
    )
    commands.add_parser(
        "link",
        help="print the link to the page, with the local token: it opens /metrics, and in the "
        "demonstration /console",
    )
    rehearse_arguments.add_arguments(
        commands.add_parser(
            "rehearse",
            help="let scripted callers talk with a voice bot, and check what they hear",
        )
    )
    migrate_data.add_arguments(
        commands.add_parser(
            "migrate-data", help="move the database, from SQLite to PostgreSQL or back"
        )
    )
    control.add_drain_arguments(
        commands.add_parser(
            "drain", help="take no new calls, and exit when the live ones have ended"
        )
    )
    control.add_upgrade_arguments(
        commands.add_parser(
            "upgrade",
            help="replace the nodes by new ones, with the code and settings on disk, in live use",
        )
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
