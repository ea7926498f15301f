"""Puts into the wheel what lies outside the package, or is made: pages, the unit for systemd, the compiled packet path.

The pages are those of web/, README.md and the built guide; in a checkout the bridge reads them from where they lie, see
`bridge.api.operations.page`. deploy/install-systemd reads the unit. Without a C compiler the wheel is for every platform, and its
packets take the Python path.
"""

import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SERVED = {".css", ".html", ".js", ".svg", ".txt"}
FOLDER = "bridge/pages"
PACKET_PATH = "bridge/rtc/libpacket_path.so"


class WheelContents(BuildHookInterface[Any]):
    """Hatchling's build hook of this project."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add everything to the wheel; an editable install finds it in the checkout."""
        if version == "editable":
            return
        root = Path(self.root)
        included = build_data["force_include"]
        included[str(root / "README.md")] = f"{FOLDER}/README.md"
        unit = "systemd/bridge.service"
        included[str(root / "deploy" / unit)] = f"bridge/{unit}"
        self._build_guide(root, included)
        self._compile_packet_path(root, build_data)
        web = root / "web"
        for file in (*web.iterdir(), *(web / "console").iterdir()):
            if file.suffix in SERVED:
                included[str(file)] = f"{FOLDER}/web/{file.relative_to(web)}"

    def _build_guide(self, root: Path, included: dict[str, str]) -> None:
        """Build the guide into a folder that lives until the wheel is written."""
        self._built = tempfile.TemporaryDirectory()
        build = [sys.executable, str(root / ".ci" / "guide.py"), "--strict", self._built.name]
        subprocess.run(build, check=True)  # noqa: S603  (our own program)
        included[self._built.name] = f"{FOLDER}/guide"

    def _compile_packet_path(self, root: Path, build_data: dict[str, Any]) -> None:
        """Compile it into a folder that lives until the wheel is written, which is for this platform then."""
        self._compiled = tempfile.TemporaryDirectory()
        build = [sys.executable, "-m", "bridge.rtc.packet_path_build", self._compiled.name]
        subprocess.run(build, cwd=root, check=True)  # noqa: S603  (our own module)
        library = Path(self._compiled.name) / Path(PACKET_PATH).name
        if library.exists():
            build_data["force_include"][str(library)] = PACKET_PATH
            build_data["pure_python"] = False
            platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
            build_data["tag"] = f"py3-none-{platform}"
