"""docs/examples/kubernetes and the pages that explain it: Kubernetes takes the manifests, their parts fit
together, and a pod of them does what the pages say."""

import itertools
import json
import os
import re
import subprocess

import pytest
import yaml

from conftest import PASSWORD
from lab import kubernetes, snippets
from lab.exporter import BINARY, QUICK
from lab.process import wait_for
from lab.servers import ROOT

EXAMPLES = ROOT / "docs" / "examples" / "kubernetes"
CONTAINERFILE = (ROOT / "docs" / "examples" / "Containerfile").read_text()
BASE = {"", "libc6", "libgcc-s1", "gcc-12-base", "libasan8", "libubsan1", "libtsan2"}  # in every image, or of a sanitizer
FILES = sorted(EXAMPLES.glob("*.yml"))
EVERYTHING = {path.name: kubernetes.load(path) for path in FILES}
OBJECTS = list(itertools.chain(*EVERYTHING.values()))
PODS = [("exporter.yml", "Deployment"), ("shards.yml", "StatefulSet")]


@pytest.fixture(params=PODS, ids=[kind for _, kind in PODS])
def pod(request):
    return kubernetes.pod_of(EVERYTHING[request.param[0]], request.param[1])


# On paper

def test_kubernetes_and_the_operator_take_them(tmp_path):
    assert kubernetes.problems(OBJECTS, tmp_path / "all") == ""


@pytest.mark.parametrize("wrong, word", [
    (lambda one: one["spec"]["template"]["spec"]["containers"][0].update(imagee="x"), "imagee"),
    (lambda one: one["spec"].pop("selector"), "selector")])
def test_what_is_wrong_is_found(tmp_path, wrong, word):
    manifest = kubernetes.load(EXAMPLES / "exporter.yml")[1]
    wrong(manifest)
    assert word in kubernetes.problems([manifest], tmp_path / "wrong")


def test_the_alerts_become_a_rule(tmp_path):
    """By the commands of the page."""
    (snippet,) = [one for one in snippets.snippets("sh") if "PrometheusRule" in one.text]
    shell = snippets.Shell(tmp_path / "shell", ("sed", "kubectl"))
    calls, _ = shell.run(snippet)
    (file,) = [arguments[-1] for program, arguments in calls if program == "kubectl"]
    (manifest,) = kubernetes.load(shell.here / file)
    assert manifest["spec"] == yaml.safe_load((ROOT / "alerts" / "pgtls.rules.yml").read_text())
    assert kubernetes.problems([manifest], tmp_path / "rules") == ""


def test_the_image_has_what_the_exporter_needs():
    """The packages of both stages of docs/examples/Containerfile."""
    installs = re.findall(r"--no-install-recommends((?:[^\n]*\\\n)+[^\n]*)", CONTAINERFILE)
    built, needed = [set(found.partition("&&")[0].replace("\\\n", " ").split()) for found in installs]
    lines = (line.split() for line in (ROOT / "packaging" / "packages.txt").read_text().splitlines()
             if not line.startswith("#"))
    assert built == {package for package, *purposes in lines if "build" in purposes}
    linked = subprocess.run(["ldd", BINARY], text=True, capture_output=True, check=True).stdout
    headers = subprocess.run(["objdump", "-p", BINARY], text=True, capture_output=True, check=True).stdout
    for library in re.findall(r"NEEDED +(\S+)", headers):
        path = os.path.realpath(re.search(rf"{re.escape(library)} => (\S+)", linked)[1]) if f"{library} =>" in linked else ""
        owner = subprocess.run(["dpkg", "-S", path], text=True, capture_output=True, check=False).stdout.split(":")[0]
        assert owner in needed | BASE, f"{library} is in {owner}"


def matches(selector, labels):
    return selector.items() <= labels.items()


