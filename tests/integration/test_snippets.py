"""Whatever a page shows to be typed or copied works: YAML loads, PromQL parses, JSON is of its schema,
commands exist and take these flags, SQL runs, addresses answer."""

import functools
import json
import os
import re
import subprocess

import jsonschema
import pytest
import yaml

from lab import exporter as lab_exporter, process, servers, snippets
from lab.exporter import BINARY, QUICK, endpoint_of
from lab.servers import ROOT

EXAMPLE = ROOT / "docs" / "examples" / "pgtls.yml"
LANGUAGES = {"sh", "ini", "yaml", "json", "promql", "sql", "console", "text", "python", ""}
OURS = {"defaults", "templates", "clusters", "discovery", "modules", "limits", "histogram_buckets", "histograms"}
ALERTMANAGER = {"global", "route", "receivers", "inhibit_rules"}
PROMETHEUS = {"global", "scrape_configs", "rule_files", "alerting", "storage", "remote_write"}
CHART = json.loads((ROOT / "packaging" / "helm" / "pgtls-exporter" / "values.schema.json").read_text())
HEALTH = json.loads((ROOT / "docs" / "health.schema.json").read_text())

SCRAPES = {"http_sd_configs", "relabel_configs", "metric_relabel_configs", "static_configs"}
PROGRAMS = {"pgtls_exporter", "pgtls_docs"}
PROMETHEUS_FLAGS = {"--web.enable-lifecycle"}

# Programs of whoever is on call, of which a test can only say that they are called so.
ELSEWHERE = set("""amtool ausearch apt-get cat cmake crontab ctest curl date dd df diff dig dmesg echo errno free getent ip
    journalctl klist kubectl ldapwhoami ldd ls mtr mv namei nft nsenter nstat openssl pgtls_exporter pg_isready pidof
    ping podman postgres printf ps psql sha256sum sleep ss ssh-keyscan sudo sysctl systemctl tcpdump timedatectl timeout
    cpack dpkg git helm htpasswd install rpm tee tr tracepath traceroute xxd""".split())


MANIFEST_KINDS = {"deploy": "Deployment", "sts": "StatefulSet"}


def manifests():
    """(kind, name) of everything in the Kubernetes examples."""
    return {(one["kind"], one["metadata"]["name"]) for path in (EXAMPLE.parent / "kubernetes").glob("*.yml")
            for one in yaml.safe_load_all(path.read_text())}


def named(found):
    return pytest.mark.parametrize("snippet", [pytest.param(one, id=str(one)) for one in found])


def run(*argv, **more):
    return subprocess.run(argv, text=True, capture_output=True, timeout=60, check=False,
                          env=process.clean_environment(), **more)


def good(result):
    assert result.returncode == 0, f"{result.args}:\n{result.stdout}{result.stderr}"
    return result


def test_every_block_says_what_it_is():
    unknown = [f"{one}: {one.language!r}" for one in snippets.snippets() if one.language not in LANGUAGES]
    assert unknown == []


# Units of systemd

@named(snippets.snippets("ini"))
def test_drop_ins_are_good_for_the_unit(snippet, tmp_path):
    """As systemd reads them, with a program in the place of ours that is there."""
    unit = tmp_path / "pgtls_exporter.service"
    text = (ROOT / "packaging" / "systemd" / f"{unit.name}.in").read_text()
    unit.write_text(re.sub(r"(?m)^ExecStart=\S+.*", "ExecStart=/bin/true", text).replace("@PGTLS_CONFIG_FILE@", "/etc/x")
                    + snippet.text)
    said = run("systemd-analyze", "verify", "--man=no", str(unit))
    assert (said.returncode, said.stderr) == (0, "")


# YAML

