"""Nonsense in every described body: answered as described, never with a crash."""

import re
from typing import Any

import pytest
from hypothesis import strategies as st

from bridge.api.openapi import OPERATIONS
from tests.support.inprocess import KEY

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=5,
)
WITH_A_BODY = [
    key
    for key, operation in OPERATIONS.items()
    if operation.takes is not None and operation.takes_content == "application/json"
]
TRIES = 12


def nonsense(schema: Any, seed: int) -> Any:
    fields = dict.fromkeys(schema.get("properties", {}), JSON)
    return st.fixed_dictionaries({}, optional=fields).example() if seed else {}


@pytest.mark.parametrize(("method", "path"), WITH_A_BODY)
@pytest.mark.filterwarnings("ignore::hypothesis.errors.NonInteractiveExampleWarning")
async def test_nonsense_is_answered_as_described(client, method, path):
    operation = OPERATIONS[method, path]
    target = re.sub(r"\{\w+\}", "0" * 32, path.replace("{sessionId}", "demo"))
    for seed in range(TRIES):
        body = nonsense(operation.takes, seed)
        response = await client.http.request(method, target, headers=KEY, json=body)
        described = {operation.status, *operation.statuses}
        assert response.status in described, (body, await response.text())
