"""The guide, built as `make docs` builds it and served as the bridge serves it, without a bridge."""

import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from aiohttp import web
from aiohttp.test_utils import BaseTestServer, TestServer

from bridge.api.operations import page
from bridge.api.server.page_files import PageFiles
from bridge.api.server.services import ACCESS, SITE

PROJECT = Path(__file__).parents[2]


def build(folder: Path, project: Path = PROJECT) -> subprocess.CompletedProcess[str]:
    """Build a project's guide into a folder; a dead link makes it fail."""
    command = [sys.executable, str(project / ".ci" / "guide.py"), "--strict", str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@asynccontextmanager
async def served(folder: Path) -> AsyncIterator[BaseTestServer]:
    """Serve a folder with the bridge's own handlers and headers."""
    application = web.Application()
    site: Any = SimpleNamespace(pages=SimpleNamespace(guide=folder, files=PageFiles()))
    access: Any = SimpleNamespace(keys=None)
    application[SITE], application[ACCESS] = site, access
    application.router.add_get("/docs/guide/", page.guide.answer)
    application.router.add_get("/docs/guide/{name}", page.guide_file.answer)
    async with TestServer(application) as server:
        yield server
