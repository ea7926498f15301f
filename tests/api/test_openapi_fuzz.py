"""Schemathesis asks every operation of every face: answered as described, never with a crash.

Examples follow from the document alone, good ones and bad ones, and are the same at each run. Lines
and calls are real: what an example begins, the next one meets.
"""

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, core, settings
from hypothesis.vendor import pretty
from schemathesis import GenerationMode
from schemathesis.generation.feedback import FeedbackSources
from schemathesis.pytest._test_builder import build_operation_test
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from bridge.api.openapi import OPERATIONS, document
from tests.support.server import running

pytestmark = pytest.mark.full

# Schemathesis has replaced it by one that prints nothing, for the property tests of other files too.
vars(core)["RepresentationPrinter"] = pretty.RepresentationPrinter

CHECKS = (
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
)
ENDLESS = {"/console/api/live", "/events", "/api/v1/sessions/{sessionId}/events"}
"""Event streams that end with the bridge; tests/api/events/test_events.py and test_console.py read them."""
SETTINGS = settings(
    max_examples=4,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
SECONDS = 20.0
OPERATION = pytest.mark.parametrize(
    ("method", "path"),
    [pytest.param(*key, id=" ".join(key)) for key in sorted(OPERATIONS) if key[1] not in ENDLESS],
)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running(tmp_path_factory.mktemp("fuzz"), SIMULATOR__RING_SECONDS="0") as server:
        yield server


@pytest.fixture(scope="module")
def schema():
    schema = schemathesis.openapi.from_dict(document())
    schema.config.generation.update(modes=[GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
    return schema


def ask(operation, server):
    """Send all examples of an operation."""

    local = operation.path.startswith(("/console", "/metrics"))

    def validate(case):
        case.call_and_validate(
            base_url=f"http://127.0.0.1:{server.port}",
            headers={"token": server.local if local else server.key, "Connection": "close"},
            timeout=SECONDS,
            checks=CHECKS,
        )

    # Built in the test, as `schema.parametrize` would build all of them in every worker.
    build_operation_test(
        config=operation.schema.config,
        operation=operation,
        test_func=validate,
        given_kwargs={},
        feedback=FeedbackSources(),
        explicit_settings=SETTINGS,
    )()


@OPERATION
def test_every_answer_is_as_described(method, path, schema, server):
    schema.config.phases.coverage.enabled = False
    ask(schema[path][method], server)


@pytest.mark.long
@OPERATION
def test_every_answer_to_a_value_at_the_edge_of_its_field_is_as_described(
    method, path, schema, server
):
    schema.config.phases.coverage.enabled = True
    ask(schema[path][method], server)


def test_only_streams_without_an_end_are_not_asked():
    assert {path for _, path in OPERATIONS} >= ENDLESS
