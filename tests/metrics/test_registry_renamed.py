"""Metrics under their former names: the same values, and nothing where they are off."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

from bridge.metrics.registry import RENAMED, Metrics


@pytest.fixture
def metrics():
    metrics = Metrics(version="0", old_names=True)
    metrics.http.unauthenticated_refused("wrong_key", amount=3)
    metrics.node.set_encoder_level(2)
    return metrics


def families(metrics):
    return {
        family.name: family for family in text_string_to_metric_families(metrics.render().decode())
    }


def values(family):
    return {tuple(sample.labels.items()): sample.value for sample in family.samples}


@pytest.mark.parametrize(("name", "former"), RENAMED.items())
def test_a_metric_has_the_same_values_under_its_former_name(metrics, name, former):
    found = families(metrics)
    old, new = (found[each.removesuffix("_total")] for each in (former, name))
    assert (old.type, values(old)) == (new.type, values(new))
    assert old.samples
    assert {sample.name for sample in old.samples} == {former}


@pytest.mark.parametrize(("name", "former"), RENAMED.items())
def test_the_help_of_a_former_name_names_the_metric(metrics, name, former):
    family = families(metrics)[former.removesuffix("_total")]
    assert family.documentation == f"Deprecated: use {name}."


def test_without_former_names_there_are_none():
    found = families(Metrics(version="0"))
    assert {former.removesuffix("_total") for former in RENAMED.values()}.isdisjoint(found)
