"""The metrics of several nodes in one text."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

from bridge.metrics.registry import Metrics
from tests.support.metric_families import merge
from tests.support.two_nodes import two_nodes


def families(text: bytes):
    return list(text_string_to_metric_families(text.decode()))


def test_every_sample_says_its_node():
    text = merge({0: Metrics(version="0").render()})
    samples = [sample for family in families(text) for sample in family.samples]
    assert len(samples) > 100
    assert {sample.labels["node"] for sample in samples} == {"0"}


def test_a_metric_of_several_nodes_is_described_once_and_stands_together():
    texts = {node: Metrics(version="0").render() for node in (1, 0)}
    found = families(merge(texts))
    assert len({(family.name, family.type) for family in found}) == len(found)
    nodes = [{s.labels["node"] for s in family.samples} for family in found if family.samples]
    assert len(nodes) > 20
    assert all(of_family == {"0", "1"} for of_family in nodes)


def test_nothing_but_the_node_is_added():
    text = Metrics(version="0").render()
    before = [sample for family in families(text) for sample in family.samples]
    after = [
        sample
        for family in families(merge({3: text}))
        for sample in family.samples
        if family.name != "bridge_node_up"
    ]
    assert [(s.name, s.value, {**s.labels, "node": "3"}) for s in before] == [
        (s.name, s.value, s.labels) for s in after
    ]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("up 1.0", 'up{node="0"} 1.0'),
        ('up{a="b"} 1.0', 'up{a="b",node="0"} 1.0'),
        (
            'up{route="/call/{callId}/quality"} 1.0',
            'up{route="/call/{callId}/quality",node="0"} 1.0',
        ),
    ],
)
def test_a_label_is_put_behind_those_there_are(line, expected):
    assert expected in merge({0: f"# HELP up It.\n{line}\n".encode()}).decode().splitlines()


def test_a_node_that_does_not_answer_is_down():
    text = merge({0: b"", 1: None}).decode().splitlines()
    assert 'bridge_node_up{node="0"} 1.0' in text
    assert 'bridge_node_up{node="1"} 0.0' in text


async def test_any_node_gives_the_metrics_of_all():
    async with two_nodes() as (first, second):
        for node in (first, second):
            text = await node.metrics()
            for index in (0, 1):
                assert f'bridge_calls{{state="active",node="{index}"}} 0.0' in text
                assert f'bridge_node_up{{node="{index}"}} 1.0' in text
