"""Trunks, out of the settings."""

from ipaddress import ip_network

import pytest

from bridge.app.sip import trunks_of
from bridge.audio.codec.codec import G722, PCMA
from bridge.call.model import LineName
from bridge.rtc.rtp_source import SourcePolicy
from bridge.settings.model import Line, LineSip, Settings, Sip

SHARED = Sip()
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


def trunk(sip: LineSip, shared: Sip = SHARED, **more: bool):
    line = Line(keys=["k"], numbers=["+4930123456", "4930123457"], sip=sip)
    lines = {"office": line, "other": Line(keys=["l"])}
    [(name, found)] = trunks_of(Settings(lines=lines, sip=shared), **more).items()
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


@pytest.mark.parametrize("of_all", [True, False])
@pytest.mark.parametrize("of_one", [True, False])
def test_audio_comes_from_the_networks_of_all_trunks_and_its_own_and_strictly_if_either_says_so(
    of_all, of_one
):
    shared = Sip(trusted=["192.0.2.0/25"], strict_source=of_all)
    own = LineSip(
        trunk="sip:trunk.example",
        trusted=["198.51.100.0/24"],
        networks=["203.0.113.0/24"],
        strict_source=of_one,
    )
    known = tuple(map(ip_network, ["192.0.2.0/25", "198.51.100.0/24", "203.0.113.0/24"]))
    assert trunk(own, shared).media.source_policy == SourcePolicy(known, strict=of_all or of_one)
