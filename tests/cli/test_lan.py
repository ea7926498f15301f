"""Trying the bridge from a phone."""

import ssl
import stat
from pathlib import Path

import msgspec

from bridge.cli.lan import invitation, on_lan
from bridge.settings.model import Data, Line, Settings, check

ADDRESS = "192.0.2.7"


def at(folder: Path, **changed: object) -> Settings:
    return Settings(data=Data(dir=str(folder)), **changed)  # type: ignore[arg-type]


def test_the_lan_gets_https_and_a_made_up_key(tmp_path):
    chosen = on_lan(at(tmp_path), ADDRESS)
    check(chosen)
    assert chosen.http.host == ADDRESS
    [line] = chosen.lines.values()
    assert len(line.keys[0]) >= 20
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(chosen.http.tls_cert, chosen.http.tls_key)


def test_certificate_and_key_are_kept_for_the_next_start(tmp_path):
    first, second = on_lan(at(tmp_path), ADDRESS), on_lan(at(tmp_path), ADDRESS)
    assert first == second
    assert Path(first.http.tls_cert).read_bytes() == Path(second.http.tls_cert).read_bytes()


def test_what_is_written_is_for_its_owner_only(tmp_path):
    on_lan(at(tmp_path), ADDRESS)
    for path in (tmp_path / "lan").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_configured_keys_and_certificates_stay(tmp_path):
    lines = {"main": Line(keys=["mine"])}
    http = msgspec.structs.replace(Settings().http, host="0.0.0.0", tls_cert="c", tls_key="k")
    chosen = on_lan(at(tmp_path, lines=lines, http=http), ADDRESS)
    assert chosen.lines == lines
    assert (chosen.http.host, chosen.http.tls_cert) == ("0.0.0.0", "c")


def test_the_invitation_shows_the_address_as_text_and_code(tmp_path):
    chosen = on_lan(at(tmp_path), ADDRESS)
    text = invitation(chosen, ADDRESS)
    assert f"https://{ADDRESS}:8080/#key=" in text
    assert "▄" in text


def test_the_invitation_of_a_bridge_that_listens_everywhere_names_the_lan_address(tmp_path):
    http = msgspec.structs.replace(Settings().http, host="0.0.0.0")
    chosen = on_lan(at(tmp_path, http=http), ADDRESS)
    assert f"https://{ADDRESS}:8080/#key=" in invitation(chosen, ADDRESS)


def test_an_ipv6_address_stands_in_brackets(tmp_path):
    chosen = on_lan(at(tmp_path), "2001:db8::7")
    assert "https://[2001:db8::7]:8080/#key=" in invitation(chosen, "2001:db8::7")
