"""Puts what the bridge serves into its wheel: the pages of web/, README.md and the built guide; and the unit for systemd.

In a checkout the bridge reads the pages from where they lie; see `bridge.api.page`. deploy/install-systemd reads the unit.
"""

import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from properdocs.commands.build import build
from properdocs.config import load_config

SERVED = {".css", ".html", ".js", ".svg", ".txt"}
FOLDER = "bridge/pages"


class WheelPages(BuildHookInterface[Any]):
    """Hatchling's build hook of this project."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the pages to the wheel; an editable install reads them from the checkout."""
        if version == "editable":
            return
        root = Path(self.root)
        included = build_data["force_include"]
        included[str(root / "README.md")] = f"{FOLDER}/README.md"
        unit = "systemd/bridge.service"
        included[str(root / "deploy" / unit)] = f"bridge/{unit}"
        self._build_guide(root, included)
        web = root / "web"
        for file in (*web.iterdir(), *(web / "console").iterdir()):
            if file.suffix in SERVED:
                included[str(file)] = f"{FOLDER}/web/{file.relative_to(web)}"

    def _build_guide(self, root: Path, included: dict[str, str]) -> None:
        """Build the guide into a folder that lives until the wheel is written."""
        self._built = tempfile.TemporaryDirectory()
        build(load_config(str(root / "properdocs.yml"), site_dir=self._built.name))
        included[self._built.name] = f"{FOLDER}/guide"
