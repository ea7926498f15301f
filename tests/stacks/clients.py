"""The clients that are checked against the bridge, and what each needs on this machine."""

import importlib.util
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

FOLDER = Path(__file__).parent
PROJECT = FOLDER.parents[1]
DEBIAN_PYTHON = "/usr/bin/python3"
PION = PROJECT / "build" / "pion-caller"
HOW = "make test-tools, as root on Debian"


def gstreamer_missing() -> str | None:
    """Say what webrtcbin lacks here."""
    code = 'import gi; gi.require_version("GstWebRTC", "1.0")'
    bound = shutil.which(DEBIAN_PYTHON) and not subprocess.call(
        [DEBIAN_PYTHON, "-c", code], stderr=subprocess.DEVNULL
    )
    nice = [*Path("/usr/lib").glob("*/gstreamer-1.0/libgstnice.so")]
    return None if bound and nice else f"GStreamer's webrtcbin is not installed ({HOW})"


def pion_missing() -> str | None:
    """Say what Pion lacks here."""
    return None if PION.exists() else f"the caller made of Pion is not built ({HOW})"


def node_missing(package: str) -> str | None:
    """Say what a stack for Node lacks here."""
    found = shutil.which("node") and (FOLDER / "node_modules" / package).exists()
    return None if found else f"{package} is not installed ({HOW})"


def libwebrtc_missing() -> str | None:
    """Say what libwebrtc for Python lacks here."""
    found = importlib.util.find_spec("webrtc")
    return None if found else "webrtc is not installed (pip install wrtc)"


@dataclass(frozen=True, slots=True)
class Client:
    """One client."""

    title: str
    """What its users call it."""
    command: tuple[str, ...] = ()
    """Starts its program; a browser has none."""
    missing: Callable[[], str | None] = lambda: None
    """Says what it lacks on this machine."""
    package: str = ""
    """The package whose version is the client's: `debian:`, `npm:` or `pypi:` and its name."""

    def version(self) -> str:
        """Return the version that is on this machine."""
        kind, _, name = self.package.partition(":")
        if kind == "npm":
            described = (FOLDER / "node_modules" / name / "package.json").read_text()
            return str(json.loads(described)["version"])
        if kind == "pypi":
            return metadata.version(name)
        command = ["dpkg-query", "-W", "-f=${Version}", name]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _node(file: str) -> tuple[str, ...]:
    return ("node", str(FOLDER / file))


STACKS = {
    "libwebrtc": Client(
        "libwebrtc (wrtc for Python)",
        (sys.executable, "-m", "tests.stacks.libwebrtc"),
        libwebrtc_missing,
        "pypi:wrtc",
    ),
    "roamhq": Client(
        "libwebrtc (@roamhq/wrtc for Node)",
        _node("roamhq.mjs"),
        lambda: node_missing("@roamhq/wrtc"),
        "npm:@roamhq/wrtc",
    ),
    "pion": Client("Pion", (str(PION),), pion_missing, "debian:golang-github-pion-webrtc.v3-dev"),
    "webrtcbin": Client(
        "GStreamer webrtcbin",
        (DEBIAN_PYTHON, str(FOLDER / "webrtcbin.py")),
        gstreamer_missing,
        "debian:gstreamer1.0-plugins-bad",
    ),
    "werift": Client("werift", _node("werift.mjs"), lambda: node_missing("werift"), "npm:werift"),
    "node-datachannel": Client(
        "libdatachannel (node-datachannel)",
        _node("node_datachannel.mjs"),
        lambda: node_missing("node-datachannel"),
        "npm:node-datachannel",
    ),
    "aiortc": Client(
        "aiortc", (sys.executable, "-m", "tests.stacks.stock_aiortc"), package="pypi:aiortc"
    ),
}
"""Those that are programs."""

BROWSERS = {
    "chromium": Client("Chromium", package="debian:chromium"),
    "firefox": Client("Firefox ESR", package="debian:firefox-esr"),
}

CLIENTS = BROWSERS | STACKS
"""By name, in the order of the page."""
