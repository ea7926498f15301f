"""The page and the library as files."""

import pytest


async def test_the_page_is_served_at_the_root(client):
    response = await client.get("/", headers={})
    assert response.status == 200
    assert "<html" in (await response.text()).lower()
    assert "frame-ancestors 'none'" in response.headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    "name", ["bridge.js", "quality.js", "demo.js", "draw.js", "style.css", "icon.svg"]
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
