"""The npm package of the browser client, packed and installed as an app would."""

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import web
from playwright.async_api import Browser

from tests.support.server import Server

pytestmark = [pytest.mark.browser, pytest.mark.npm]

PROJECT = Path(__file__).parents[2]
TYPESCRIPT = PROJECT / "node_modules" / ".bin"

# An app of another origin than the bridge's, which imports the package by its name.
APP = """<!doctype html>
<title>An app</title>
<script type="importmap">{"imports": {"media-bridge-client": "./node_modules/media-bridge-client/bridge.js"}}</script>
<audio autoplay></audio>
"""
CALL = """
async ({ baseUrl, key, number }) => {
  const { BridgeApi, BridgeCall, openMicrophone } = await import("media-bridge-client");
  const api = new BridgeApi({ baseUrl, key });
  const call = new BridgeCall(api, await api.dial(number));
  document.querySelector("audio").srcObject = call.remoteStream;
  const heard = new Promise((done) => call.on("quality", ({ levelIn }) => levelIn > 0.01 && done()));
  await call.connect(await openMicrophone());
  await heard;
  await api.hangup(call.callId);
  return call.callId;
}
"""
TYPED = """
import { BridgeApi, BridgeCall, type ConnectionTest, type Quality } from "media-bridge-client";
import { PcmCall } from "media-bridge-client/pcm";
const api = new BridgeApi({ baseUrl: "https://bridge.example" });
const call = new BridgeCall(api, "any", { ticket: async () => "tk_1" });
call.on("quality", (quality: Quality) => console.log(quality.mos?.toFixed(1)));
const test: ConnectionTest = await api.testConnection({ microphone: null, onProgress: ({ done }) => console.log(done.toFixed(1)) });
console.log(test.verdict === "good", test.echo?.mos.toFixed(1), test.paths.map(({ name, state }) => [name, state]));
// @ts-expect-error: there is no such verdict
console.log(test.verdict === "excellent");
const other: PcmCall = new PcmCall(api, "any");
// @ts-expect-error: there is no such event
other.on("qualities", () => undefined);
"""


def npm(folder: Path, *arguments: str) -> None:
    path = f"{TYPESCRIPT}{os.pathsep}{os.environ['PATH']}"
    quiet = ["--silent", "--no-audit", "--no-fund", "--offline"]
    subprocess.run(
        ["npm", *quiet, *arguments],
        cwd=folder,
        env=os.environ | {"PATH": path},
        check=True,
        capture_output=True,
        timeout=60,
    )


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an app that has installed the package's tarball."""
    sources = tmp_path_factory.mktemp("sources")
    shutil.copytree(PROJECT / "web", sources / "web")
    shutil.copy(PROJECT / "LICENSE", sources)
    npm(sources, "pack", "--pack-destination", str(sources), "./web")
    [tarball] = sources.glob("*.tgz")
    folder = tmp_path_factory.mktemp("app")
    (folder / "package.json").write_text(json.dumps({"private": True, "type": "module"}))
    npm(folder, "install", "--ignore-scripts", str(tarball))
    (folder / "index.html").write_text(APP)
    (folder / "typed.ts").write_text(TYPED)
    return folder


@pytest_asyncio.fixture(loop_scope="session")
async def origin(app: Path) -> AsyncIterator[str]:
    """Where the app's own server serves its folder."""
    application = web.Application()
    application.router.add_static("/", app)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def test_an_app_that_installed_the_package_places_a_call(
    browser: Browser, origin: str, keyed_server: Server
):
    page = await browser.new_page()
    await page.goto(f"{origin}/index.html")
    bridge = {"baseUrl": keyed_server.url, "key": keyed_server.key}
    async with asyncio.timeout(30):
        call_id = await page.evaluate(CALL, {**bridge, "number": "15550100001"})
    assert keyed_server.get(f"/call/{call_id}/quality")["legs"]
    await page.close()


@pytest.mark.parametrize("resolution", ["bundler", "nodenext"])
def test_the_package_brings_types(app: Path, resolution: str):
    options = {
        "strict": True,
        "noEmit": True,
        "target": "es2022",
        "lib": ["es2022", "dom"],
        "types": [],
        "module": "nodenext" if resolution == "nodenext" else "es2022",
        "moduleResolution": resolution,
    }
    project = {"compilerOptions": options, "files": ["typed.ts"]}
    (app / "tsconfig.json").write_text(json.dumps(project))
    done = subprocess.run(
        [TYPESCRIPT / "tsc"], cwd=app, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout
