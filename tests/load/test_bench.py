"""The bench as a whole, with very little load: that it measures, not what it measures."""

import pytest

from tests.load.bench import measure
from tests.load.report import rows

pytestmark = pytest.mark.load


def test_the_stock_echo_is_measured_with_and_without_loss():
    run = measure("stock", legs=2, seconds=2.0, losses=[0.0, 0.2])
    clean, lossy = rows([run])
    assert (clean.legs, clean.loss, lossy.loss) == (2, 0.0, 0.2)
    assert clean.heard > 0.5
    assert clean.cpu_per_leg > 0
    assert clean.rate > lossy.rate
    assert len(run.answers) == len(run.setups) == 2


def test_the_bridge_is_measured_as_the_stock_echo_is():
    run = measure("bridge", legs=2, seconds=2.0, losses=[0.0])
    (clean,) = rows([run])
    assert clean.heard > 0.5
    assert clean.cpu_per_leg > 0
    assert clean.rate > 0
    assert len(run.answers) == len(run.setups) == 2
