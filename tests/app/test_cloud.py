"""The provider of the lines of Meta's Cloud API is made from their settings."""

from bridge.app.cloud import announcements, cloud_provider
from bridge.call.model import LineName
from bridge.net.database import Database
from bridge.net.guard import Guard
from bridge.net.http import Http
from bridge.settings.model import WhatsApp


async def test_each_line_has_its_number_and_secrets(tmp_path):
    database = Database(tmp_path / "bridge.sqlite3")
    lines = {
        LineName("a"): WhatsApp(
            provider="cloud", phone_number_id="1", app_secret="s", pre_accept=False
        )
    }
    provider = cloud_provider(
        lines,
        http=Http(Guard(allow=[], require_tls=False)),
        database=database,
        node=0,
        peer=None,  # type: ignore[arg-type]
        counters=None,  # type: ignore[arg-type]
        count=print,
    )
    assert provider.has(LineName("a"))
    assert not provider.has(LineName("b"))
    assert provider.lines[LineName("a")].app_secret == "s"
    assert not provider.lines[LineName("a")].pre_accept
    await database.aclose()


def test_what_meta_announces_needs_a_purpose():
    assert announcements(WhatsApp()) == {}
    said = WhatsApp(recording_purpose="training", announcement_language="pt_BR")
    expected = {"status": "ENABLED", "purpose": "training", "announcement_language": "pt_BR"}
    assert announcements(said) == {"recording": expected}
