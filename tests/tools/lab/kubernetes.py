"""Manifests: whether Kubernetes and the Prometheus Operator would take them, and what a pod of them sees.

The types and schemas are those of the npm packages `kubernetes-models`, which tests/run.sh fetches."""

import json
import os
import subprocess
from pathlib import Path

import yaml

from .servers import PEERS, MissingServer

MODELS = PEERS / "kubernetes-models"
OPERATOR = "@kubernetes-models/prometheus-operator"
PROJECT = {"compilerOptions": {"module": "nodenext", "target": "es2022", "strict": True, "skipLibCheck": True,
                               "types": []}, "files": ["manifests.mts"]}


def load(path):
    """The objects of a file of manifests."""
    return [one for one in yaml.safe_load_all(Path(path).read_text()) if one is not None]


def _module(manifest):
    group, _, version = manifest["apiVersion"].rpartition("/")
    if group == "monitoring.coreos.com":
        return f"{OPERATOR}/{group}/{version}"
    return "kubernetes-models/" + (f"{group}/{version}" if group else version)


def problems(manifests, directory):
    """What is wrong with them: by TypeScript, which knows every field there is, and by the schemas,
    which know what a value may be. Empty if nothing is."""
    if not (MODELS / "node_modules").is_dir():
        raise MissingServer(f"{MODELS} is missing; tests/run.sh fetches it")
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "node_modules").symlink_to((MODELS / "node_modules").resolve())
    lines = []
    for number, manifest in enumerate(manifests):
        kind = manifest["kind"]
        lines += [f'import {{{kind} as K{number}}} from "{_module(manifest)}";',
                  f'import type {{I{kind} as I{number}}} from "{_module(manifest)}";',
                  f"const m{number}: I{number} = {json.dumps(manifest)};",
                  f"new K{number}(m{number}).validate();"]
    (directory / "manifests.mts").write_text("\n".join(lines) + "\n")
    (directory / "tsconfig.json").write_text(json.dumps(PROJECT))
    said = []
    for argv in (["node", "node_modules/typescript/bin/tsc", "-p", "."], ["node", "manifests.mjs"]):
        run = subprocess.run(argv, cwd=directory, text=True, capture_output=True, timeout=120, check=False)
        if run.returncode:
            said.append(run.stdout + run.stderr)
    return "\n".join(said)


_VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}


def _more_than_baseline(pod, containers):
    """What the standard's level "baseline" forbids, which "restricted" holds, too."""
    yield from (f"{name} of the pod" for name in ("hostNetwork", "hostPID", "hostIPC") if pod.get(name))
    for one in containers:
        context = one.get("securityContext", {})
        yield from (f"{name} of a container" for name in ("privileged", "procMount", "windowsOptions", "seLinuxOptions",
                                                          "appArmorProfile") if context.get(name))
        yield from ("hostPort" for port in one.get("ports", []) if port.get("hostPort"))
    context = pod.get("securityContext", {})
    yield from (f"{name} of the pod" for name in ("sysctls", "windowsOptions", "seLinuxOptions", "appArmorProfile")
                if context.get(name))


def more_than_restricted(pod):
    """The fields of a pod's spec that the Pod Security Standard "restricted" forbids, each control of its:
    https://kubernetes.io/docs/concepts/security/pod-security-standards/"""
    containers = [one for kind in ("containers", "initContainers", "ephemeralContainers") for one in pod.get(kind, [])]
    of_pod = pod.get("securityContext", {})
    found = list(_more_than_baseline(pod, containers))
    found += [f"volume {one['name']}" for one in pod.get("volumes", []) if not one.keys() - {"name"} <= _VOLUMES]
    for one in containers:
        context = {**of_pod, **one.get("securityContext", {})}
        capabilities = context.get("capabilities", {})
        controls = {
            "allowPrivilegeEscalation": context.get("allowPrivilegeEscalation") is False,
            "runAsNonRoot": context.get("runAsNonRoot") is True,
            "runAsUser": context.get("runAsUser") != 0,
            "seccompProfile": context.get("seccompProfile", {}).get("type") in ("RuntimeDefault", "Localhost"),
            "capabilities.drop": "ALL" in capabilities.get("drop", []),
            "capabilities.add": set(capabilities.get("add", [])) <= {"NET_BIND_SERVICE"}}
        found += [f"{name} of {one['name']}" for name, good in controls.items() if not good]
    return found


class Volume:
    """A directory as Kubernetes fills it from a ConfigMap or Secret: every file a link through ..data,
    which is swapped whole."""

    def __init__(self, directory, files):
        self.directory, self.generation = Path(directory), 0
        self.directory.mkdir(parents=True)
        self.put(files)

    def put(self, files):
        self.generation += 1
        new = self.directory / f"..{self.generation}"
        new.mkdir()
        for name, content in files.items():
            (new / name).write_text(content)
        (self.directory / "..data_tmp").symlink_to(new.name)
        os.rename(self.directory / "..data_tmp", self.directory / "..data")
        for name in files:
            if not (self.directory / name).is_symlink():
                (self.directory / name).symlink_to(f"..data/{name}")


def pod_of(manifests, kind):
    """The pod template of the only object of this kind."""
    (found,) = [one for one in manifests if one["kind"] == kind]
    return found["spec"]["template"]
