from typing import cast

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from bridge.api.server import services
from bridge.api.server.auth import Access
from bridge.api.server.operation import Context
from bridge.call.model import LineName
from bridge.telemetry.span import Span
from bridge.telemetry.trace import OFF, Tracer
from bridge.wire.ticket import Ticket
from bridge.wire.trace_context import NONE, TraceContext

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
LINE = LineName("sales")


class Node:
    def __init__(self, tracer):
        self.tracer = tracer


def trace(access, tracer=None, **headers):
    application = web.Application()
    application[services.NODE] = cast(
        "services.NodeServices", Node(tracer or Tracer(list[Span]().append))
    )
    request = make_mocked_request("POST", "/call/dial", headers=headers, app=application)
    return Context(request, access).trace


def test_a_request_with_a_lines_key_names_the_trace_of_its_call():
    assert trace(Access(LINE), traceparent=PARENT, tracestate="a=1") == TraceContext(PARENT, "a=1")


@pytest.mark.parametrize(
    "access",
    [
        Access(LINE, Ticket("sales", "00AB", 1, "near", "anna")),
        Access(LineName(""), admin="1"),
        Access(LineName("")),
    ],
)
def test_no_other_request_does(access):
    assert trace(access, traceparent=PARENT) == NONE


def test_without_traces_no_header_is_read():
    assert trace(Access(LINE), OFF, traceparent=PARENT) == NONE
