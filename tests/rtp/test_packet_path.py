"""The compiled packet path changes nothing but time: the same steps on both paths, drawn at random."""

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.support.packet_steps import START, check, numbers, steps, worlds

pytestmark = pytest.mark.compiled


USUAL = {
    "audio": "plain",
    "secured": False,
    "steady": False,
    "relays": True,
    "limit": 500,
    "start": START,
}
AFTER_A_LATE_PACKET = [
    (("swap", 0, 1), 0, "celt"),
    (("converse", 23, "celt", "celt", 0.02), 0, "celt"),
]
RELAY_REFUSED_WITHIN_A_RUN = [
    (("talk", 0, 1, "celt", "none", 0.02), 0, "celt"),
    (("renegotiate", 1, "little bandwidth"), 1, "celt"),
]


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(worlds, st.lists(steps, max_size=15), numbers)
@example({**USUAL, "audio": "levels"}, AFTER_A_LATE_PACKET, (100, 0))
@example(USUAL, RELAY_REFUSED_WITHIN_A_RUN, (100, 0))
def test_both_paths_do_the_same(settings_of_worlds, taken, first):
    check(settings_of_worlds, taken, first)


@pytest.mark.long
@pytest.mark.parametrize("part", range(6))
@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(settings_of_worlds=worlds, taken=st.lists(steps, max_size=40), first=numbers)
def test_both_paths_do_the_same_in_many_long_examples(part, settings_of_worlds, taken, first):
    check(settings_of_worlds, taken, first)
