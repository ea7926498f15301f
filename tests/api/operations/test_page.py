"""The page and the library as files."""

import re

import pytest

from bridge.api.routes import ROUTES
from bridge.api.server.page_files import find_pages


async def test_the_page_is_served_at_the_root(client):
    response = await client.get("/", headers={})
    assert response.status == 200
    assert "<html" in (await response.text()).lower()
    assert "frame-ancestors 'none'" in response.headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    "name",
    [
        "bridge.js",
        "api.js",
        "call.js",
        "connection.js",
        "level.js",
        "microphone.js",
        "offer.js",
        "quality.js",
        "report.js",
        "speaker.js",
        "warnings.js",
        "pcm.js",
        "pcm-worklet.js",
        "agent.js",
        "card.js",
        "contacts.js",
        "conversation.js",
        "demo.js",
        "devices.js",
        "diagnosis.js",
        "events.js",
        "draw.js",
        "figures.js",
        "memory.js",
        "notices.js",
        "phone.js",
        "watch.js",
        "words.js",
        "style.css",
        "icon.svg",
        "docs.js",
        "docs.css",
    ],
)
async def test_the_pages_files_are_served(client, name):
    assert (await client.get(f"/web/{name}", headers={})).status == 200


@pytest.mark.parametrize("name", ["tsconfig.json", "..%2fpyproject.toml", "%2e%2e/LICENSE"])
async def test_nothing_else_is_served(client, name):
    assert (await client.get(f"/web/{name}", headers={})).status == 404


async def test_the_readme_is_served_as_text(client):
    response = await client.get("/README.md", headers={})
    assert response.status == 200
    assert response.content_type == "text/plain"


async def test_the_docs_bring_all_that_they_need(client):
    response = await client.get("/docs", headers={})
    assert response.status == 200
    text = await response.text()
    for address in re.findall(r'(?:href|src)="([^"#]+)"', text):
        assert not address.startswith("http"), address
        assert (await client.get(f"/{address}", headers={})).status == 200, address


async def test_the_guide_without_a_slash_leads_to_its_first_page(client):
    response = await client.get("/docs/guide", headers={})
    assert (response.status, response.url.path) == (200, "/docs/guide/")


async def test_the_guide_for_language_models_names_routes_only(client):
    response = await client.get("/llms.txt", headers={})
    assert response.content_type == "text/plain"
    named = set(
        re.findall(r"\b(GET|POST|PUT|PATCH|DELETE) (/[\w/{}.-]*[\w}])", await response.text())
    )
    assert named - {(route.method, route.path) for route in ROUTES} == set()
    assert len(named) > 60


@pytest.mark.parametrize("path", ["/docs", "/llms.txt"])
async def test_every_socket_and_event_stream_is_told_of(client, path):
    text = await (await client.get(path, headers={})).text()
    ends = ("/stream", "/media", "/events")
    streams = [route.path for route in ROUTES if route.path.endswith(ends)]
    assert [told for told in streams if told not in text] == []


def test_a_checkout_serves_its_own_pages():
    pages = find_pages()
    assert (pages.web / "index.html").is_file()
    assert pages.readme.is_file()
