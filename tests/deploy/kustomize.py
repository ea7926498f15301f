"""What `kubectl kustomize` makes of a folder, as far as deploy/kubernetes uses it."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import yaml

Manifest = dict[str, Any]
KEYS = ("name", "containerPort", "mountPath")
"""What tells the items of a list apart, by Kubernetes' own merge keys; lists without one are replaced."""


def render(folder: Path) -> list[Manifest]:
    """Return the manifests of a folder with its bases and patches."""
    described = yaml.safe_load((folder / "kustomization.yaml").read_text())
    found: list[Manifest] = []
    for name in described["resources"]:
        path = folder / name
        found += render(path) if path.is_dir() else [yaml.safe_load(path.read_text())]
    for maps in described.get("configMapGenerator", []):
        texts = {name: (folder / name).read_text() for name in maps["files"]}
        metadata = {"name": maps["name"]}
        found.append({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": texts})
    for entry in described.get("patches", []):
        patch = yaml.safe_load((folder / entry["path"]).read_text())
        [at] = [i for i, one in enumerate(found) if identity(one) == identity(patch)]
        found[at] = merged(found[at], patch)
    return found


def identity(manifest: Manifest) -> tuple[str, str]:
    """Return what a patch names a manifest by."""
    return manifest["kind"], manifest["metadata"]["name"]


def merged(base: Any, patch: Any) -> Any:
    """Return a value with a strategic merge patch applied."""
    if isinstance(base, dict) and isinstance(patch, dict):
        return base | {
            key: merged(base[key], value) if key in base else value for key, value in patch.items()
        }
    if isinstance(base, list) and isinstance(patch, list):
        key = next((key for key in KEYS if all(key in item for item in [*base, *patch])), None)
        if key is not None:
            items = {item[key]: item for item in base}
            for item in patch:
                items[item[key]] = merged(items.get(item[key], {}), item)
            return list(items.values())
    return patch


def kubectl(folder: Path) -> list[Manifest]:
    """Return what kubectl makes of the folder."""
    program = shutil.which("kubectl")
    assert program is not None
    done = subprocess.run(
        [program, "kustomize", str(folder)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    return list(yaml.safe_load_all(done.stdout))
