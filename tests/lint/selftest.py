#!/usr/bin/python3
"""Every lint must be able to fail: each is given small trees with one thing wrong, and the tree
without it."""

import copy
import json
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import analyze  # noqa: E402
import calls  # noqa: E402
import dashboard_lint  # noqa: E402
import doc_pages  # noqa: E402
import fault_pages  # noqa: E402
import formatting  # noqa: E402
import layers  # noqa: E402
import promised_tests  # noqa: E402
import rules_lint  # noqa: E402
import sizes  # noqa: E402
import units  # noqa: E402
import words  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]


def findings(check, files):
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        for name, text in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return list(check(root))


class PromisedTests(unittest.TestCase):
    FILES = {"tests/integration/test_a.py": "def test_one(lab):\n", "tests/unit/test_b.c": "static void test_two(void **state)\n",
             "tests/integration/test_d.py": "def test_one(lab):\n", "tests/unit/CMakeLists.txt": "unit_test(b)\n",
             "tests/integration/CMakeLists.txt": "if(ROOT)\n  integration_test(a PLAIN)\nendif()\n"}
    GOOD = "`test_a.py::test_one` `test_b.c::test_two` `test_a.py`"

    def found(self, row, other=""):
        page = f"## How it is tested\n\n| what | tests |\n|---|---|\n| good | {self.GOOD} |\n| this | {row} |\n\n## More\n"
        return findings(promised_tests.check, {"docs/security.md": page, "docs/other.md": other, **self.FILES})

    def test_named_tests(self):
        self.assertEqual(self.found(self.GOOD), [])
        self.assertEqual(len(findings(promised_tests.check, {"docs/security.md": self.GOOD, **self.FILES})), 1)
        for page, word in (("nothing", "names no test"), ("`test_c.py::test_one`", "no test_c.py"),
                           ("`test_a.py::test_two`", "no test_two"), ("`test_b.c::test_one`", "no test_one"),
                           ("`test_d.py::test_one`", "is not run"), ("`test_d.py`", "is not run")):
            self.assertEqual([word in finding for finding in self.found(page)], [True], page)
            if page != "nothing":
                self.assertEqual([word in finding for finding in self.found(self.GOOD, page)], [True], page)


