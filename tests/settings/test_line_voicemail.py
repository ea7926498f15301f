"""The settings of a line's voicemail."""

import pytest

from bridge.errors import SettingsError
from bridge.settings.line import Voicemail, check_voicemail


def test_a_message_may_be_shorter_than_the_longest():
    check_voicemail("lines.a.voicemail", Voicemail(min_seconds=5.0, max_seconds=6.0))


def test_a_least_length_that_no_message_has_is_refused():
    with pytest.raises(SettingsError, match=r"lines\.a\.voicemail\.min_seconds"):
        check_voicemail("lines.a.voicemail", Voicemail(min_seconds=5.0, max_seconds=5.0))
