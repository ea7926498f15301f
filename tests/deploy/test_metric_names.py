"""Tests that the dashboard and the alerts speak of metrics and labels that the bridge has."""

import json
import re
import subprocess
from functools import cache
from pathlib import Path

import pytest
import yaml

from bridge.metrics.registry import Metrics
from tests.docs.blocks import runnable
from tests.support.metric_families import families, merge

DEPLOY = Path(__file__).parents[2] / "deploy"
PROMETHEUS = DEPLOY / "prometheus"
DASHBOARD = DEPLOY / "grafana" / "dashboard.json"
SELECTOR = re.compile(r"\b((?:bridge|process)_\w+)(?:\{([^}]*)\})?")
GROUPING = re.compile(r"\b(?:by|on)\s*\(([^)]*)\)")
ADDED_BY_PROMETHEUS = {"instance", "job", "le"}

UNUSED = {
    # What nobody has to look at to run a bridge; everything else is shown somewhere.
    "process_virtual_memory_bytes",
    "process_start_time_seconds",
    "process_open_fds",
    "process_max_fds",
    "bridge_agent_interruption_detector_failures_total",
    "bridge_asset_fetches_total",
    "bridge_client_reports_total",
    "bridge_disclosures_total",
    "bridge_livekit_refused_total",
    "bridge_machine_detections_total",
    "bridge_overlaps_total",
    "bridge_speech_held_dropped_seconds_total",
    "bridge_speech_held_seconds_total",
    "bridge_stream_fallbacks_total",
    "bridge_streams_ended_total",
    "bridge_telemetry_spans_total",
    "bridge_transcript_phrases_total",
    "bridge_transcripts_total",
    "bridge_transcripts_waiting",
    "bridge_turn_wait_seconds",
    "bridge_whatsapp_files_total",
}


@cache
def known():
    """Labels by the name of every series of a bridge that has served a request and carried a call."""
    found: dict[str, set[str]] = {}
    for family in families():
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


def dashboard_expressions():
    panels = json.loads(DASHBOARD.read_text())["panels"]
    return [target["expr"] for panel in panels for target in panel.get("targets", [])]


def alert_rules():
    groups = yaml.safe_load((PROMETHEUS / "alerts.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def document_expressions():
    """The PromQL of the documents: blocks whose questions are apart by an empty line."""
    questions = [one for block in runnable("promql") for one in block.text.split("\n\n")]
    return [re.sub(r"^#.*\n", "", one, flags=re.MULTILINE).strip() for one in questions]


def expressions():
    alerts = [rule["expr"] for rule in alert_rules()]
    return dashboard_expressions() + alerts + document_expressions()


def family(series):
    """The metric that a series belongs to."""
    return re.sub(r"_(bucket|sum|count)$", "", series)


def test_every_series_that_is_asked_for_exists():
    series = known()
    asked = {name for text in expressions() for name, _ in SELECTOR.findall(text)}
    assert sorted(asked - series.keys()) == []
    assert len(asked) > 30


@pytest.mark.parametrize("expression", expressions())
def test_every_label_that_is_asked_for_is_one_of_its_metric(expression):
    series = known()
    selectors = SELECTOR.findall(expression)
    for name, matchers in selectors:
        labels = set(re.findall(r"(\w+)\s*(?:=|!=|=~|!~)\s*\"", matchers))
        assert labels <= series[name] | ADDED_BY_PROMETHEUS, name
    somewhere = set().union(*(series[name] for name, _ in selectors)) | ADDED_BY_PROMETHEUS
    for group in GROUPING.findall(expression):
        assert {label.strip() for label in group.split(",")} <= somewhere


def test_every_metric_is_shown_or_known_to_be_unused():
    asked = {family(name) for text in expressions() for name, _ in SELECTOR.findall(text)}
    every = {family(name) for name in known()}
    assert sorted(every - asked - UNUSED) == []
    assert sorted(UNUSED & asked) == []
    assert sorted(UNUSED - every) == []


def test_every_alert_says_in_words_what_is_wrong_and_what_to_look_at():
    for rule in alert_rules():
        assert rule["labels"]["severity"] in {"page", "warn"}
        for text in (rule["annotations"]["summary"], rule["annotations"]["description"]):
            assert len(text.split()) >= 5, rule["alert"]


def test_no_two_panels_lie_on_each_other_and_each_has_its_own_id():
    panels = json.loads(DASHBOARD.read_text())["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert at["x"] + at["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells


def test_the_dashboard_and_its_data_source_find_each_other():
    provisioning = DEPLOY / "grafana" / "provisioning"
    source = yaml.safe_load((provisioning / "datasources" / "prometheus.yml").read_text())
    uids = {
        panel["datasource"]["uid"]
        for panel in json.loads(DASHBOARD.read_text())["panels"]
        if "datasource" in panel
    }
    assert uids == {source["datasources"][0]["uid"]}


def promtool(*arguments):
    return subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False)


@pytest.mark.promtool
def test_promtool_accepts_the_rules():
    checked = promtool("check", "rules", str(PROMETHEUS / "alerts.yml"))
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.promtool
def test_promtool_accepts_the_configuration():
    checked = promtool("check", "config", "--syntax-only", str(PROMETHEUS / "prometheus.yml"))
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.promtool
def test_promtool_accepts_every_expression_of_the_dashboard_and_the_documents(tmp_path):
    rules = [
        {"record": f"panel:{number}", "expr": re.sub(r"\$\w+", "5m", text)}
        for number, text in enumerate(dashboard_expressions() + document_expressions())
    ]
    path = tmp_path / "dashboard.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    checked = promtool("check", "rules", str(path))
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.promtool
def test_promtool_finds_nothing_to_better_in_the_metrics():
    body = merge({node: Metrics(version="0").render() for node in (0, 1)})
    checked = subprocess.run(
        ["promtool", "check", "metrics"], input=body, capture_output=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.promtool
def test_the_alerts_fire_when_they_should_and_only_then():
    checked = promtool("test", "rules", str(Path(__file__).with_name("alerts_test.yml")))
    assert checked.returncode == 0, checked.stdout + checked.stderr