def load_by_exporter(document, tmp_path):
    """Ours as it stands; what needs a cluster beside it gets one."""
    if not {"clusters", "discovery"} & document.keys():
        document = {**document, "clusters": [{"name": "orders", "host": "db.example.com", "user": "monitor"}]}
    file, user = tmp_path / "pgtls.yml", tmp_path / "user"
    user.write_text("monitor\n")  # read with the configuration, unlike passwords and certificates
    file.write_text(re.sub(r'("user_file": )"[^"]*"', rf'\1"{user}"', json.dumps(document)))
    result = lab_exporter.run("--config.check", f"--config.file={file}")
    assert result.returncode == 0, result.stderr
    assert "warning" not in result.stderr.lower(), result.stderr


def load_by_prometheus(document, tmp_path):
    file = tmp_path / "prometheus.yml"
    document = {**document, **({"rule_files": []} if "rule_files" in document else {})}
    file.write_text(yaml.safe_dump(document))
    good(run("promtool", "check", "config", "--syntax-only", file))


def load_by_alertmanager(document, tmp_path):
    def receivers(route):
        yield from [route["receiver"]] if "receiver" in route else []
        for inner in route.get("routes", ()):
            yield from receivers(inner)
    document.setdefault("route", {"receiver": "anybody"})
    document.setdefault("receivers", [{"name": name} for name in sorted(set(receivers(document["route"])))])
    file = tmp_path / "alertmanager.yml"
    file.write_text(yaml.safe_dump(document))
    good(run("amtool", "check-config", file))


def load(document, tmp_path):
    keys = set(document)
    if keys <= OURS:
        load_by_exporter(document, tmp_path)
    elif keys <= ALERTMANAGER:
        load_by_alertmanager(document, tmp_path)
    elif keys <= PROMETHEUS:
        load_by_prometheus(document, tmp_path)
    elif keys <= SCRAPES:
        load_by_prometheus({"scrape_configs": [{"job_name": "pgtls", **document}]}, tmp_path)
    elif keys == {"routes"}:
        load_by_alertmanager({"route": {"receiver": "anybody", **document}}, tmp_path)
    elif keys == {"groups"}:
        (tmp_path / "rules.yml").write_text(yaml.safe_dump(document))
        good(run("promtool", "check", "rules", tmp_path / "rules.yml"))
    elif keys <= {"tls_server_config", "basic_auth_users", "http_server_config", "rate_limit"}:
        pass  # the files to go with it are in the tests of web security
    elif document.get("apiVersion") == 1:  # what Grafana is provisioned with
        assert keys <= {"apiVersion", "providers", "datasources"}
    elif {"apiVersion", "kind"} <= keys:
        assert document["metadata"]["name"]  # test_kubernetes.py knows more
    elif "config" in keys:  # values of the Helm chart
        jsonschema.validate(document, CHART)
        load_by_exporter(document["config"], tmp_path)
    elif all(isinstance(value, dict) and {"dsn", "host"} & value.keys() for value in document.values()):
        load_by_exporter({"clusters": [{"name": "orders", "endpoints": document}]}, tmp_path)
    else:
        raise AssertionError(f"what is it? {sorted(keys)}")


@named(snippets.snippets("yaml"))
def test_yaml_loads(snippet, tmp_path):
    documents = [one for one in yaml.safe_load_all(snippet.text) if one is not None]
    assert documents
    for document in documents:
        load(document, tmp_path)


@pytest.mark.parametrize("path", sorted(EXAMPLE.parent.glob("*.yml")), ids=lambda path: path.name)
def test_the_examples_load_without_a_warning(path, tmp_path):
    load(yaml.safe_load(path.read_text()), tmp_path)


# PromQL and JSON

@pytest.fixture(scope="module")
def names():
    """Every metric that the exporter and the shipped rules have."""
    listed = (ROOT / "docs" / "api-names.txt").read_text()
    return set(re.findall(r"\b(?:pgtls|process)_\w+", listed))


@pytest.fixture(scope="module")
def prometheus(daemon, scratch):
    """A real one that knows the daemon: what parses may still fail when it meets series."""
    targets = [{"targets": [daemon.addresses[0]], "labels": {"pod": f"pgtls-{n}", "instance": f"pgtls-{n}:10432"}}
               for n in range(2)]
    with servers.Prometheus(scratch / "prometheus", {"global": {"scrape_interval": "1s"}, "scrape_configs": [
            {"job_name": "pgtls", "static_configs": targets}]}) as watcher:
        watcher.start()
        process.wait_for(lambda: len(watcher.query("pgtls_up")) == 2, 60, "two exporters")
        yield watcher


