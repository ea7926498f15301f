"""Meta's API at providers that stand in front of it, by settings alone."""

import pytest

from bridge.app.lines import graph_of
from bridge.errors import WhatsAppRefused
from bridge.http.address_guard import Guard
from bridge.http.client import Http
from bridge.settings.model import WhatsApp
from tests.support.whatsapp.graph_double import NUMBER_ID, TOKEN, USER, GraphDouble
from tests.support.whatsapp.graph_style import DIALOG_360, KAPSO, META


@pytest.fixture
async def http():
    made = Http(Guard(allow=[], require_tls=False))
    yield made
    await made.aclose()


def graph_at(double, http, **settings):
    known = {"phone_number_id": NUMBER_ID, "access_token": TOKEN, "base_url": double.url}
    return graph_of(WhatsApp(provider="cloud", **known, **settings), http)


@pytest.mark.parametrize("style", [META, KAPSO, DIALOG_360])
async def test_each_request_has_the_path_and_the_header_of_its_provider(style, http):
    async with GraphDouble(style=style) as double:
        graph = graph_at(double, http, **style.settings())
        double.faults["accept"] = [(200, {"success": True})]
        await graph.accept("wacid.A", "v=0\r\n")
        await graph.change_settings({"status": "ENABLED"})
        assert (await graph.settings())["calling"] == {"status": "ENABLED"}
        assert (await graph.permission(USER)).may_call
        assert await graph.ask_permission(USER, text="May we?") == "wamid.EXAMPLE"
        assert double.actions() == ["accept"]


@pytest.mark.parametrize("style", [KAPSO, DIALOG_360])
async def test_the_token_in_metas_header_is_refused_elsewhere(style, http):
    async with GraphDouble(style=style) as double:
        others = {**style.settings(), "auth_header": META.auth_header}
        with pytest.raises(WhatsAppRefused, match="token"):
            await graph_at(double, http, **others).settings()