def test_parts_find_each_other():
    pods = [kubernetes.pod_of(EVERYTHING[name], kind) for name, kind in PODS]
    for one in OBJECTS:
        if one["kind"] in ("Deployment", "StatefulSet"):
            assert matches(one["spec"]["selector"]["matchLabels"], one["spec"]["template"]["metadata"]["labels"])
        if one["kind"] == "StatefulSet":
            assert one["spec"]["serviceName"] in [s["metadata"]["name"] for s in OBJECTS if s["kind"] == "Service"]
            assert f"--total-shards={one['spec']['replicas']}" in one["spec"]["template"]["spec"]["containers"][0]["args"]
        if one["kind"] == "NetworkPolicy":
            assert all(matches(one["spec"]["podSelector"]["matchLabels"], p["metadata"]["labels"]) for p in pods)
    scraped = [one for one in OBJECTS if one["kind"] == "Service" and
               matches({"app.kubernetes.io/name": "pgtls"}, one["metadata"].get("labels", {}))]
    assert [one["metadata"]["name"] for one in scraped] == ["pgtls-exporter"]  # a pod is scraped once
    assert all(matches(scraped[0]["spec"]["selector"], p["metadata"]["labels"]) for p in pods)
    (monitor,) = [one for one in OBJECTS if one["kind"] == "ServiceMonitor"]
    assert monitor["spec"]["endpoints"][0]["port"] == scraped[0]["spec"]["ports"][0]["name"]
    assert scraped[0]["metadata"]["labels"][monitor["spec"]["jobLabel"]] == "pgtls"


def test_a_pod_has_what_it_mounts_and_no_privilege(pod):
    spec, (container,) = pod["spec"], pod["spec"]["containers"]
    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    assert {mount["name"] for mount in container["volumeMounts"]} == volumes.keys()
    assert all("subPath" not in mount and mount["readOnly"] for mount in container["volumeMounts"])
    assert volumes["config"]["configMap"]["name"] in [
        one["metadata"]["name"] for one in OBJECTS if one["kind"] == "ConfigMap"]
    assert {container[probe]["httpGet"]["path"] for probe in ("livenessProbe", "readinessProbe")} == {
        "/-/healthy", "/-/ready"}
    # The Pod Security Standard "restricted", and what goes beyond.
    assert spec["securityContext"]["runAsNonRoot"] and spec["securityContext"]["seccompProfile"]["type"] == "RuntimeDefault"
    assert container["securityContext"] == {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
                                            "capabilities": {"drop": ["ALL"]}}
    assert spec["automountServiceAccountToken"] is False
    assert kubernetes.more_than_restricted(spec) == []


def changed(spec, path, value):
    """The same with one field changed; None takes it away."""
    new = json.loads(json.dumps(spec))
    *way, last = path.split(".")
    at = new
    for name in way:
        at = at[0] if isinstance(at, list) else at
        at = at.setdefault(name, {})
    at = at[0] if isinstance(at, list) else at
    if value is None:
        del at[last]
    else:
        at[last] = value
    return new


@pytest.mark.parametrize("path, value, word", [
    ("hostNetwork", True, "hostNetwork"), ("hostPID", True, "hostPID"), ("hostIPC", True, "hostIPC"),
    ("volumes.hostPath", {"path": "/"}, "volume"), ("containers.ports.hostPort", 10432, "hostPort"),
    ("securityContext.sysctls", [{"name": "a", "value": "b"}], "sysctls"),
    ("securityContext.runAsNonRoot", None, "runAsNonRoot"), ("securityContext.runAsUser", 0, "runAsUser"),
    ("securityContext.seccompProfile", None, "seccompProfile"),
    ("containers.securityContext.seccompProfile", {"type": "Unconfined"}, "seccompProfile"),
    ("containers.securityContext.privileged", True, "privileged"),
    ("containers.securityContext.allowPrivilegeEscalation", None, "allowPrivilegeEscalation"),
    ("containers.securityContext.capabilities.drop", ["NET_RAW"], "capabilities.drop"),
    ("containers.securityContext.capabilities.add", ["NET_ADMIN"], "capabilities.add")])
def test_more_than_restricted_is_found(pod, path, value, word):
    (found,) = kubernetes.more_than_restricted(changed(pod["spec"], path, value))
    assert word in found


def test_pages_show_what_the_files_hold():
    def part_of(shown, whole):
        if isinstance(shown, dict):
            return isinstance(whole, dict) and all(k in whole and part_of(v, whole[k]) for k, v in shown.items())
        if isinstance(shown, list) and shown and isinstance(shown[0], dict):
            return all(any(part_of(one, other) for other in whole) for one in shown)
        return shown == whole
    seen = 0
    for snippet in snippets.snippets("yaml"):
        for shown in yaml.safe_load_all(snippet.text):
            if isinstance(shown, dict) and "kind" in shown:
                assert any(part_of(shown, whole) for whole in OBJECTS), f"{snippet}: no such part in {EXAMPLES.name}"
                seen += 1
    assert seen


# In a pod's clothes

