"""The settings of the store for recordings."""

import re

import pytest

from bridge.errors import SettingsError
from bridge.settings.model import load


@pytest.mark.parametrize(
    ("environment", "key"),
    [
        ({"ENDPOINT": "store.example"}, "recording.s3.endpoint"),
        ({"BUCKET": "b", "ACCESS_KEY": "a"}, "recording.s3.access_key"),
        ({"BUCKET": "b", "SECRET_KEY": "s"}, "recording.s3.access_key"),
        ({"ENDPOINT": "https://store.example"}, "recording.s3.bucket"),
        ({"LIVE": "true"}, "recording.s3.live"),
    ],
)
def test_half_a_store_is_refused_and_the_key_named(environment, key):
    named = {f"BRIDGE_RECORDING__S3__{name}": value for name, value in environment.items()}
    with pytest.raises(SettingsError, match=re.escape(key)):
        load(named)
