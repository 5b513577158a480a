"""packaging/quickstart.sh: one command shows the whole thing, and leaves nothing behind."""

import json
import os
import re
import signal
import subprocess
import time
import urllib.request

import pytest

from lab.exporter import endpoint_of
from lab.process import wait_for
from lab.servers import ROOT

SCRIPT = ROOT / "packaging" / "quickstart.sh"
FLEET = {
    "demo/direct": r"ok .*TLSv1\.3.*PostgreSQL 15",
    "demo/pooled": r"ok .*TLSv1\.3",
    "demo/expiring": r"ok .*expires in [23]\.\d days",
    "demo/refusing": r"DOWN .*startup: hba_no_entry_ssl",
    "demo/closing": r"DOWN .*startup: ssl_closed_after_handshake",
}


@pytest.fixture
def temporary(scratch, request):
    """A TMPDIR of its own, to see what is left in it."""
    directory = scratch / f"quickstart-{id(request)}"
    directory.mkdir()
    directory.chmod(0o755)
    return directory


def start(temporary, *arguments):
    return subprocess.Popen(["bash", SCRIPT, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            text=True, env={**os.environ, "TMPDIR": str(temporary)}, cwd="/",
                            start_new_session=True)


def processes_in(temporary):
    """Processes whose command line names this run's directory."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                command = file.read()
        except OSError:
            continue
        if str(temporary).encode() in command:
            found.append((pid, command))
    return found


def assert_nothing_remains(temporary):
    wait_for(lambda: not processes_in(temporary), 10, lambda: f"left: {processes_in(temporary)}")
    assert list(temporary.iterdir()) == []


def assert_pages_exist(text):
    pages = re.findall(r"http://\S+", text)
    assert len(pages) == 5, text
    for page in pages:
        if not page.endswith("/health/database"):  # 503 while the fleet is down
            with urllib.request.urlopen(page, timeout=10) as answer:
                assert answer.status == 200, page


def rows(text):
    return {line.split()[0]: line for line in text.splitlines() if re.match(r"\S+/\S+ ", line)}


def test_the_demonstration_shows_every_case(temporary):
    process = start(temporary, "--once")
    text, _ = process.communicate(timeout=400)
    assert process.returncode == 0, text
    table = rows(text)
    assert table.keys() == FLEET.keys(), text
    for endpoint, pattern in FLEET.items():
        assert re.search(pattern, table[endpoint]), table[endpoint]
    assert not re.search(r"[ \t]\n|\n\n\Z", text), text
    assert_nothing_remains(temporary)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_removes_everything(temporary, number):
    process = start(temporary)
    seen = []
    deadline = time.monotonic() + 400
    for line in process.stdout:
        seen.append(line)
        if line.startswith("demo/closing") or time.monotonic() > deadline:
            break
    assert processes_in(temporary), "".join(seen)
    assert_pages_exist("".join(seen))
    process.send_signal(number)
    rest, _ = process.communicate(timeout=30)
    assert process.returncode == 0, "".join(seen) + rest
    assert_nothing_remains(temporary)


def test_a_connection_string_is_watched_instead(lab, trust, temporary):
    server = lab.postgres()
    process = start(temporary, "--once", f"postgresql://u_trust@localhost:{server.port}/app?"
                    f"hostaddr=127.0.0.1&sslmode=verify-full&sslrootcert={trust.root_file}")
    text, _ = process.communicate(timeout=400)
    assert process.returncode == 0, text
    assert re.search(r"ok .*TLSv1\.3", rows(text)["default/default"])
    assert_nothing_remains(temporary)


def test_a_configuration_file_is_watched_instead(lab, trust, temporary, scratch):
    path = scratch / "mine.yml"
    path.write_text(json.dumps({"defaults": {"interval": "1s"}, "clusters": [{"name": "mine", "endpoints": {
        "write": endpoint_of(lab.postgres(), sslrootcert=str(trust.root_file))}}]}))
    process = start(temporary, "--once", str(path))
    text, _ = process.communicate(timeout=400)
    assert process.returncode == 0, text
    assert "ok" in rows(text)["mine/write"]
    assert_nothing_remains(temporary)


@pytest.mark.parametrize("arguments, status, words", [
    (["--help"], 0, "Usage"), (["--nonsense"], 2, "unknown option"), (["a=b", "c=d"], 2, "not both"),
    (["nosuch.yml"], 2, "nosuch.yml is neither a file nor a connection string\nUsage")])
def test_its_own_arguments(arguments, status, words):
    result = subprocess.run(["bash", SCRIPT, *arguments], capture_output=True, text=True, timeout=20, check=False)
    assert result.returncode == status and words in result.stdout + result.stderr
