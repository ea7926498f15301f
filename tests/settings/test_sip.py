"""Tests of the settings of SIP."""

import pytest

from bridge.errors import SettingsError
from bridge.settings.line import meta_server
from bridge.settings.model import load
from bridge.settings.sip import Listen, Trunk, read_listen, read_trunk

TRUNK = "sip:trunk.example.com"


def loaded(tmp_path, text):
    path = tmp_path / "bridge.toml"
    path.write_text(text)
    return load({}, path)


def with_trunk(**values):
    rows = "\n".join(
        f"{key} = {value}" for key, value in ({"trunk": f'"{TRUNK}"'} | values).items()
    )
    return f'[lines.office]\nkeys = ["k"]\n[lines.office.sip]\n{rows}\n'


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("udp:127.0.0.1:5080", Listen("udp", "127.0.0.1", 5080)),
        ("udp://127.0.0.1:5080", Listen("udp", "127.0.0.1", 5080)),
        ("tcp:0.0.0.0", Listen("tcp", "0.0.0.0", 5060)),
        ("tls:[::1]", Listen("tls", "::1", 5061)),
    ],
)
def test_an_address_to_listen_on_has_the_port_of_its_transport(text, read):
    assert read_listen(text) == read


@pytest.mark.parametrize(
    ("text", "read"),
    [
        (TRUNK, Trunk(None, "trunk.example.com", 0)),
        ("sip:10.0.0.7:5070;transport=tcp", Trunk("tcp", "10.0.0.7", 5070)),
        ("sips:trunk.example.com", Trunk("tls", "trunk.example.com", 0)),
        ("sip:[2001:db8::1]:5060", Trunk(None, "2001:db8::1", 5060)),
    ],
)
def test_the_uri_of_a_trunk_names_its_host_and_transport(text, read):
    assert read_trunk("trunk", text) == read


@pytest.mark.parametrize(
    ("rows", "key"),
    [
        ('listen = ["5060"]', "sip.listen"),
        ('listen = ["udp:999.0.0.1"]', "sip.listen"),
        ('listen = ["udp:127.0.0.1:70000"]', "sip.listen"),
        ('listen = ["udp:127.0.0.1", "udp:127.0.0.1:5060"]', "sip.listen"),
        ('listen = ["tls:127.0.0.1"]', "sip.tls_cert"),
        ('tls_cert = "cert.pem"', "sip.tls_cert"),
        ('external_address = "example.com"', "sip.external_address"),
        ('trusted = ["203.0.113.0/33"]', "sip.trusted"),
        ('private_trunks = ["office"]', "sip.private_trunks"),
        ("digest = []", "sip.digest"),
        ('digest = ["md5", "md5"]', "sip.digest"),
        ('digest = ["sha-1"]', "sip.digest"),
    ],
)
def test_sockets_that_could_not_be_opened_name_the_key(tmp_path, rows, key):
    with pytest.raises(SettingsError, match=key):
        loaded(tmp_path, f"[sip]\n{rows}\n")


def test_two_lines_with_one_inbound_user_name_are_refused_whatever_their_passwords(tmp_path):
    text = "".join(
        f'[lines.{name}]\nkeys = ["{name}"]\n[lines.{name}.sip]\ntrunk = "{TRUNK}"\n'
        f'inbound_username = "{user}"\ninbound_password = "{password}"\n'
        for name, user, password in (("alice", "pbx", "one"), ("bob", "{}", "two"))
    )
    loaded(tmp_path, text.format("other"))
    with pytest.raises(SettingsError, match=r"lines\.bob\.sip\.inbound_username.*lines\.alice"):
        loaded(tmp_path, text.format("pbx"))


