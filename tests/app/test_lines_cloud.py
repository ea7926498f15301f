"""The lines of Meta's Cloud API are made from their settings."""

from bridge.app.lines import announcements, cloud_lines
from bridge.http.address_guard import Guard
from bridge.http.client import Http
from bridge.settings.model import Line, Settings, WhatsApp


async def test_each_line_has_its_number_and_secrets():
    whatsapp = WhatsApp(provider="cloud", phone_number_id="1", app_secret="s", pre_accept=False)
    settings = Settings(lines={"a": Line(keys=["k"], whatsapp=whatsapp), "b": Line(keys=["l"])})
    [(name, line)] = cloud_lines(settings, Http(Guard(allow=[], require_tls=False))).items()
    assert (name, line.phone_number_id, line.app_secret) == ("a", "1", "s")
    assert not line.pre_accept


def test_what_meta_announces_needs_a_purpose():
    assert announcements(WhatsApp()) == {}
    said = WhatsApp(recording_purpose="training", announcement_language="pt_BR")
    expected = {"status": "ENABLED", "purpose": "training", "announcement_language": "pt_BR"}
    assert announcements(said) == {"recording": expected}
