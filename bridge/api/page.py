"""The demo page, the browser library, the guide and the README, as files."""

import re

from aiohttp import web

from bridge.api.services import SERVICES

FILES = {
    "bridge.js",
    "api.js",
    "call.js",
    "connection.js",
    "level.js",
    "microphone.js",
    "offer.js",
    "quality.js",
    "warnings.js",
    "pcm.js",
    "pcm-worklet.js",
    "agent.js",
    "contacts.js",
    "demo.js",
    "devices.js",
    "draw.js",
    "figures.js",
    "memory.js",
    "notices.js",
    "words.js",
    "style.css",
    "icon.svg",
    "docs.js",
    "docs.css",
}

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


async def index(request: web.Request) -> web.FileResponse:
    """Serve the page."""
    return web.FileResponse(
        request.app[SERVICES].site.web_root / "index.html", headers=PAGE_HEADERS
    )


async def file(request: web.Request) -> web.FileResponse:
    """Serve a file that the page needs; other programs may load the library from here."""
    name = request.match_info["name"]
    if name not in FILES:
        raise web.HTTPNotFound
    return web.FileResponse(request.app[SERVICES].site.web_root / name, headers=HEADERS)


async def docs(request: web.Request) -> web.FileResponse:
    """Serve the pages about the API."""
    return web.FileResponse(request.app[SERVICES].site.web_root / "docs.html", headers=PAGE_HEADERS)


async def guide(request: web.Request) -> web.StreamResponse:
    """Serve a page or file of the guide, or how to build it."""
    root = request.app[SERVICES].site.guide_root
    name = request.match_info.get("name", "index.html")
    if not (root / "index.html").is_file():
        return web.Response(text=NOT_BUILT, content_type="text/html", headers=PAGE_HEADERS)
    if not GUIDE_FILE.fullmatch(name) or not (root / name).is_file():
        raise web.HTTPNotFound
    headers = PAGE_HEADERS if name.endswith(".html") else HEADERS
    return web.FileResponse(root / name, headers=headers)


async def llms(request: web.Request) -> web.FileResponse:
    """Serve the guide for language models, to be read as it is."""
    path = request.app[SERVICES].site.web_root / "llms.txt"
    return web.FileResponse(path, headers=HEADERS | PLAIN)


async def readme(request: web.Request) -> web.FileResponse:
    """Serve the README, to be read as it is."""
    path = request.app[SERVICES].site.readme
    if not path.is_file():
        raise web.HTTPNotFound
    return web.FileResponse(path, headers=HEADERS | PLAIN)
