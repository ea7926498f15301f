"""The guide as a site: it builds without a dead link, and is served."""

import re
import shutil

import aiohttp
import pytest
from yarl import URL

from tests.support.guide import PROJECT, build, served

pytestmark = pytest.mark.full


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("guide")
    done = build(folder)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return folder


async def get(folder, path, *, read=True):
    async with served(folder) as server, aiohttp.ClientSession() as client:
        response = await client.get(URL(f"{server.make_url('/docs/guide/')}{path}", encoded=True))
        return response.status, response.headers, await response.text() if read else ""


@pytest.mark.parametrize("name", ["", "tutorial.html", "changelog.html", "http-api.html"])
async def test_its_pages_are_served_under_the_pages_policy(site, name):
    status, headers, text = await get(site, name)
    assert status == 200
    assert "<h1" in text
    assert "default-src 'self'" in headers["Content-Security-Policy"]


def test_a_link_that_leads_nowhere_and_a_page_that_is_not_listed_are_named(tmp_path):
    project = tmp_path / "project"
    for name in (
        ".ci/guide.py",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "deploy/push.md",
    ):
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(PROJECT / name, project / name)
    for folder in ("docs", "web/guide"):
        shutil.copytree(PROJECT / folder, project / folder)
    (project / "docs" / "concepts.md").write_text(
        '# Concepts\n[a](agents.md#nowhere) [b](new.md) <img src="c.webp">'
    )
    (project / "docs" / "new.md").write_text("# New")
    done = build(tmp_path / "guide", project)
    assert done.returncode == 1
    assert "docs/new.md is in no section" in done.stderr
    assert 'concepts: no href="agents.html#nowhere"' in done.stderr
    assert 'concepts: no href="new.html"' in done.stderr


async def test_the_first_page_shows_its_picture(site):
    _, _, text = await get(site, "")
    for name in re.findall(r'src(?:set)?="(page-[^"]+)"', text):
        status, headers, _ = await get(site, name, read=False)
        assert (status, headers["Content-Type"]) == (200, "image/webp")


async def test_its_index_for_search_is_served(site):
    status, headers, text = await get(site, "search.json")
    assert (status, headers["Content-Type"]) == (200, "application/json")
    assert "Troubleshooting" in text


@pytest.mark.parametrize("name", ["missing.html", "..%2fpyproject.toml", "%2e%2e%2fREADME.md"])
async def test_nothing_else_is_served(site, name):
    assert (await get(site, name))[0] == 404


def test_no_page_has_a_script_or_style_that_the_policy_forbids(site):
    pages = [page.read_text() for page in site.glob("*.html")]
    assert not any(word in text for text in pages for word in (" style=", "<style", " onclick="))
    scripts = [part.split(">")[0] for text in pages for part in text.split("<script")[1:]]
    assert all("src=" in script for script in scripts)


async def test_a_guide_that_is_not_built_says_how_to_build_it(tmp_path):
    status, _, text = await get(tmp_path, "")
    assert status == 200
    assert "make ready" in text