class SourceLints(unittest.TestCase):
    def found(self, check, name, text, word, **others):
        result = findings(check, {name: text, **others})
        self.assertEqual(len(result), 1, result)
        self.assertIn(word, result[0])
        self.assertTrue(result[0].startswith(name + ":"), result)

    def clean(self, check, name, text):
        self.assertEqual(findings(check, {name: text}), [])

    def test_layers(self):
        for name, include, word in (
                ("src/base/a.c", '"pgtls/model/fleet.h"', "base must not include model"),
                ("src/expose/a.c", '"pgtls/probe/scheduler.h"', "expose must not include probe"),
                ("src/expose/a.c", '"pgtls/net/arrival.h"', "expose must not include net"),
                ("include/pgtls/net/a.h", '"pgtls/tls/trust.h"', "net must not include tls"),
                ("src/net/a.c", '"../base/b.h"', "own room only"),
                ("src/net/a.c", '"pgtls/nowhere/b.h"', "no room nowhere"),
                ("src/probe/a.c", "<libpq-fe.h>", "src/pg/login"),
                ("src/expose/page.c", "<microhttpd.h>", "src/expose/http"),
                ("src/tls/a.h", "<openssl/ssl.h>", "belongs to"),
                ("src/probe/a.c", "<ares.h>", "resolver"),
                ("src/app/a.c", "<curl/curl.h>", "src/net/http"),
                ("src/app/a.c", "<libfyaml.h>", "src/config"),
                ("include/pgtls/probe/a.h", "<uv.h>", "no public header")):
            self.found(layers.check, name, f"#include {include}\n", word)
        self.found(layers.check, "src/stray.c", "int x;\n", "none of the rooms")
        self.found(layers.check, "src/net/a.c", "#include <stdio.h>\n", "comes first",
                   **{"include/pgtls/net/a.h": ""})
        self.clean(layers.check, "src/expose/a.c",
                   '#include "pgtls/expose/b.h"\n#include "pgtls/model/fleet.h"\n#include "c.h"\n')

    def test_calls(self):
        self.found(calls.check, "src/net/a.c", "void f(void) { strcpy(a, b); }\n", "strcpy")
        self.found(calls.check, "tests/unit/a.c", "\nint x = atoi (text);\n", ":2: atoi")
        self.clean(calls.check, "src/net/a.c",
                   "/* strcpy(a, b) */ const char *s = \"atoi(\"; int my_gets(int a);\n")

    def test_sizes(self):
        body = "    x++;\n"
        self.found(sizes.check, "src/net/a.c", "void f(int x)\n{\n" + body * 98 + "}\n", "f has 101")
        self.clean(sizes.check, "src/net/a.c", "void f(int x)\n{\n" + body * 97 + "}\n")
        self.found(sizes.check, "tests/a.py", "def f(x):\n" + body * 100, "f has 101")
        self.found(sizes.check, "src/net/a.h", "int x;\n" * 601, "601 lines")
        self.clean(sizes.check, "src/net/a.h", "int x;\n" * 600)

    def test_formatting(self):
        style = {".clang-format": (ROOT / ".clang-format").read_text(encoding="utf-8")}
        self.found(formatting.check, "src/net/a.c", "int  x;\n", "clang-format", **style)
        self.found(formatting.check, "docs/a.md", "text \n", "white space")
        self.found(formatting.check, "docs/a.md", "text", "no newline")
        self.found(formatting.check, "alerts/a.yml", "a:\n\t- b\n", "a tab")
        self.clean(formatting.check, "src/net/a.c", "int x;\n")

    def test_words(self):
        for text, word in (("see /work" "/main", "machine"), ("/home/somebody/x", "machine"),
                           ("https://regis" "try.npm" "js.org/x", "registry"), ("// TO" "DO", "promise"),
                           ("Not implemen" "ted", "promise")):
            self.found(words.check, "docs/a.md", text + "\n", word)
        self.clean(words.check, "docs/a.md", "a frame/work of work, implemented; todo\n")

    def test_doc_pages(self):
        index = {"docs/README.md": "[a](a.md)\n"}
        for text, word in (("\n[b](b.md)\n", ":2: b.md is not there"), ("[b](../src/b.c)\n", "is not there"),
                           ("[b](#nowhere)\n", "no heading #nowhere"),
                           ("[b](README.md#nowhere)\n", "no heading #nowhere"),
                           ("```\n## b\n```\n[b](#b)\n", "no heading #b")):
            self.found(doc_pages.check, "docs/a.md", text, word, **index)
        self.found(doc_pages.check, "docs/README.md", "# a\n", "no line for a.md", **{"docs/a.md": ""})
        self.assertEqual([], findings(doc_pages.check, {
            **index, "docs/a.md": "## `b`: c d/e_f\n## G\n## G\n[x](#b-c-de_f) [x](#g-1) [x](https://b.example/#c)\n"
                                  "  ```\n  [x](nowhere.md)\n  ```\n"}))


class Analyses(unittest.TestCase):
    """One bug for each analyzer, and the file without it."""
    BAD = {
        "tidy": "#include <stdlib.h>\nint f(int n);\nint f(int n)\n{\n    int *p = NULL;\n    return n ? *p : 0;\n}\n",
        "gcc": "#include <stdlib.h>\nint f(void);\nint f(void)\n{\n    char *p = malloc(9);\n    return p != 0;\n}\n",
        "cppcheck": "int f(void);\nint f(void)\n{\n    const int a[2] = {0, 1};\n    return a[2];\n}\n",
    }
    GOOD = "int f(int n);\nint f(int n)\n{\n    return n + 1;\n}\n"

    def found(self, tool, text):
        with tempfile.TemporaryDirectory() as directory:
            root = Path(directory).resolve()
            (root / "src").mkdir()
            (root / "src/a.c").write_text(text, encoding="utf-8")
            (root / ".clang-tidy").write_text((ROOT / ".clang-tidy").read_text(encoding="utf-8"), encoding="utf-8")
            (root / "none").write_text("", encoding="utf-8")
            (root / "compile_commands.json").write_text(json.dumps([{
                "directory": directory, "file": str(root / "src/a.c"),
                "command": f"gcc -Wduplicated-cond -Werror -o a.o -c {root}/src/a.c"}]), encoding="utf-8")
            if tool == "cppcheck":
                return list(analyze.cppcheck(root, ["src"], root / "none"))
            if tool == "gcc":
                return list(analyze.gcc(root, root, ["src"], root / "none"))
            return list(analyze.tidy(root, root, ["src"]))

    def test_each(self):
        for tool, word in (("tidy", "core.NullDereference"), ("gcc", "malloc-leak"), ("cppcheck", "arrayIndexOutOfBounds")):
            result = self.found(tool, self.BAD[tool])
            self.assertEqual(len(result), 1, result)
            self.assertTrue(result[0].startswith("src/a.c:") and word in result[0], result)
            self.assertEqual(self.found(tool, self.GOOD), [])


