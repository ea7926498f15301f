"""The generated documents are up to date, and every setting is described."""

import pytest

from bridge.settings.line import Line, WhatsApp
from bridge.settings.model import Settings
from tests.docs.settings_page import sections, settings_of
from tests.docs.write import GENERATED, PROJECT


@pytest.mark.parametrize("path", GENERATED)
def test_a_generated_document_is_up_to_date(path):
    assert (PROJECT / path).read_text() == GENERATED[path](), "run `make docs`"


def test_every_setting_has_a_description():
    found = [*sections(), ("", Settings), ("lines.NAME", Line), ("lines.NAME.whatsapp", WhatsApp)]
    bare = [
        f"{table}.{each.name}"
        for table, section in found
        for each in settings_of(section)
        if not each.description.endswith(".")
    ]
    assert bare == []
