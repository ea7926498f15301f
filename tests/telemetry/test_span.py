import pytest

from bridge.telemetry.span import request_attributes


def test_of_a_url_only_its_origin_is_said():
    url = "https://user:canary@api.example.com:8443/hooks/15550100001/canary?key=canary#canary"
    assert request_attributes("POST", url) == {
        "http.request.method": "POST",
        "url.full": "https://api.example.com:8443/",
        "server.address": "api.example.com",
        "server.port": 8443,
    }


@pytest.mark.parametrize("url", ["", "no url", "http://[", "/path?key=canary"])
def test_of_what_is_no_url_nothing_is_said(url):
    assert "canary" not in str(request_attributes("GET", url))