@named(snippets.snippets("promql"))
def test_promql_runs_and_names_real_metrics(snippet, tmp_path, names, prometheus):
    text = re.sub(r"^#.*\n", "", snippet.text, flags=re.M)
    expressions = [part for part in re.split(r"\n\s*\n", text) if part.strip()]
    rules = [{"record": f"docs:snippet:{number}", "expr": part} for number, part in enumerate(expressions)]
    file = tmp_path / "rules.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "docs", "rules": rules}]}))
    good(run("promtool", "check", "rules", file))
    for expression in expressions:
        prometheus.query(expression)  # an error of execution is an HTTP status
    used = {re.sub(r"_(?:bucket|sum|count)$", "", name) for name in re.findall(r"\bpgtls_\w+", text)}
    assert used - names == set()


@named(snippets.snippets("json"))
def test_json_is_of_its_schema(snippet, tmp_path):
    document = json.loads(snippet.text)
    if isinstance(document, list):  # targets of a discovery
        (tmp_path / "targets.json").write_text(snippet.text)
        file = tmp_path / "pgtls.yml"
        file.write_text(json.dumps({"discovery": [{"file_sd": {"files": ["targets.json"]}}]}))
        listed = good(run(BINARY, "list", f"--config.file={file}")).stdout
        assert all(target in listed for entry in document for target in entry["targets"])
    else:  # a part of /health/database
        server = {"$defs": HEALTH.get("$defs", {}), **HEALTH["$defs"]["server"], "required": []}
        jsonschema.Draft202012Validator(server).validate(document)


# Commands

@pytest.fixture(scope="module")
def daemon(lab, trust, shared_exporter):
    """A real exporter, for what is asked over HTTP."""
    server, trusted = lab.postgres(), {"sslrootcert": str(trust.root_file)}
    module = {**trusted, "allow_targets": [f"{server.address}/32:{server.port}"]}
    daemon = shared_exporter({
        "defaults": {**QUICK, **trusted}, "clusters": [{"name": "orders", "endpoints": {"write": endpoint_of(server)}}],
        "modules": {"default": module, "login": module}})
    daemon.settled()
    daemon.target = f"{server.address}:{server.port}"
    return daemon


@pytest.fixture(scope="module")
def database(lab):
    """A PostgreSQL with what the pages speak of, and a PgBouncer before it."""
    postgres = lab.new_postgres()
    postgres.sql("create role app login")
    postgres.sql("create database orders owner app")
    return postgres, lab.new_pgbouncer(postgres, users={"postgres": ""}, settings={"admin_users": "postgres"})


@pytest.fixture(scope="module")
def documents(daemon):
    """Every JSON document that a page may feed to jq."""
    listed = good(run(BINARY, "list", "--json", f"--config.file={EXAMPLE}")).stdout
    return [daemon.get("/health/database").text, listed,
            run(BINARY, "probe", "--json", "--no-login", "--timeout=10ms", "postgresql://127.0.0.1:1").stdout]