@pytest.mark.parametrize(
    ("values", "key"),
    [
        ({"trunk": '"trunk.example.com"'}, "trunk"),
        ({"trunk": '"sip:trunk.example.com:99999"'}, "trunk"),
        ({"trunk": '"sips:trunk.example.com;transport=udp"'}, "trunk"),
        ({"username": '"me"'}, "username"),
        ({"inbound_password": '"secret"'}, "inbound_username"),
        ({"register": "true"}, "username"),
        ({"trusted": '["nowhere"]'}, "trusted"),
        ({"codecs": '["g729"]'}, "codecs"),
        ({"codecs": "[]"}, "codecs"),
        ({"codecs": '["pcma", "pcma"]'}, "codecs"),
        ({"trunk": f'"{TRUNK};transport=udp"', "srtp": '"required"'}, "srtp"),
        ({"dtmf": '"inband"'}, "dtmf"),
        ({"caller_id": '"Sales"'}, "caller_id"),
        ({"allow_prefixes": '["0049"]'}, "allow_prefixes"),
        ({"calls_per_minute": "0"}, "calls_per_minute"),
    ],
)
def test_a_trunk_that_could_not_work_names_the_key(tmp_path, values, key):
    with pytest.raises(SettingsError, match=rf"lines\.office\.sip\.{key}"):
        loaded(tmp_path, with_trunk(**values))


def test_a_line_without_prefixes_calls_nobody_and_speaks_every_codec(tmp_path):
    sip = loaded(tmp_path, with_trunk()).lines["office"].sip
    assert sip is not None
    assert (sip.allow_prefixes, sip.srtp) == ([], "off")
    assert sip.codecs == ["opus", "g722", "pcmu", "pcma"]


def test_a_trunk_of_an_office_may_be_declared_private(tmp_path):
    settings = loaded(tmp_path, '[sip]\nprivate_trunks = ["office"]\n' + with_trunk())
    assert settings.sip.private_trunks == ["office"]


SIP_LINE = {
    "provider": '"cloud"',
    "phone_number_id": '"1"',
    "access_token": '"t"',
    "app_secret": '"s"',
    "verify_token": '"v"',
    "signalling": '"sip"',
    "sip_password": '"p"',
    "sip_hostname": '"sip.example.com"',
}
LISTENS = '[sip]\nlisten = ["tls:127.0.0.1"]\ntls_cert = "c.pem"\ntls_key = "k.pem"\n'


def with_whatsapp(start=LISTENS, numbers='["15550109000"]', **values):
    found = {key: text for key, text in (SIP_LINE | values).items() if text}
    rows = "\n".join(f"{key} = {text}" for key, text in found.items())
    head = f'{start}[lines.sales]\nkeys = ["k"]\nnumbers = {numbers}\n'
    return f"{head}[lines.sales.whatsapp]\n{rows}\n"


def test_whatsapp_calls_over_sip_go_to_metas_server_with_keys_in_the_messages(tmp_path):
    whatsapp = loaded(tmp_path, with_whatsapp()).lines["sales"].whatsapp
    assert (whatsapp.media, whatsapp.sip_domain) == ("sdes", "wa.meta.vc")
    assert meta_server("s", whatsapp) == Trunk("tls", "wa.meta.vc", 5061)


@pytest.mark.parametrize(
    ("values", "key"),
    [
        ({"sip_password": ""}, "lines.sales.whatsapp.sip_password: needed"),
        ({"sip_hostname": ""}, "lines.sales.whatsapp.sip_hostname: needed"),
        ({"sip_hostname": '"sips:bridge"'}, "lines.sales.whatsapp.sip_hostname: expected"),
        ({"sip_server": '"wa.meta.vc;lr"'}, "lines.sales.whatsapp.sip_server: expected a host"),
        ({"recording_purpose": '"quality"'}, "lines.sales.whatsapp.recording_purpose"),
        ({"provider": '"simulator"'}, "lines.sales.whatsapp.signalling"),
        ({"numbers": "[]"}, "lines.sales.numbers: the first"),
        ({"start": '[sip]\nlisten = ["udp:127.0.0.1"]\n'}, "sip.listen: .* address with tls"),
    ],
)
def test_a_line_whose_whatsapp_calls_go_over_sip_needs_what_meta_asks_for(tmp_path, values, key):
    with pytest.raises(SettingsError, match=key):
        loaded(tmp_path, with_whatsapp(**values))


def test_nobody_else_logs_in_with_the_number_that_meta_logs_in_with(tmp_path):
    trunk = with_trunk(inbound_username='"15550109000"', inbound_password='"p"')
    trunk = trunk.replace('"k"', '"another"')
    with pytest.raises(SettingsError, match=r"lines\.sales\.numbers: .*lines\.office\.sip"):
        loaded(tmp_path, with_whatsapp() + trunk)