class DashboardLint(unittest.TestCase):
    """The shipped overview, with one thing changed at a time."""

    def setUp(self):
        self.board = json.loads((ROOT / "dashboards/overview.json").read_text(encoding="utf-8"))
        self.others = [json.loads(path.read_text(encoding="utf-8"))["uid"]
                       for path in (ROOT / "dashboards").glob("*.json")]

    def findings(self, board, **others):
        return findings(lambda root: dashboard_lint.check(root, self.others), {
            "dashboards/x.json": json.dumps(board), **others})

    def broken(self, change, word):
        board = copy.deepcopy(self.board)
        change(board)
        result = self.findings(board)
        self.assertTrue(result and word in result[0], (word, result))

    def test_the_shipped_one_passes(self):
        self.assertEqual(self.findings(self.board), [])
        self.assertIn("same uid", self.findings(self.board, **{"dashboards/y.json": json.dumps(self.board)})[0])

    def test_board(self):
        for key, value, word in (("editable", True, "editable"), ("uid", "", "uid"), ("id", 1, "id"),
                                 ("schemaVersion", 30, "schemaVersion"), ("tags", [], "tags"),
                                 ("links", [{}], "link"), ("description", "", "description")):
            self.broken(lambda board, k=key, v=value: board.update({k: v}), word)

    def test_templates(self):
        def variable(number, **values):
            return lambda board: board["templating"]["list"][number].update(values)
        self.broken(variable(0, label="Source"), "Data source")
        self.broken(variable(1, multi=False), "variable job")
        self.broken(variable(2, allValue=".*"), "variable instance")
        self.broken(variable(3, refresh=1), "reloaded")
        self.broken(variable(3, definition="pgtls_up"), "label_values")

    def test_panels(self):
        def panel(**values):
            return lambda board: board["panels"][1].update(values)
        self.broken(panel(title=""), "title")
        self.broken(panel(description=""), "description")
        self.broken(panel(targets=[]), "asks nothing")
        self.broken(panel(datasource={"uid": "abc"}), "data source")
        self.broken(panel(gridPos={"x": 20, "y": 1, "w": 5, "h": 4}), "wider")
        self.broken(panel(gridPos={"x": 3, "y": 1, "w": 3, "h": 4}), "lies on")
        self.broken(panel(fieldConfig={"defaults": {"unit": "suffix:x", "thresholds": {
            "mode": "absolute", "steps": [{"value": None}]}}}), "unit")
        self.broken(panel(fieldConfig={"defaults": {"unit": "s", "thresholds": {
            "mode": "absolute", "steps": [{"value": 1}]}}}), "thresholds")

    def test_links_and_columns(self):
        def in_table(change):
            def apply(board):
                (panel,) = [one for one in board["panels"] if one["title"] == "Certificates by time left"]
                change(panel["fieldConfig"]["overrides"])
            return apply

        def override(heading, **values):
            return {"matcher": {"id": "byName", "options": heading}, "properties": [
                {"id": name, "value": value} for name, value in values.items()]}

        def leads(url):
            return in_table(lambda found: found.append(override("Server", links=[{"title": "x", "url": url}])))
        self.broken(in_table(lambda found: found.append(override("Nowhere"))), "no column Nowhere")
        self.broken(in_table(lambda found: found.append(override("Server", unit="bananas"))), "unit 'bananas'")
        self.broken(in_table(lambda found: found.append(override("Server", thresholds={"steps": []}))), "thresholds")
        self.broken(leads('/d/pgtls-latency?var-x=${__data.fields["Fault"]}'), "needs a column Fault")
        self.broken(leads("/d/elsewhere"), "no dashboard elsewhere")
        for text, word in (("- Dashboard: *Failing now*, *Nowhere*.\n", "a.md:1: no panel is called 'Nowhere'"),
                           ("the row *Exporter* of the dashboard\n", None)):
            result = self.findings(self.board, **{"docs/a.md": text})
            self.assertEqual([word in found for found in result], [True] if word else [], result)
        self.broken(leads("/d/pgtls-latency?${cluster:queryparam}"), "no variable cluster")

    def test_expressions(self):
        both = 'job=~"$job", instance=~"$instance"'
        for expr, word in (
                ("pgtls_up", "chosen"), ('pgtls_up{job=~"$job"}', "chosen"),
                (f"sum(pgtls_probes_total{{{both}}})", "counter"),
                (f"rate(pgtls_probes_total{{{both}}}[5m])", "$__rate_interval"),
                ("sum by (job) (scrape_duration_seconds)", "scrape_duration_seconds is not chosen"),
                (f"pgtls_up{{{both}}} and up", "up is not chosen"), (f"pgtls_up{{{both}}} * $nowhere", "no variable nowhere"),
                (f"sum(pgtls_up{{{both}}}", "unclosed"), (f"nosuch(pgtls_up{{{both}}})", "nosuch"),
                ("", "empty")):
            self.broken(lambda board, e=expr: board["panels"][1]["targets"][0].update(expr=e), word)


