"""Schemathesis asks every operation of every face: answered as described, never with a crash.

Examples follow from the document alone, good ones and bad ones, and are the same at each run. Lines
and calls are real: what an example begins, the next one meets.
"""

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis import GenerationMode
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from bridge.api.openapi import OPERATIONS, document
from tests.support.server import running

CHECKS = (
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
)
ENDLESS = "^(/events|/api/v1/sessions/{sessionId}/events)$"
"""Event streams that end with the bridge; tests/api/test_events.py reads them."""
EXAMPLES = 4
SECONDS = 20.0

schema = schemathesis.openapi.from_dict(document()).exclude(path_regex=ENDLESS)
schema.config.generation.update(modes=[GenerationMode.POSITIVE, GenerationMode.NEGATIVE])


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running(tmp_path_factory.mktemp("fuzz"), SIMULATOR__RING_SECONDS="0") as server:
        yield server


@schema.parametrize()
@settings(
    max_examples=EXAMPLES,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_every_answer_is_as_described(case, server):
    headers = {"token": server.key, "Connection": "close"}
    case.call_and_validate(
        base_url=f"http://127.0.0.1:{server.port}",
        headers=headers,
        timeout=SECONDS,
        checks=CHECKS,
    )


def test_all_operations_but_the_endless_ones_are_asked():
    found = [result.ok() for result in schema.get_all_operations() if isinstance(result, Ok)]
    asked = {(operation.method.upper(), operation.path) for operation in found}
    assert len(set(OPERATIONS) - asked) == 2
