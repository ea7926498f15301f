"""The way to the other machines, as it is set."""

import ssl

import pytest

from bridge.app.cluster import client_tls, server_tls
from bridge.cli.lan import on_lan
from bridge.errors import SettingsError
from bridge.settings.cluster import Cluster
from bridge.settings.model import Data, Settings


def test_without_https_nothing_is_encrypted():
    assert client_tls(Cluster(url="http://10.0.0.5:8081")) is None
    assert server_tls(Cluster(url="http://10.0.0.5:8081")) is None


def test_with_https_both_sides_show_a_certificate(tmp_path):
    http = on_lan(Settings(data=Data(dir=str(tmp_path))), "127.0.0.1").http
    cluster = Cluster(
        url="https://127.0.0.1:8081",
        tls_cert=http.tls_cert,
        tls_key=http.tls_key,
        tls_ca=http.tls_cert,
    )
    client, server = client_tls(cluster), server_tls(cluster)
    assert client is not None
    assert server is not None
    assert client.verify_mode is server.verify_mode is ssl.CERT_REQUIRED
    assert client.check_hostname


def test_a_missing_certificate_stops_the_start():
    cluster = Cluster(url="https://a:1", tls_cert="a", tls_key="b", tls_ca="/nowhere/ca.pem")
    with pytest.raises(
        SettingsError, match=r"cluster\.tls_cert, cluster\.tls_key, cluster\.tls_ca"
    ):
        client_tls(cluster)
