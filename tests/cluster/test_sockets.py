"""The Unix sockets of a machine's nodes."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from bridge.cluster.sockets import listen, socket_path
from bridge.errors import SettingsError


@pytest.fixture
def folder():
    # Not pytest's own: its path is too long for a socket.
    with TemporaryDirectory(prefix="bridge-") as name:
        yield Path(name)


def test_a_socket_takes_the_place_of_one_that_is_left_over(folder):
    for _ in range(2):
        with listen(socket_path(folder, 1)):
            assert socket_path(folder, 1).stat().st_mode & 0o777 == 0o600
    assert [path.name for path in folder.iterdir()] == ["1.sock"]


def test_a_folder_that_is_too_long_is_refused_with_the_settings_name(folder):
    with pytest.raises(SettingsError, match=r"data\.dir"):
        listen(socket_path(folder / (100 * "x"), 0))
