"""Trunks, out of the settings."""

from bridge.app.sip import trunks_of
from bridge.audio.codec import G722, PCMA
from bridge.call.model import LineName
from bridge.settings.model import Line, LineSip, Settings

PLAIN = LineSip(trunk="sip:trunk.example")
FULL = LineSip(
    trunk="sips:trunk.example:5071",
    username="office",
    password="secret",
    register=True,
    realm="example",
    codecs=["pcma", "g722"],
    srtp="required",
    dtmf="info",
)


def trunk(sip: LineSip, **more: bool):
    line = Line(keys=["k"], numbers=["+4930123456", "4930123457"], sip=sip)
    lines = {"office": line, "other": Line(keys=["l"])}
    [(name, found)] = trunks_of(Settings(lines=lines), **more).items()
    assert name == LineName("office")
    return found


def test_a_trunk_without_an_account_keeps_no_registration_and_shows_the_lines_number():
    found = trunk(PLAIN)
    assert (found.address.credentials, found.address.register_seconds) == (None, 0)
    assert (found.caller, found.numbers) == ("+4930123456", {"4930123456", "4930123457"})


def test_a_trunk_has_what_its_settings_say():
    found = trunk(FULL)
    address = found.address
    assert (address.transport, address.host, address.port) == ("tls", "trunk.example", 5071)
    assert address.credentials is not None
    assert (address.credentials.username, address.domain) == ("office", "example")
    assert address.register_seconds == 3600
    media = found.media
    assert (media.codecs, media.security, media.dtmf) == ((PCMA, G722), "required", "info")


def test_whoever_only_looks_does_not_register():
    assert trunk(FULL, register=False).address.register_seconds == 0
