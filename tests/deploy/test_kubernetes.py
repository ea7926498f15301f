"""The Kubernetes manifests: valid by Kubernetes' own schemas, and agreed with each other and with the bridge."""

import json
import re
from pathlib import Path

import pytest
import yaml
from kubernetes_validate import ValidationError, validate

from bridge.settings.model import load, port_range
from tests.deploy.kustomize import kubectl, render

PROJECT = Path(__file__).parents[2]
KUBERNETES = PROJECT / "deploy" / "kubernetes"
VARIANTS = ["host-network", "pod-network"]
VERSIONS = ["1.29", "1.37"]
"""The oldest that the manifests are meant for, and the newest whose schemas are known."""
SECRETS = "/run/secrets/bridge"
END_SECONDS = 60
"""What a pod is given beside `limits.drain_seconds`."""


@pytest.fixture(params=VARIANTS)
def manifests(request):
    return {one["kind"]: one for one in render(KUBERNETES / request.param)}


def pod(manifests):
    return manifests["Deployment"]["spec"]["template"]["spec"]


def container(manifests):
    [found] = pod(manifests)["containers"]
    return found


def spelled(value):
    return json.dumps(value, sort_keys=True)


def environment(manifests, folder):
    """Return the variables of a pod as its bridge sees them; its secrets are files in `folder`."""
    own = {"status.podIP": "10.4.5.6", "status.hostIP": "192.0.2.7"}
    found: dict[str, str] = {}
    for variable in container(manifests)["env"]:
        value = variable.get("value") or own[variable["valueFrom"]["fieldRef"]["fieldPath"]]
        # A variable can only use those before it.
        value = re.sub(r"\$\((\w+)\)", lambda match: found[match[1]], value)
        if value.startswith(SECRETS):
            file = folder / Path(value).name
            long = f"the-long-text-of-the-secret-{file.name}"
            file.write_text("postgresql://bridge@db/bridge" if "url" in file.name else long)
            value = str(file)
        found[variable["name"]] = value
    (folder / "bridge.toml").write_text(manifests["ConfigMap"]["data"]["bridge.toml"])
    return found | {"BRIDGE_CONFIG": str(folder / "bridge.toml")}


@pytest.fixture
def settings(manifests, tmp_path):
    return load(environment(manifests, tmp_path))


@pytest.mark.parametrize("version", VERSIONS)
def test_every_manifest_is_valid_by_kubernetes_schema(manifests, version):
    for manifest in manifests.values():
        validate(manifest, version, strict=True)


def test_a_word_that_kubernetes_does_not_know_is_found(manifests):
    manifests["PodDisruptionBudget"]["spec"]["maxUnavailible"] = 1
    with pytest.raises(ValidationError):
        validate(manifests["PodDisruptionBudget"], VERSIONS[0], strict=True)


@pytest.mark.kubectl
@pytest.mark.parametrize("variant", VARIANTS)
def test_kubectl_renders_what_these_tests_look_at(variant):
    ours = {one["kind"]: one for one in render(KUBERNETES / variant)}
    theirs = {one["kind"]: one for one in kubectl(KUBERNETES / variant)}
    assert theirs.keys() == ours.keys()
    for manifest in theirs.values():
        validate(manifest, VERSIONS[-1], strict=True)
        assert manifest["metadata"]["namespace"] == "bridge"
    assert theirs["ConfigMap"]["data"] == ours["ConfigMap"]["data"]
    [one], [other] = (pod(found)["containers"] for found in (theirs, ours))
    for listed in ("env", "ports"):
        assert sorted(map(spelled, one[listed])) == sorted(map(spelled, other[listed]))
    settings = next(v for v in pod(theirs)["volumes"] if v["name"] == "settings")
    assert settings["configMap"]["name"] == theirs["ConfigMap"]["metadata"]["name"]


def test_the_bridge_starts_with_the_settings_of_a_pod(settings):
    assert settings.cluster.url == "http://10.4.5.6:8081"
    assert settings.data.url == "postgresql://bridge@db/bridge"
    assert settings.lines["main"].keys == ["the-long-text-of-the-secret-api-keys"]
    assert settings.metrics.keys == ["the-long-text-of-the-secret-metrics-keys"]
    assert settings.admin.keys == ["the-long-text-of-the-secret-admin-keys"]


def test_browsers_are_told_the_address_of_the_host(manifests, settings):
    if pod(manifests).get("hostNetwork"):
        assert settings.rtc.bind == ["192.0.2.7"]
    else:
        assert settings.rtc.external_address == "192.0.2.7"


def test_calls_have_all_the_time_to_end_that_the_settings_promise(manifests, settings):
    grace = pod(manifests)["terminationGracePeriodSeconds"]
    assert grace >= settings.limits.drain_seconds + END_SECONDS
    assert settings.limits.drain_seconds == 3600
    assert manifests["Deployment"]["spec"]["progressDeadlineSeconds"] > grace
    [sleep, seconds] = container(manifests)["lifecycle"]["preStop"]["exec"]["command"]
    assert (sleep, int(seconds) < END_SECONDS / 2) == ("sleep", True)