class Judge:
    """What of a command can be found out to be wrong, by program."""

    def __init__(self, shell, daemon, database, documents):
        self.shell, self.daemon, self.documents = shell, daemon, documents
        self.server, self.pooler = database

    def command(self, program, arguments, page):
        judge = getattr(self, program.replace("-", "_"), None)
        if judge:
            judge(arguments, page)

    def sudo(self, arguments, page):
        if arguments[:1] != ["-u"]:
            assert arguments[0] in ELSEWHERE | set(snippets.REAL) or os.access(ROOT / arguments[0], os.X_OK)
            self.command(arguments[0], arguments[1:], page)

    def kubectl(self, arguments, page):
        words = arguments[2:] if arguments[0] == "-n" else arguments
        assert words[0] in {"apply", "create", "delete", "describe", "exec", "get", "label", "logs", "port-forward",
                            "rollout", "scale"}
        for kind, name in re.findall(r"\b(deploy|sts)/([\w-]+)", " ".join(words)):
            assert (MANIFEST_KINDS[kind], name) in manifests()
        for file in (value for flag, value in zip(words, words[1:]) if flag == "-f"):
            assert (self.shell.here / file).exists(), file
        if "--" in arguments:
            inner = arguments[arguments.index("--") + 1:]
            self.command(inner[0], inner[1:], page)

    def pgtls_exporter(self, arguments, page):
        """Run without a connection to anywhere: `list` and --config.check read the same."""
        command = arguments[0] if arguments[:1] in (["probe"], ["list"]) else None
        flags = {one.partition("=")[0] for one in arguments if one.startswith("-")}
        assert flags <= flags_of(command) | {"-h"}, flags
        flags = [re.sub(r"^(--config\.file)=.*", rf"\1={EXAMPLE}", one) for one in arguments
                 if one.startswith(("--config.file", "--shard", "--total"))]
        rest = [one for one in arguments[1:] if not one.startswith("-") and not one.endswith(".yml")] if command else []
        configured = any(one.startswith("--config.file") for one in arguments)
        flags = [one if "=" in one or not one == "--config.file" else f"{one}={EXAMPLE}" for one in flags]
        if rest and configured and page.parent.name != "scenarios":
            good(run(BINARY, "list", *flags, *rest))
        elif rest and not configured and "…" not in rest[0]:
            string = rest[0] if "=" in rest[0] or "://" in rest[0] else f"postgresql://{rest[0]}"
            good(run("/usr/bin/env", f"DATABASE_URL={string}", BINARY, "list"))
        elif not command and configured:
            good(run(BINARY, *flags, "--config.check"))

    def curl(self, arguments, _):
        for url in (one for one in arguments if ":10432" in one):
            method = arguments[arguments.index("-X") + 1] if "-X" in arguments else "GET"
            path = re.sub(r"^.*?:10432", "", url) or "/"
            path = re.sub(r"^(/health/database)/[\w-]+(/[\w-]+)?", lambda m: f"{m[1]}/orders{'/write' if m[2] else ''}", path)
            path = re.sub(r"(?<=[?&]target=)[^&]+", self.daemon.target, path)
            assert self.daemon.request(method, path).status in (200, 503), path

    def promtool(self, arguments, page):
        """Of a file that the page shows, its name above it, what stands there."""
        for name in arguments:
            shown = re.search(rf"^```yaml\n# {re.escape(name)}\n(.*?)^```", page.read_text(), re.M | re.S)
            if shown:
                (self.shell.here / name).write_text(shown[1])
        good(run("promtool", *arguments, cwd=self.shell.here))

    def jq(self, arguments, _):
        runs = [run("jq", *arguments, input=document) for document in self.documents]
        assert any(result.returncode == 0 for result in runs), runs[0].stderr

    def psql(self, arguments, _):
        """What is asked, of a server of ours; where the page connects to is somebody else's."""
        texts = [value for flag, value in zip(arguments, arguments[1:]) if flag == "-c"]
        pooler = "pgbouncer" in arguments
        server = self.pooler if pooler else self.server
        string = servers.conninfo(host=server.address, port=server.port, user="postgres",
                                  dbname="pgbouncer" if pooler else "postgres", sslmode="require")
        if texts:
            good(run("psql", "-X", string, "-v", "ON_ERROR_STOP=1",
                     *(part for text in texts for part in ("-c", text))))

    def openssl(self, arguments, _):
        said = run("openssl", arguments[0], "-help").stderr
        known = set(re.findall(r"^ (-[\w-]+)", said, re.M))
        assert known, arguments
        options = {one for one in arguments[1:] if re.match(r"-[A-Za-z]", one)}
        digests = {"-sha256"}  # of x509 and dgst, listed as -*
        assert options <= known | digests, options - known

    def cmake(self, arguments, _):
        presets = json.loads((ROOT / "CMakePresets.json").read_text())
        if "--preset" in arguments:
            kind = {"--build": "buildPresets", "--workflow": "workflowPresets"}.get(arguments[0], "configurePresets")
            wanted = arguments[arguments.index("--preset") + 1]
            assert wanted in {one["name"] for one in presets[kind]}

    def amtool(self, arguments, _):
        words = [one for one in arguments if re.fullmatch(r"[a-z]+", one)][:2]
        said = good(run("amtool", *words, "--help"))
        known = set(re.findall(r"--[a-z.-]+", said.stdout + said.stderr))
        assert {one.partition("=")[0] for one in arguments if one.startswith("--")} <= known


