"""Meta's Graph API: what is asked, what is asked again, and what refusals become."""

import logging

import aiohttp
import pytest

from bridge.errors import PermissionRequired, WhatsAppError, WhatsAppRefused
from bridge.http.address_guard import Guard
from bridge.http.client import Http
from bridge.whatsapp import graph as module
from bridge.whatsapp.graph import Graph, GraphAccess, mask
from tests.support.whatsapp.graph_double import NUMBER_ID, TOKEN, USER, GraphDouble

BROKEN = {"error": {"code": 2, "message": "Service temporarily unavailable"}}
BAD = {"error": {"code": 100, "message": "no", "error_data": {"details": "bad sdp"}}}
TOO_MUCH = {"error": {"code": 80007, "message": "too much"}}

pytestmark = pytest.mark.virtual_time


@pytest.fixture
async def double():
    async with GraphDouble() as running:
        yield running


@pytest.fixture
async def http():
    made = Http(Guard(allow=[], require_tls=False))
    yield made
    await made.aclose()


@pytest.fixture
def graph(double, http):
    return Graph(GraphAccess(NUMBER_ID, TOKEN, double.url), http)


@pytest.mark.parametrize("status", [400, 403, 500, 503])
async def test_a_call_is_begun_once_whatever_meta_answers(double, graph, status):
    double.faults["connect"] = [(status, BROKEN if status >= 500 else BAD)]
    with pytest.raises(WhatsAppError):
        await graph.connect(USER, "v=0\r\n")
    assert double.actions() == ["connect"]


async def test_a_call_is_begun_once_when_the_answer_does_not_come(double, graph):
    double.slow_seconds["connect"] = 25.0
    with pytest.raises(WhatsAppError) as caught:
        await Graph.connect(graph, USER, "v=0\r\n")
    assert caught.value.status == 502
    assert double.actions() == ["connect"]


@pytest.mark.parametrize("action", ["pre_accept", "accept", "terminate", "reject"])
async def test_what_ends_or_takes_a_call_is_asked_again_after_a_failure(double, graph, action):
    double.faults[action] = [(500, BROKEN), (503, BROKEN), (200, {"success": True})]
    if action in {"accept", "pre_accept"}:
        await getattr(graph, action)("wacid.A", "v=0\r\n")
    else:
        await getattr(graph, action)("wacid.A")
    assert double.actions() == [action] * 3


async def test_a_refusal_after_a_doubtful_attempt_means_that_it_was_done(double, graph):
    double.faults["accept"] = [(500, BROKEN), (400, BAD)]
    await graph.accept("wacid.A", "v=0\r\n")
    double.faults["accept"] = [(400, BAD)]
    with pytest.raises(WhatsAppRefused, match=r"bad sdp \(Meta code 100\)"):
        await graph.accept("wacid.A", "v=0\r\n")


async def test_a_missing_permission_is_an_error_of_its_own(double, graph):
    double.permitted = False
    with pytest.raises(PermissionRequired) as caught:
        await graph.connect(USER, "v=0\r\n")
    assert caught.value.status == 403
    assert caught.value.meta_code == 138006


async def test_a_token_that_has_expired_is_said_in_plain_words(double, http):
    graph = Graph(GraphAccess(NUMBER_ID, "old", double.url), http)
    with pytest.raises(WhatsAppRefused, match="token has expired") as caught:
        await graph.settings()
    assert caught.value.status == 409


async def test_meta_is_left_alone_for_as_long_as_it_wants(double, graph):
    double.faults["connect"] = [(429, TOO_MUCH)]
    with pytest.raises(WhatsAppRefused) as caught:
        await graph.connect(USER, "v=0\r\n")
    assert caught.value.status == 429
    assert caught.value.retry_after == 60


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, 0.0),
        ("nonsense", 0.0),
        ('{"call_count": 30}', 0.0),
        ('{"1": [{"call_count": 100, "estimated_time_to_regain_access": 3}]}', 180.0),
        ("[1]", 0.0),
    ],
)
def test_usage_headers_say_how_long_to_wait(header, seconds):
    assert module._usage_seconds(header) == seconds


