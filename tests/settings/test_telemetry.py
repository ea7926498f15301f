import pytest

from bridge.errors import SettingsError
from bridge.settings.model import Settings, Telemetry, check
from bridge.settings.secrets import secrets_in
from bridge.settings.telemetry import check_telemetry, headers_of


def refused(**chosen) -> str:
    with pytest.raises(SettingsError) as found:
        check(Settings(telemetry=Telemetry(**chosen)))
    return str(found.value)


@pytest.mark.parametrize(
    "endpoint", ["http://127.0.0.1:4318", "https://api.example.com/otlp/v1/traces", ""]
)
def test_urls_with_http_and_https_are_taken_and_none_is_off(endpoint):
    check_telemetry(Telemetry(endpoint=endpoint, headers=["X-Key: secret"]))


@pytest.mark.parametrize("endpoint", ["127.0.0.1:4318", "grpc://host:4317", "http://", "http://["])
def test_other_urls_are_refused(endpoint):
    assert refused(endpoint=endpoint).startswith("telemetry.endpoint:")


def test_a_key_in_the_url_is_refused_without_repeating_it():
    said = refused(endpoint="https://user:canary@example.com")
    assert "telemetry.headers" in said
    assert "canary" not in said


@pytest.mark.parametrize("headers", ["X Key: a", "X-Key: a\r\nb: c", ": a", "X-Key"])
def test_what_is_no_header_is_refused(headers):
    assert refused(endpoint="http://host", headers=[headers]).startswith("telemetry.headers:")


def test_missing_packages_stop_the_start_and_the_check_with_what_to_install():
    with pytest.raises(SettingsError, match=r"pip install 'webrtc-media-bridge\[telemetry\]'"):
        check_telemetry(Telemetry(endpoint="http://host"), installed=lambda: False)
    check_telemetry(Telemetry(), installed=lambda: False)


def test_the_headers_values_are_secrets():
    assert secrets_in(Telemetry(headers=["X-Key: canary"])) == ["X-Key: canary"]


def test_a_header_is_a_name_and_a_value():
    chosen = Telemetry(headers=["Authorization: Bearer a:b", "x-team:sales"])
    assert headers_of(chosen) == {"Authorization": "Bearer a:b", "x-team": "sales"}