def test_a_rollout_and_an_emptied_host_take_no_capacity(manifests):
    rolling = manifests["Deployment"]["spec"]["strategy"]["rollingUpdate"]
    assert (rolling["maxSurge"], rolling["maxUnavailable"]) == (1, 0)
    assert manifests["PodDisruptionBudget"]["spec"]["maxUnavailable"] == 1


def test_the_probes_ask_what_the_bridge_answers(manifests, settings):
    described = container(manifests)
    paths = {kind: described[kind]["httpGet"]["path"] for kind in described if "Probe" in kind}
    assert paths == {
        "startupProbe": "/readyz",
        "readinessProbe": "/readyz",
        "livenessProbe": "/healthz",
    }
    ports = {port["name"]: port["containerPort"] for port in described["ports"] if "name" in port}
    assert ports == {"http": settings.http.port, "cluster": 8081}
    for probe in paths:
        assert described[probe]["httpGet"]["port"] == "http"


def test_an_outage_of_the_database_of_a_minute_takes_no_pod_out_of_the_service(manifests):
    probe = container(manifests)["readinessProbe"]
    assert probe["periodSeconds"] * probe["failureThreshold"] >= 2 * 60


def test_media_ports_are_open_published_and_enough(manifests, settings):
    ports = port_range(settings.rtc.ports)
    rules = manifests["NetworkPolicy"]["spec"]["ingress"]
    [media] = [p for rule in rules for p in rule["ports"] if p["protocol"] == "UDP"]
    assert (media["port"], media["endPort"]) == (ports[0], ports[-1])
    published = [p for p in container(manifests)["ports"] if p["protocol"] == "UDP"]
    if pod(manifests).get("hostNetwork"):
        assert published == []
    else:
        assert [port["containerPort"] for port in published] == list(ports)
        assert [port["hostPort"] for port in published] == list(ports)
    replicas = manifests["Deployment"]["spec"]["replicas"]
    assert replicas * len(ports) >= 2 * settings.limits.calls


def test_the_cluster_port_is_open_to_bridges_alone(manifests):
    rules = manifests["NetworkPolicy"]["spec"]["ingress"]
    [rule] = [rule for rule in rules if any(p["port"] == "cluster" for p in rule["ports"])]
    assert [port["port"] for port in rule["ports"]] == ["cluster"]
    labels = manifests["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert rule["from"] == [{"podSelector": {"matchLabels": labels}}]
    assert {port["port"] for port in manifests["Service"]["spec"]["ports"]} == {80}


def test_every_selector_means_the_pods(manifests):
    labels = manifests["Deployment"]["spec"]["template"]["metadata"]["labels"]
    spec = {kind: manifest.get("spec", {}) for kind, manifest in manifests.items()}
    assert spec["Service"]["selector"] == labels
    for selector in (
        spec["Deployment"]["selector"],
        spec["PodDisruptionBudget"]["selector"],
        spec["NetworkPolicy"]["podSelector"],
        pod(manifests)["topologySpreadConstraints"][0]["labelSelector"],
    ):
        assert selector == {"matchLabels": labels}


def test_the_ingress_leads_to_the_service_under_the_public_name(manifests, settings):
    [rule] = manifests["Ingress"]["spec"]["rules"]
    [path] = rule["http"]["paths"]
    assert f"https://{rule['host']}" == settings.http.public_url
    assert manifests["Ingress"]["spec"]["tls"][0]["hosts"] == [rule["host"]]
    assert path["backend"]["service"]["name"] == manifests["Service"]["metadata"]["name"]
    [port] = manifests["Service"]["spec"]["ports"]
    assert path["backend"]["service"]["port"]["name"] == port["name"]
    assert port["targetPort"] in {port.get("name") for port in container(manifests)["ports"]}


def test_every_mount_has_its_volume_and_what_the_bridge_writes_is_on_one(manifests, settings):
    volumes = {volume["name"]: volume for volume in pod(manifests)["volumes"]}
    mounts = {mount["mountPath"]: mount for mount in container(manifests)["volumeMounts"]}
    assert {mount["name"] for mount in mounts.values()} == volumes.keys()
    for written in (settings.data.dir, "/tmp"):
        assert "emptyDir" in volumes[mounts[written]["name"]]
    secret = volumes[mounts[SECRETS]["name"]]["secret"]
    assert secret["secretName"] == "bridge"
    names = [variable["name"] for variable in container(manifests)["env"]]
    assert len(names) == len(set(names))


def test_pods_have_no_privileges_and_the_user_of_the_image(manifests):
    user = re.search(r"^USER (\d+):(\d+)$", (PROJECT / "Dockerfile").read_text(), re.MULTILINE)
    assert user is not None
    whole, own = pod(manifests)["securityContext"], container(manifests)["securityContext"]
    assert (whole["runAsUser"], whole["runAsGroup"]) == (int(user[1]), int(user[2]))
    assert whole["runAsNonRoot"]
    assert own == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not pod(manifests)["automountServiceAccountToken"]


def test_variables_of_services_are_kept_from_the_bridge(manifests):
    """A service called bridge would set BRIDGE_PORT, which is no setting."""
    assert pod(manifests)["enableServiceLinks"] is False


def test_no_secret_is_in_a_manifest():
    for path in KUBERNETES.rglob("*.yaml"):
        manifest = yaml.safe_load(path.read_text())
        assert manifest["kind"] != "Secret"
