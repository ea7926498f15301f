"""Settings of a line at Meta."""

import pytest

from bridge.settings.line import WhatsApp


@pytest.mark.parametrize(
    ("chosen", "seconds"),
    [
        ({}, 0.0),
        ({"recording_purpose": "x" * 50}, 12.0),
        ({"transcription_purpose": "x" * 50}, 12.0),
        ({"recording_purpose": "x" * 250, "transcription_purpose": "x"}, 27.4),
        ({"recording_purpose": "quality", "announcement_seconds": 7.5}, 7.5),
        ({"recording_purpose": "quality", "announcement_seconds": 0.0}, 0.0),
        ({"announcement_seconds": 7.5}, 0.0),
        ({"recording_purpose": "quality", "provider": "simulator"}, 0.0),
    ],
)
def test_how_long_meta_announces_is_estimated_unless_it_is_set(chosen, seconds):
    found = WhatsApp(**({"provider": "cloud"} | chosen)).announced_seconds
    assert found == pytest.approx(seconds, abs=0.05)
