"""The demo page, the operator's console, the browser library, the guide and the README, as files."""

import re
from pathlib import Path
from typing import Final

from aiohttp import web

from bridge.api.operation import BARE, FILE, NOBODY, Context, Group

FILE_NAME = re.compile(r"[a-z-]+\.(css|js|svg)")
HEADERS = {
    "Cache-Control": "no-cache",
    "Referrer-Policy": "no-referrer",
}
GUIDE_FILE = re.compile(r"[a-z0-9-]+\.(html|css|js|json|svg)")
NOT_BUILT = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>The guide is not built</title>
<p>The guide is not built. In the checkout of the bridge, run <code>make docs</code> and reload this page.
The documents are in the folder <code>docs</code>, the API reference is at <a href="../../docs">/docs</a>.</p>
</html>
"""
PLAIN = {"Content-Type": "text/plain; charset=utf-8"}
PAGE_HEADERS = HEADERS | {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; media-src 'self' blob:; "
    "connect-src *; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "Permissions-Policy": "microphone=(self), speaker-selection=(self)",
}
CONSOLE_HEADERS = HEADERS | {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'; "
    "base-uri 'none'; form-action 'none'",
}
GROUP: Final = Group(name="Service", envelope=BARE, auth=NOBODY)


@GROUP.get("/", content="text/html", gives=FILE)
async def index(context: Context) -> web.FileResponse:
    """Return the demo page."""
    return web.FileResponse(context.services.site.pages.web / "index.html", headers=PAGE_HEADERS)


@GROUP.get("/web/{name}", content="text/javascript", gives=FILE, errors=(404,))
async def file(context: Context) -> web.FileResponse:
    """Return a file of the page or the client library."""
    return _file(context.services.site.pages.web, context.path("name"))


@GROUP.get("/console", content="text/html", gives=FILE)
async def console(context: Context) -> web.FileResponse:
    """Return the operator's console."""
    path = context.services.site.pages.web / "console" / "main.html"
    return web.FileResponse(path, headers=CONSOLE_HEADERS)


@GROUP.get("/web/console/{name}", content="text/javascript", gives=FILE, errors=(404,))
async def console_file(context: Context) -> web.FileResponse:
    """Return a file of the operator's console."""
    return _file(context.services.site.pages.web / "console", context.path("name"))


@GROUP.get("/docs", content="text/html", gives=FILE)
async def docs(context: Context) -> web.FileResponse:
    """Return the API reference."""
    return web.FileResponse(context.services.site.pages.web / "docs.html", headers=PAGE_HEADERS)


@GROUP.get("/docs/guide", content="text/html", gives=FILE, status=302)
async def guide_folder(context: Context) -> web.Response:
    """Redirect to the guide's first page."""
    headers = PAGE_HEADERS | {"Location": "guide/"}
    text = '<a href="guide/">The guide</a>'
    return web.Response(status=302, text=text, content_type="text/html", headers=headers)


@GROUP.get("/docs/guide/", content="text/html", gives=FILE)
async def guide(context: Context) -> web.StreamResponse:
    """Return the guide's first page."""
    return _guide(context, "index.html")


@GROUP.get("/docs/guide/{name}", content="text/html", gives=FILE, errors=(404,))
async def guide_file(context: Context) -> web.StreamResponse:
    """Return a page or file of the guide."""
    return _guide(context, context.path("name"))


@GROUP.get("/llms.txt", content="text/plain", gives=FILE)
async def llms(context: Context) -> web.FileResponse:
    """Return the guide for language models."""
    path = context.services.site.pages.web / "llms.txt"
    return web.FileResponse(path, headers=HEADERS | PLAIN)


@GROUP.get("/README.md", content="text/plain", gives=FILE, errors=(404,))
async def readme(context: Context) -> web.FileResponse:
    """Return the README."""
    path = context.services.site.pages.readme
    if not path.is_file():
        raise web.HTTPNotFound
    return web.FileResponse(path, headers=HEADERS | PLAIN)


def _file(folder: Path, name: str) -> web.FileResponse:
    if not FILE_NAME.fullmatch(name) or not (folder / name).is_file():
        raise web.HTTPNotFound
    return web.FileResponse(folder / name, headers=HEADERS)


def _guide(context: Context, name: str) -> web.StreamResponse:
    """Return a file of the guide, or a page that says how to build it."""
    root = context.services.site.pages.guide
    if not (root / "index.html").is_file():
        return web.Response(text=NOT_BUILT, content_type="text/html", headers=PAGE_HEADERS)
    if not GUIDE_FILE.fullmatch(name) or not (root / name).is_file():
        raise web.HTTPNotFound
    headers = PAGE_HEADERS if name.endswith(".html") else HEADERS
    return web.FileResponse(root / name, headers=headers)
