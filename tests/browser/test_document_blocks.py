"""The JavaScript of the documents, run as it is written in a page of the bridge's own."""

import asyncio

import pytest
from playwright.async_api import Browser

from tests.browser.stage.chromium import Visitor
from tests.docs.blocks import runnable
from tests.support.server import Server

pytestmark = pytest.mark.browser

EXAMPLE = "http://127.0.0.1:8080"
RUN = """(text) => new Promise((done, fail) => {
  document.body.append(document.createElement("audio"));
  window.ran = done;
  window.addEventListener("error", ({ message }) => fail(new Error(message)));
  window.addEventListener("unhandledrejection", ({ reason }) => fail(reason));
  const script = document.createElement("script");
  script.type = "module";
  script.text = `${text}\\nwindow.ran(call.state);`;
  document.body.append(script);
})"""


@pytest.mark.parametrize("block", runnable("js"), ids=lambda block: f"{block.page}:{block.line}")
async def test_a_page_of_the_documents_places_a_call(browser: Browser, server: Server, block):
    async with Visitor.visit(browser, server, path="/healthz") as visitor, asyncio.timeout(30):
        state = await visitor.page.evaluate(RUN, block.text.replace(EXAMPLE, server.url))

        assert state == "connected"