class FaultPages(unittest.TestCase):
    """Two pages of two faults, with one thing changed at a time."""

    def setUp(self):
        self.printed = "".join(f"<!-- -->\n# {name}\n\nMeaning.\n\n{fault_pages.END}"
                               for name in ("tcp_x", "tls_y"))
        prose = "Twelve words and one more, so that nobody calls it nothing at all.\n"
        body = "".join(f"\n## {heading}\n\n{prose}" for heading in fault_pages.HEADINGS)
        body = body.replace("confirm\n\n", "confirm\n\n```sh\n# run it\npsql\n```\n")
        self.files = {f"docs/faults/{name}.md": head + body.replace("Twelve", "See [it](tcp_x.md#how-to-fix):")
                      for name, head in fault_pages.heads(self.printed).items()}
        self.files["docs/faults.md"] = "### tcp_x\n[a](faults/tcp_x.md)\n### tls_y\n[b](faults/tls_y.md)\n"

    def found(self, *words):
        result = findings(lambda root: fault_pages.check(root, self.printed), self.files)
        self.assertEqual(len(result), len(words), result)
        for word in words:
            self.assertTrue(any(word in finding for finding in result), (word, result))

    def broken(self, name, old, new, *words):
        whole = self.files[name]
        self.assertIn(old, whole)
        self.files[name] = whole.replace(old, new)
        self.found(*words)
        self.files[name] = whole

    def test_pages(self):
        self.found()
        self.files["docs/faults/stray.md"] = "# stray\n"
        self.found("stray.md:1: no such fault")
        del self.files["docs/faults/stray.md"]
        self.broken("docs/faults.md", "(faults/tls_y.md)", "(faults/tcp_x.md)", "does not link to faults/tls_y")
        del self.files["docs/faults/tls_y.md"]
        self.found("tls_y.md:1: is missing", "links to faults/tls_y.md")

    def test_no_fault_at_all(self):
        self.printed = ""
        self.found("prints no fault", "no such fault", "no such fault")

    def test_a_page(self):
        page = "docs/faults/tls_y.md"
        for old, new, word in (
                ("Meaning.", "Another meaning.", "tls_y.md:1: does not begin"),
                ("## Products", "## Where", "headings"),
                ("## What you see", "Text.\n\n## What you see", "headings"),
                ("## What it means\n\nSee [it](tcp_x.md#how-to-fix): words and one more, so that nobody",
                 "## What it means\n\nNobody", "'What it means'"),
                ("```sh\n# run it\npsql\n```\n", "", "no command"),
                ("psql\n", "psql -c 'select\n", "does not parse"),
                ("psql\n", "psql\n" * 100, "lines after its head")):
            self.broken(page, old, new, word)

    def test_links(self):
        page = "docs/faults/tls_y.md"
        self.broken(page, "psql\n", "psql # [code](is/no/link)\n")
        self.broken(page, "at all.", "[at](https://example.com/) all.")
        for new, word in (("tcp_z.md", "not there"), ("tcp_x.md#how-to-fly", "no such heading"),
                          ("#nowhere", "no such heading")):
            self.broken(page, "it means\n\nSee [it](tcp_x.md#how-to-fix)", f"it means\n\nSee [it]({new})", word)


