"""The page and the library as files."""

import pytest


async def test_the_page_is_served_at_the_root(client):
    response = await client.get("/", headers={})
    assert response.status == 200
    assert "<html" in (await response.text()).lower()
    assert "frame-ancestors 'none'" in response.headers["Content-Security-Policy"]


@pytest.mark.parametrize("name", ["bridge.js", "demo.js", "style.css"])
async def test_the_pages_files_are_served(client, name):
    assert (await client.get(f"/web/{name}", headers={})).status == 200


@pytest.mark.parametrize("name", ["tsconfig.json", "..%2fpyproject.toml", "%2e%2e/README.md"])
async def test_nothing_else_is_served(client, name):
    assert (await client.get(f"/web/{name}", headers={})).status == 404