@pytest.fixture(scope="module")
def judge(scratch, daemon, database, documents):
    shell = snippets.Shell(scratch / "snippets", ELSEWHERE | set(snippets.REAL))
    return Judge(shell, daemon, database, documents)


@named(snippets.commands())
def test_commands_do_what_they_say(snippet, judge):
    calls, result = judge.shell.run(snippet)
    for wrong in ("command not found", "syntax error", "unbound variable", "bad substitution"):
        assert wrong not in result.stderr, result.stderr
    missing = re.search(r"bash: line \d+: (?:build|packaging|tests)/.*: No such file or directory", result.stderr)
    assert not missing, missing[0]
    assert calls
    for program, arguments in calls:
        judge.command(program, arguments, snippet.page)


def test_every_path_of_the_table_answers(daemon):
    rows = re.findall(r"^\| `(/[^`]*)` \|", (ROOT / "docs" / "flags.md").read_text(), re.M)
    assert len(rows) == 7
    for path in rows:
        answer = daemon.request("POST" if path == "/-/reload" else "GET", path)
        assert answer.status == (400 if path == "/probe" else 200), path  # which wants a target


def titles(panels):
    for panel in panels:
        yield panel.get("title")
        yield from titles(panel.get("panels", ()))


def test_the_panels_that_chapters_name_exist():
    known = {title for path in (ROOT / "dashboards").glob("*.json")
             for title in titles(json.loads(path.read_text())["panels"])}
    named_there = [title for path in (ROOT / "docs" / "scenarios").glob("*.md")
                   for line in re.findall(r"^- \[Dashboards\].*(?:\n  .*)*", path.read_text(), re.M)
                   for title in re.findall(r"\*([^*]+)\*", line)]
    assert len(named_there) >= 8 and set(named_there) - known == set()


# Names in the text

@pytest.mark.parametrize("page", [pytest.param(page, id=str(page.relative_to(ROOT))) for page in snippets.pages()])
def test_metrics_and_flags_that_a_page_names_exist(page, names, flags):
    text = page.read_text()
    spans = re.findall(r"`([^`]+)`", snippets.FENCE.sub("", text))
    metrics = {re.sub(r"_(?:bucket|sum|count)$", "", name)
               for span in spans for name in re.findall(r"(?<![\w:./])pgtls_[a-z0-9_]+(?![\w:])", span)}
    assert metrics - names - PROGRAMS == set()
    for span in spans:
        command = re.fullmatch(r"(?:\S+=\S+ )?pgtls_exporter(?: (probe|list))?((?: \S+)*)", span)
        if command:
            used = set(re.findall(r"(?<= )--[a-z.-]+", command[2]))
            assert used <= flags_of(command[1]), span
    assert set(re.findall(r"--(?:config|web|log)\.[a-z][a-z.-]*[a-z]", text)) - flags - PROMETHEUS_FLAGS == set()


@pytest.fixture(scope="module")
def flags():
    return flags_of(None)


@functools.lru_cache
def flags_of(command):
    """Every flag of the exporter itself, or of `probe` or `list`."""
    said = good(run(BINARY, *([command] if command else []), "--help")).stdout
    return frozenset(re.findall(r"^  (--[a-z.-]+)", said, re.M))