class RulesLint(unittest.TestCase):
    """The shipped rules, with one thing changed at a time."""

    def broken(self, name, old, new, word):
        files = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
                 for place in ("alerts", "docs/runbooks", "tests/alerts", "dashboards")
                 for path in sorted((ROOT / place).rglob("*")) if path.suffix in {".yml", ".md", ".json"}}
        files["docs/metrics.md"] = (ROOT / "docs/metrics.md").read_text(encoding="utf-8")
        self.assertIn(old, files[name])
        files[name] = files[name].replace(old, new)
        result = findings(rules_lint.check, files)
        self.assertTrue(any(word in finding for finding in result), (word, result))

    def test_alerts(self):
        rules = "alerts/pgtls.rules.yml"
        for old, new, word in (
                ("alert: PgtlsEndpointDown", "alert: Endpoint_Down", "PgtlsCamelCase"),
                ("severity: critical", "severity: page", "severity"),
                ("        for: 2m\n", "", "`for`"),
                ("summary: A PostgreSQL endpoint is down.", "summary: '{{ $value }}'", "summary"),
                ("$value", "$worth", "description does not use $value"),
                ("runbooks/PgtlsEndpointDown.md", "runbooks/X.md", "runbook_url"),
                ("/d/pgtls-overview", "/d/other", "dashboard_url names no"),
                ("?var-pg_cluster=", "?var-cluster=", "dashboard_url sets cluster"),
                ("pgtls_endpoint_up", "pgtls_endpoint_upp", "has no pgtls_endpoint_upp")):
            self.broken(rules, old, new, word)

    def test_runbooks(self):
        book = "docs/runbooks/PgtlsEndpointDown.md"
        self.broken(book, "## Impact", "## Effects", "headings")
        self.broken("alerts/pgtls.rules.yml", "alert: PgtlsEndpointDown", "alert: PgtlsNew",
                    "no such alert")
        self.broken("alerts/pgtls.rules.yml", "alert: PgtlsEndpointDown", "alert: PgtlsNew",
                    "docs/runbooks/PgtlsNew.md:1: is missing")

    def test_tests(self):
        self.broken("tests/alerts/endpoints.test.yml", "alertname: PgtlsServerDown", "alertname: X",
                    "PgtlsServerDown resolves")


class UnitLint(unittest.TestCase):
    def found(self, change=("", ""), name="pgtls_exporter.service.in"):
        text = (ROOT / "packaging" / "systemd" / name).read_text(encoding="utf-8")
        text = text.replace("@PGTLS_CONFIG_FILE@", "/etc/pgtls_exporter/pgtls.yml")
        self.assertIn(change[0], text)
        with tempfile.TemporaryDirectory() as directory:
            unit = Path(directory, name.removesuffix(".in"))
            unit.write_text(text.replace(*change), encoding="utf-8")
            return "\n".join(units.check([unit], "/bin/true"))

    def test_units(self):
        self.assertEqual(self.found(), "")
        self.assertIn("NoNewPrivilege", self.found(("NoNewPrivileges=", "NoNewPrivilege=")))
        self.assertIn("ExecStart", self.found(("ExecStart=", "ExecStrat=")))
        self.assertIn("Overall exposure level", self.found(("PrivateUsers=yes", "PrivateUsers=no")))


if __name__ == "__main__":
    unittest.main()