async def test_while_meta_wants_to_be_left_alone_no_new_call_is_asked_for(double, graph):
    graph._read_rate_limit({"Retry-After": "30"})
    with pytest.raises(WhatsAppRefused) as caught:
        await graph.connect(USER, "v=0\r\n")
    assert 0 < (caught.value.retry_after or 0) <= 31
    assert double.actions() == []
    double.faults["terminate"] = [(200, {"success": True})]
    await graph.terminate("wacid.A")


async def test_an_answer_without_sense_is_metas_failure(double, graph):
    double.faults["connect"] = [(200, {"success": True}), (200, ["odd"])]
    for _ in range(2):
        with pytest.raises(WhatsAppError) as caught:
            await graph.connect(USER, "v=0\r\n")
        assert caught.value.status == 502


async def test_meta_that_cannot_be_reached_is_tried_again_and_then_given_up(http):
    graph = Graph(GraphAccess(NUMBER_ID, TOKEN, "http://127.0.0.1:9"), http)
    with pytest.raises(WhatsAppError, match="cannot be reached"):
        await graph.connect(USER, "v=0\r\n")
    assert aiohttp.ClientConnectorError in module.NEVER_LEFT


async def test_how_meta_answered_last_is_remembered(double, graph, http):
    await graph.settings()
    assert graph.health.answered_at > 0
    assert graph.health.failure == ""
    away = Graph(GraphAccess(NUMBER_ID, TOKEN, "http://127.0.0.1:9"), http)
    with pytest.raises(WhatsAppError):
        await away.settings()
    assert (away.health.answered_at, away.health.failure) == (0.0, "Meta cannot be reached")


async def test_permission_is_asked_for_in_both_ways(double, graph):
    assert (await graph.permission(USER)).status == "temporary"
    assert await graph.ask_permission(USER, text="May we?") == "wamid.EXAMPLE"
    await graph.ask_permission(USER, template={"name": "calls", "language": {"code": "en"}})
    free, template = [body for path, body in double.requests if path == "messages"]
    assert free["interactive"]["body"] == {"text": "May we?"}
    assert template["template"]["name"] == "calls"


async def test_settings_are_read_and_changed(double, graph):
    await graph.change_settings({"status": "ENABLED"})
    assert (await graph.settings())["calling"] == {"status": "ENABLED"}


async def test_nothing_secret_is_logged(double, graph, caplog):
    caplog.set_level(logging.DEBUG)
    double.faults["terminate"] = [(400, BAD)]
    with pytest.raises(WhatsAppRefused):
        await graph.terminate("wacid.SECRET")
    text = " ".join(str(record.__dict__) for record in caplog.records if "bridge" in record.name)
    assert text
    assert not any(word in text for word in (TOKEN, "wacid.SECRET", USER))
    assert TOKEN not in repr(GraphAccess(NUMBER_ID, TOKEN))
    assert mask("wacid.SECRET") == mask("wacid.SECRET")


async def test_what_is_announced_goes_along_where_meta_takes_it(double, http):
    said = {"recording": {"status": "ENABLED", "purpose": "p", "announcement_language": "en_US"}}
    access = GraphAccess(NUMBER_ID, TOKEN, double.url, announcements=said)
    number = Graph(access, http)
    double.faults["connect"] = [(200, {"calls": [{"id": "wacid.A"}]})]
    for action in ("pre_accept", "accept"):
        double.faults[action] = [(200, {"success": True})]
    await number.connect(USER, "v=0\r\n", opaque="job-42")
    await number.pre_accept("wacid.A", "v=0\r\n")
    await number.accept("wacid.A", "v=0\r\n", opaque="00ab")
    bodies = {body["action"]: body for _, body in double.requests}
    assert bodies["connect"]["recording"] == said["recording"]
    assert bodies["accept"]["recording"] == said["recording"]
    assert "recording" not in bodies["pre_accept"]
    assert bodies["connect"]["biz_opaque_callback_data"] == "job-42"
    assert bodies["accept"]["biz_opaque_callback_data"] == "00ab"
