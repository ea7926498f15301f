"""The report: its text, its JSON, its exit code, and what must not be in it."""

import json

import jsonschema_rs
import msgspec
import pytest

from bridge.cli.doctor.findings import (
    Report,
    failed,
    make_report,
    ok,
    secrets_in,
    to_json,
    to_text,
    warning,
)
from bridge.settings.model import S3, Line, Recording, Settings, Turn, TurnServer, WhatsApp

GOOD = ok("fast enough", check="disk")
ODD = warning("none is set", setting="turn.mode", fix="set turn.mode", check="turn")
BAD = failed("the port is taken", setting="http.port", fix="choose another", check="http")


@pytest.mark.parametrize(
    ("findings", "status", "code"),
    [
        ([], "ok", 0),
        ([GOOD], "ok", 0),
        ([GOOD, ODD], "warning", 1),
        ([BAD, ODD, GOOD], "failed", 2),
    ],
)
def test_the_worst_finding_decides_the_exit_code(findings, status, code):
    report = make_report("1.0", findings)
    assert (report.status, report.exit_code) == (status, code)


def test_the_json_is_what_its_schema_says():
    report = json.loads(to_json(make_report("1.0", [GOOD, ODD, BAD])))
    jsonschema_rs.validator_for(msgspec.json.schema(Report)).validate(report)
    assert set(report) == {"status", "version", "findings"}
    assert report["findings"][2] == {
        "check": "http",
        "status": "failed",
        "found": "the port is taken",
        "setting": "http.port",
        "fix": "choose another",
    }


def test_the_text_has_a_line_for_each_finding_and_what_to_do_below():
    lines = to_text(make_report("1.0", [GOOD, BAD])).splitlines()
    assert lines[0].split() == ["ok", "disk", "fast", "enough"]
    assert lines[1].startswith("failed")
    assert lines[2].strip() == "-> choose another"
    assert lines[-1] == "1 ok, 0 warning, 1 failed"


def test_no_secret_is_in_the_report():
    line = Line(
        keys=["a-key-of-the-line"],
        whatsapp=WhatsApp(
            access_token="an-access-token",
            app_secret="an-app-secret",
            verify_token="a-verify-token",
            token="a-gateway-token",
        ),
    )
    server = TurnServer(urls=[], username="b", credential="another-credential")
    settings = Settings(
        lines={"main": line},
        turn=Turn(secret="a-turn-secret", credential="a-credential", servers=[server]),
        recording=Recording(s3=S3(bucket="b", access_key="an-s3-key", secret_key="an-s3-secret")),
    )
    secrets = secrets_in(settings)
    assert len(secrets) == 10
    finding = failed(f"refused {' '.join(secrets)}", fix=f"change {' '.join(secrets)}")
    text = to_text(make_report("1.0", [finding], secrets))
    assert not [secret for secret in secrets if secret in text]
    assert "refused" in text
