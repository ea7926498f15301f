"""Files of the pages on the wire: compressed, without comments, and sent again only after a change."""

import gzip
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from bridge.api.server.page_files import PageFiles, accepts_gzip, without_comments

PROJECT = Path(__file__).parents[3]
TYPESCRIPT = PROJECT / "node_modules" / "typescript"
SCRIPT = "/** Sums.\n * @param {number} a */\nexport const sum = (a) => a + 1;\n"


@pytest.fixture
async def site(tmp_path):
    """A client of a server with one file, and the file."""
    path = tmp_path / "sum.js"
    path.write_text(SCRIPT)
    files = PageFiles()

    async def answer(request):
        return await files.respond(request, path, {"Cache-Control": "no-cache"})

    application = web.Application()
    application.router.add_get("/", answer)
    async with TestClient(TestServer(application), auto_decompress=False) as client:
        yield client, path


async def get(client, **headers):
    response = await client.get("/", headers={"Accept-Encoding": "gzip"} | headers)
    return response, await response.read()


async def test_a_file_is_compressed_for_those_who_take_it(site):
    client, _ = site
    response, packed = await get(client)
    plain, content = await get(client, **{"Accept-Encoding": "identity"})
    assert response.headers["Content-Encoding"] == "gzip"
    assert response.headers["Vary"] == plain.headers["Vary"] == "Accept-Encoding"
    assert response.headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert "Content-Encoding" not in plain.headers
    assert gzip.decompress(packed) == content == b"\n\nexport const sum = (a) => a + 1;\n"


async def test_a_client_that_has_the_file_is_told_so_until_it_changes(site):
    client, path = site
    response, _ = await get(client)
    tagged = {"If-None-Match": response.headers["ETag"]}
    again, nothing = await get(client, **tagged)
    path.write_text("export const sum = 3;\n")
    os.utime(path, (1, 1))
    changed, packed = await get(client, **tagged)
    assert (again.status, nothing) == (304, b"")
    assert again.headers["Cache-Control"] == "no-cache"
    assert changed.status == 200
    assert gzip.decompress(packed) == b"export const sum = 3;\n"


async def test_the_two_forms_of_a_file_have_tags_of_their_own(site):
    client, _ = site
    packed, _ = await get(client)
    plain, _ = await get(client, **{"Accept-Encoding": ""})
    assert packed.headers["ETag"] != plain.headers["ETag"]


@pytest.mark.parametrize(
    ("header", "accepted"),
    [
        ("gzip, deflate, br, zstd", True),
        ("br;q=1.0, GZIP;q=0.8", True),
        ("*", True),
        ("", False),
        ("identity", False),
        ("gzip;q=0", False),
        ("gzip; q=0.000, br", False),
        ("x-gzip-not", False),
        ("*;q=0, gzip", True),
        ("gzip;q=0, *", False),
        ("gzip;q=.", True),
        ("gzip;q=1.2.3", True),
    ],
)
def test_what_a_client_takes_is_in_its_header(header, accepted):
    assert accepts_gzip(header) == accepted


@pytest.mark.parametrize(
    ("script", "left"),
    [
        ("// All.\nlet a; // kept\n", "\nlet a; // kept\n"),
        ("let a;\n  /**\n   * Two.\n   */\n  let b;\n", "let a;\n\n\n\n  let b;\n"),
        ("/** One. */\nlet a;\n", "\nlet a;\n"),
        ('const url = "https://a.example/";\n', 'const url = "https://a.example/";\n'),
        ("let a = /** @type {any} */ (b);\n", "let a = /** @type {any} */ (b);\n"),
    ],
)
def test_only_comments_on_lines_of_their_own_are_left_out_and_lines_keep_their_numbers(
    script, left
):
    assert without_comments(script) == left


# Reads [as written, as served] pairs, and prints which of them are the same program once no comments are left.
SAME = """
const ts = require(process.argv[1]);
const program = (text) => ts.transpileModule(text, { compilerOptions: { removeComments: true, target: "esnext" } }).outputText;
const pairs = JSON.parse(require("fs").readFileSync(0, "utf8"));
console.log(JSON.stringify(pairs.map(([written, served]) => program(written) === program(served))));
"""


@pytest.mark.npm
@pytest.mark.skipif(not TYPESCRIPT.exists(), reason="typescript is not installed (make check-web)")
def test_every_script_of_the_pages_is_the_same_program_without_its_comments():
    scripts = sorted((PROJECT / "web").rglob("*.js"))
    pairs = [(text, without_comments(text)) for text in (path.read_text() for path in scripts)]
    node = shutil.which("node") or "node"
    done = subprocess.run(
        [node, "-e", SAME, str(TYPESCRIPT)],
        input=json.dumps(pairs),
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    same = json.loads(done.stdout)
    assert len(same) > 40
    assert [path.name for path, one in zip(scripts, same, strict=True) if not one] == []
    assert sum(len(served) for _, served in pairs) < sum(len(written) for written, _ in pairs) * 0.9
