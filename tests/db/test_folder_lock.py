"""Who may use a data folder beside others."""

import pytest

from bridge.db.folder_lock import alone, in_use
from bridge.errors import SetupError


def test_the_processes_of_a_bridge_share_a_folder(tmp_path):
    with in_use(tmp_path), in_use(tmp_path):
        pass


def test_a_folder_in_use_is_not_had_alone(tmp_path):
    with in_use(tmp_path), pytest.raises(SetupError, match="stop it first"), alone(tmp_path):
        raise AssertionError
    with alone(tmp_path):
        pass


def test_no_bridge_starts_while_its_data_is_moved(tmp_path):
    with alone(tmp_path), pytest.raises(SetupError, match="being moved"), in_use(tmp_path):
        raise AssertionError
