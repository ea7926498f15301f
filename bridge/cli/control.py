"""Commands for a bridge that runs: `drain` and `upgrade`, over its control socket, and `link`, to its page."""

import argparse
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from bridge.errors import RemoteProtocolError, SetupError
from bridge.http import local_token
from bridge.settings.model import Settings
from bridge.stores.directory import FOLDER
from bridge.wire import supervision
from bridge.wire.supervision import (
    MAX_LINE,
    Done,
    DrainNodes,
    Failed,
    Progress,
    Reply,
    Request,
    Upgrade,
)

FAILED = 1


def add_drain_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `drain`."""
    parser.add_argument("--node", type=int, help="drain one node (default: all, then exit)")
    parser.add_argument(
        "--seconds",
        type=float,
        help="end calls after this time (default: limits.drain_seconds, or no limit where that is 0)",
    )
    parser.add_argument("--wait", action="store_true", help="return once it has drained")


def add_upgrade_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `upgrade`."""
    parser.add_argument("--wait", action="store_true", help="return once the old nodes have ended")


def drain(data: str, arguments: argparse.Namespace) -> int:
    """Let a bridge, or one of its nodes, drain; return the exit code.

    Raises:
        SetupError: there is no such bridge.
    """
    request = DrainNodes(node=arguments.node, seconds=arguments.seconds)
    return _show(ask(Path(data), request), wait=arguments.wait)


def upgrade(data: str, arguments: argparse.Namespace) -> int:
    """Replace the nodes of a bridge; return the exit code.

    Raises:
        SetupError: there is no such bridge.
    """
    return _show(ask(Path(data), Upgrade()), wait=arguments.wait)


def link(settings: Settings) -> int:
    """Print the link to the page of the bridge that runs, with the token of its start; return the exit code.

    Raises:
        SetupError: the token cannot be read.
    """
    path = Path(settings.data.dir) / local_token.FILE
    try:
        token = path.read_text().strip()
    except OSError as error:
        raise SetupError(
            f"{path}: {error.strerror}; start the bridge, and run this as its user, with its settings"
        ) from error
    sys.stdout.write(f"{local_token.link(settings, token)}\n")
    return 0


def ask(data: Path, request: Request) -> Iterator[Reply]:
    """Send a request and yield the replies, until the bridge closes the connection.

    Raises:
        SetupError: there is no such bridge.
    """
    path = data / FOLDER / supervision.CONTROL_SOCKET
    with socket.socket(socket.AF_UNIX) as client:
        try:
            # Relative: the path of a socket must be short.
            client.connect(os.path.relpath(path))
            client.sendall(supervision.serialize(request))
        except OSError as error:
            raise SetupError(
                f"no bridge answers at {path} ({error.strerror}); run this as its user, with its settings"
            ) from error
        with client.makefile("rb") as lines:
            while line := _read_line(lines):
                try:
                    found = supervision.reply(line)
                except RemoteProtocolError as error:
                    raise SetupError(str(error)) from error
                if found is not None:
                    yield found


def _read_line(lines: BinaryIO) -> bytes:
    try:
        return lines.readline(MAX_LINE)
    except ConnectionError:  # the bridge has ended
        return b""


def _show(replies: Iterator[Reply], *, wait: bool) -> int:
    """Print the replies; return the exit code."""
    begun = False
    for reply in replies:
        match reply:
            case Progress(text=text):
                sys.stdout.write(f"{text}\n")
                sys.stdout.flush()
                begun = begun or reply.begun
            case Failed(text=text):
                sys.stderr.write(f"bridge: {text}\n")
                return FAILED
        if begun and not wait:
            return 0
        if isinstance(reply, Done):
            return 0
    if not begun:
        sys.stderr.write("bridge: the bridge has ended before it did what was asked for\n")
    return 0 if begun else FAILED