class Pod:
    """Volumes as Kubernetes makes them below a directory of the test, at the paths of the manifest."""

    def __init__(self, directory, pod, files):
        self.directory, self.container = directory, pod["spec"]["containers"][0]
        paths = {mount["name"]: mount["mountPath"] for mount in self.container["volumeMounts"]}
        self.volumes = {name: kubernetes.Volume(self.place(paths[name]), content) for name, content in files.items()}

    def place(self, text):
        return re.sub(r"/(?=etc/pgtls|run/secrets/pgtls)", f"{self.directory}/", text)

    def arguments(self):
        return [self.place(one) for one in self.container["args"] if not one.startswith("--web.listen-address")]


@pytest.fixture
def world(lab, trust, tmp_path, pod):
    """The pod with the example's own ConfigMap, whose hosts are the laboratory's."""
    server = lab.postgres()
    (config,) = [one for one in OBJECTS if one["kind"] == "ConfigMap"]
    text = yaml.safe_load(config["data"]["pgtls.yml"])
    for cluster in text["clusters"]:
        cluster |= {"dbname": "app", "port": server.port}
        for endpoint in cluster.get("endpoints", {}).values():
            endpoint |= {"host": server.address, "port": server.port}
    text["clusters"][-1]["host"] = "managed.invalid"
    text["defaults"] |= QUICK
    one = Pod(tmp_path, pod, {"orders": {"username": "u_scram", "password": "not this one"},
                              "orders-ca": {"ca.crt": trust.root.certificate_pem.decode()}, "config": {}})
    one.configuration = yaml.safe_dump(text)
    one.volumes["config"].put({"pgtls.yml": one.place(one.configuration)})
    return one


def test_a_pod_lives_and_is_ready_whatever_its_databases_do(world, exporter):
    arguments = world.arguments()
    environment = {}
    if "--shard=ordinal" in arguments:  # the pod that watches `orders`
        listed = [n for n in range(3) if shard_of("orders", 3) == n]
        environment = {"POD_NAME": f"pgtls-a-{listed[0]}"}
    daemon = exporter(arguments=arguments, environment=environment)
    for probe in ("livenessProbe", "readinessProbe"):
        assert daemon.get(world.container[probe]["httpGet"]["path"]).status == 200

    def write():
        (endpoint,) = daemon.health("/orders/write")["endpoints"]
        return endpoint["status"], endpoint["servers"][0]["fault"]
    wait_for(lambda: write() == ("down", "password_failed"), 15, write)
    assert daemon.get("/health/database").status == 503
    for probe in ("livenessProbe", "readinessProbe"):
        assert daemon.get(world.container[probe]["httpGet"]["path"]).status == 200

    # The secret is rotated, and later the ConfigMap edited: nobody tells the pod.
    world.volumes["orders"].put({"username": "u_scram", "password": PASSWORD})
    wait_for(lambda: write()[0] == "ok", 15, write)
    world.volumes["config"].put({"pgtls.yml": world.place(world.configuration).replace("read:", "readers:", 1)})
    wait_for(lambda: daemon.get("/health/database/orders/readers").status != 404, 15, daemon.log)


def test_the_probe_object_asks_for_what_the_module_allows(world, exporter):
    (probe,) = [one["spec"] for one in OBJECTS if one["kind"] == "Probe"]
    (service,) = [one for one in OBJECTS if one["metadata"]["name"] == "pgtls-exporter" and one["kind"] == "Service"]
    host, port = probe["prober"]["url"].split(":")
    assert host.split(".")[0] == service["metadata"]["name"] and int(port) == service["spec"]["ports"][0]["port"]
    daemon = exporter(arguments=world.arguments(), environment={"POD_NAME": "pgtls-a-0"})
    for target in probe["targets"]["staticConfig"]["static"]:
        asked = f"{probe['prober']['path']}?target={target}&module={probe['module']}"
        answer = daemon.get(asked, X_Prometheus_Scrape_Timeout_Seconds="1")
        assert answer.status == 200 and "\nprobe_success 0" in answer.text  # there is no such name here
        assert daemon.get(asked.replace("databases.svc", "elsewhere.svc")).status == 403


def shard_of(cluster, total):
    """As docs/scaling.md has it."""
    (snippet,) = [one for one in snippets.snippets("python") if one.page.name == "scaling.md"]
    scope = {}
    exec(snippet.text, scope)  # pylint: disable=exec-used
    return scope["shard"](cluster, total)
