"""The demo page, the console, the browser library, the guide and the README, as files."""

import re
from pathlib import Path
from typing import Final

from aiohttp import web

from bridge.api.server.operation import BARE, FILE, NOBODY, Context, Group
from bridge.api.server.services import SITE

FILE_NAME = re.compile(r"[a-z-]+\.(css|js|svg)")
HEADERS = {"Cache-Control": "no-cache", "Referrer-Policy": "no-referrer"}
GUIDE_FILE = re.compile(r"[a-z0-9-]+\.(html|css|js|json|svg|webp)")
NOT_BUILT = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>The guide is not built</title>
<p>The guide is not built. Start the bridge with <code>make run</code>, or run <code>make ready</code> in its checkout, and reload this page.
The documents are in the folder <code>docs</code>, the API reference is at <a href="../../docs">/docs</a>.</p>
</html>
"""
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
async def index(context: Context) -> web.Response:
    """Return the demo page."""
    return await _file(context, context[SITE].pages.web / "index.html", PAGE_HEADERS)


@GROUP.get("/web/{name}", content="text/javascript", gives=FILE, errors=(404,))
async def file(context: Context) -> web.Response:
    """Return a file of the page or the client library."""
    return await _named(context, context[SITE].pages.web)


@GROUP.get("/console", content="text/html", gives=FILE)
async def console(context: Context) -> web.Response:
    """Return the console."""
    path = context[SITE].pages.web / "console" / "main.html"
    return await _file(context, path, CONSOLE_HEADERS)


@GROUP.get("/web/console/{name}", content="text/javascript", gives=FILE, errors=(404,))
async def console_file(context: Context) -> web.Response:
    """Return a file of the console."""
    return await _named(context, context[SITE].pages.web / "console")


@GROUP.get("/docs", content="text/html", gives=FILE)
async def docs(context: Context) -> web.Response:
    """Return the API reference."""
    return await _file(context, context[SITE].pages.web / "docs.html", PAGE_HEADERS)


@GROUP.get("/docs/guide", content="text/html", gives=FILE, status=302)
async def guide_folder(context: Context) -> web.Response:
    """Redirect to the guide's first page."""
    headers = PAGE_HEADERS | {"Location": "guide/"}
    text = '<a href="guide/">The guide</a>'
    return web.Response(status=302, text=text, content_type="text/html", headers=headers)


@GROUP.get("/docs/guide/", content="text/html", gives=FILE)
async def guide(context: Context) -> web.Response:
    """Return the guide's first page."""
    return await _guide(context, "index.html")


@GROUP.get("/docs/guide/{name}", content="text/html", gives=FILE, errors=(404,))
async def guide_file(context: Context) -> web.Response:
    """Return a page or file of the guide."""
    return await _guide(context, context.path("name"))


@GROUP.get("/llms.txt", content="text/plain", gives=FILE)
async def llms(context: Context) -> web.Response:
    """Return the guide for language models."""
    return await _file(context, context[SITE].pages.web / "llms.txt", HEADERS)


@GROUP.get("/README.md", content="text/plain", gives=FILE, errors=(404,))
async def readme(context: Context) -> web.Response:
    """Return the README."""
    return await _file(context, context[SITE].pages.readme, HEADERS)


async def _named(context: Context, folder: Path) -> web.Response:
    name = context.path("name")
    if not FILE_NAME.fullmatch(name):
        raise web.HTTPNotFound
    return await _file(context, folder / name, HEADERS)


async def _guide(context: Context, name: str) -> web.Response:
    """Return a file of the guide, or a page that says how to build it."""
    root = context[SITE].pages.guide
    if not (root / "index.html").is_file():
        return web.Response(text=NOT_BUILT, content_type="text/html", headers=PAGE_HEADERS)
    if not GUIDE_FILE.fullmatch(name):
        raise web.HTTPNotFound
    headers = PAGE_HEADERS if name.endswith(".html") else HEADERS
    return await _file(context, root / name, headers)


async def _file(context: Context, path: Path, headers: dict[str, str]) -> web.Response:
    try:
        return await context[SITE].pages.files.respond(context.http, path, headers)
    except FileNotFoundError:
        raise web.HTTPNotFound from None
