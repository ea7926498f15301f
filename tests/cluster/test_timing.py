"""The durations of the cluster: how they hang together, and that the documents name the same."""

from pathlib import Path

import pytest

from bridge.cluster.timing import DEFAULT, ClusterTiming

PROJECT = Path(__file__).parents[2]


@pytest.mark.parametrize("timing", [DEFAULT, ClusterTiming(heartbeat=0.2)])
def test_a_lease_outlasts_a_gap_and_a_gap_two_heartbeats(timing):
    assert timing.lease > timing.max_gap >= 2 * timing.heartbeat
    assert timing.statement <= timing.heartbeat
    assert timing.join >= 2 * timing.look
    assert timing.finish_leased >= timing.heartbeat + timing.look


@pytest.mark.parametrize("answer", [1.0, 3.0])
def test_a_sibling_that_is_connected_to_has_time_to_answer(answer):
    timing = ClusterTiming(answer=answer)
    assert timing.connect < timing.request < timing.silent < timing.log_again
    assert timing.answer < timing.forwarded


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        ("docs/operations-machines.md", "renews a lease in the database every {} s, for {} s"),
        ("deploy/prometheus/alerts.yml", "It is renewed every {} s for {} s."),
    ],
)
def test_the_documents_name_the_heartbeat_and_the_lease(document, sentence):
    wanted = sentence.format(round(DEFAULT.heartbeat), round(DEFAULT.lease))
    assert wanted in (PROJECT / document).read_text()
