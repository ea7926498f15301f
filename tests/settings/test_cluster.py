"""What is set for several machines, and what is refused at the start."""

import pytest

from bridge.settings.model import load
from tests.settings.test_model import refusal

SECRET = "0123456789abcdef" * 2
GOOD = {"URL": "http://10.0.0.5:8081", "SECRET": SECRET}
TLS = {"TLS_CERT": "a.pem", "TLS_KEY": "a.key", "TLS_CA": "ca.pem"}


def cluster(**changed: str) -> dict[str, str]:
    chosen = {f"BRIDGE_CLUSTER__{name}": text for name, text in (GOOD | changed).items() if text}
    return {"BRIDGE_DATA__URL": "postgresql://db/bridge"} | chosen


def test_a_machine_with_an_address_and_a_secret_is_accepted():
    chosen = load(cluster()).cluster
    assert (chosen.host, chosen.port) == ("10.0.0.5", 8081)


def test_without_a_url_there_are_no_other_machines():
    assert load({}).cluster.url == ""


def test_machines_without_a_common_database_are_refused():
    alone = {name: text for name, text in cluster().items() if "DATA" not in name}
    assert "set data.url" in refusal(alone)


def test_an_address_of_ipv6_is_accepted():
    assert load(cluster(URL="http://[fd00::5]:8081")).cluster.host == "fd00::5"


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("10.0.0.5:8081", "http or https"),
        ("tcp://10.0.0.5:8081", "http or https"),
        ("http://:8081", "a host"),
        ("http://10.0.0.5:8081/path", "no path"),
        ("http://10.0.0.5:8081?a", "no query"),
        ("http://a:b@10.0.0.5:8081", "a host"),
        ("http://10.0.0.5", "the port is missing"),
        ("http://10.0.0.5:99999", "expected a URL"),
        ("http://10.0.0.5:0", "http or https"),
        ("http://0.0.0.0:8081", "no address that another machine can reach"),
        ("http://[::]:8081", "no address that another machine can reach"),
        ("http://10.0.0.5:8080", "is http.port"),
    ],
)
def test_a_url_that_cannot_work_is_refused_with_the_reason(url, why):
    message = refusal(cluster(URL=url))
    assert message.startswith("cluster.url: ")
    assert why in message
    assert "a:b" not in message


@pytest.mark.parametrize("name", ["SECRET", "FORMER_SECRET"])
def test_a_short_secret_is_refused_with_how_to_make_one_and_is_not_repeated(name):
    message = refusal(cluster(**{name: "thirty-one characters are short"}))
    assert f"cluster.{name.lower()}" in message
    assert "openssl rand -hex 32" in message
    assert "thirty-one" not in message


def test_a_missing_secret_is_refused_with_how_to_make_one():
    assert "openssl rand -hex 32" in refusal(cluster(SECRET=""))


@pytest.mark.parametrize("missing", list(TLS))
def test_https_needs_all_certificates(missing):
    files = TLS | {missing: ""}
    assert "all needed with https" in refusal(cluster(URL="https://10.0.0.5:8081", **files))


def test_certificates_without_https_are_refused():
    assert "write https there" in refusal(cluster(**TLS))
    assert load(cluster(URL="https://10.0.0.5:8081", **TLS)).cluster.tls_ca == "ca.pem"


@pytest.mark.parametrize("name", ["SECRET", "FORMER_SECRET", "PUBLIC_URL"])
def test_what_has_no_effect_without_a_url_is_refused(name):
    text = "https://node1.calls.example" if name == "PUBLIC_URL" else SECRET
    message = refusal({f"BRIDGE_CLUSTER__{name}": text})
    assert message == f"cluster.{name.lower()}: has no effect without cluster.url; set that too"


@pytest.mark.parametrize("url", ["node1", "https://node1.calls.example/base", "ftp://node1"])
def test_a_public_url_is_one_of_http_without_a_path(url):
    assert refusal(cluster(PUBLIC_URL=url)).startswith("cluster.public_url: ")
