"""The service as systemd runs it: the package installed on a machine whose process 1 is systemd, beside a PostgreSQL
of its own. Everything the pages promise of the units is tried there, in the order in which a machine lives."""

import contextlib
import crypt
import json
import re
import resource
import ssl
import threading
import time

import pytest

from lab import machine as lab_machine
from lab.exporter import BINARY, QUICK, basic
from lab.exposition import Metrics
from lab.process import wait_for
from lab.service import JSON, Service

UNIT = "pgtls_exporter.service"
SOCKET = "pgtls_exporter.socket"
CREDENTIALS = f"/run/credentials/{UNIT}"
CONFIGURATION = "/etc/pgtls_exporter/pgtls.yml"
DEFAULTS = "/etc/default/pgtls_exporter"
DROPIN = f"/etc/systemd/system/{UNIT}.d"
NAME = "prometheus-pgtls-exporter"
PASSWORD = "of the machine's monitor 7c51"
PRIORITIES = {"DEBUG": "7", "INFO": "6", "WARN": "4", "ERROR": "3"}
SEEN = "systemd 252 (252"  # docs/install.md names it
ODD_TIMEOUT = "is longer than the interval"  # of QUICK, on purpose


# --- the machine and what is installed on it ------------------------------------------------------

@pytest.fixture(scope="session")
def packages(scratch):
    """The package of the program that this tree has built, and a later release of it."""
    tree, made, content = BINARY.parent, scratch / "packages", scratch / "packages" / "content"
    lab_machine.run("cpack", "--config", tree / "CPackConfig.cmake", "-G", "DEB", "-B", made, cwd=tree, timeout=120)
    (first,) = made.glob("*-1_*.deb")
    lab_machine.run("dpkg-deb", "-R", first, content)
    control = content / "DEBIAN" / "control"
    control.write_text(re.sub(r"(?m)^(Version: .*)-1$", r"\1-2", control.read_text()))
    second = made / first.name.replace("-1_", "-2_")
    lab_machine.run("dpkg-deb", "-Znone", "-b", content, second)
    return first, second


@pytest.fixture(scope="session")
def rpms(scratch):
    """The same, two releases of it, for the distributions of the other kind."""
    found = []
    for release in ("1", "2"):
        made = scratch / f"rpm-{release}"
        lab_machine.run("cpack", "--config", BINARY.parent / "CPackConfig.cmake", "-G", "RPM", "-B", made, "-D",
                        f"CPACK_RPM_PACKAGE_RELEASE={release}", cwd=BINARY.parent, timeout=120)
        found += made.glob(f"*-{release}.*.rpm")
    return found


@pytest.fixture(scope="session")
def machine(packages, scratch):
    depends = lab_machine.run("dpkg-deb", "-f", packages[0], "Depends")
    base = lab_machine.debian_with(["rpm", *re.findall(r"(?:^|, )([\w.+-]+)", depends)])
    with lab_machine.Machine(base, scratch / "machine") as one:
        yield one


@pytest.fixture(scope="session")
def installed(machine, packages):
    install(machine, packages[0])
    return machine


def install(machine, package):
    machine.write(f"/root/{package.name}", package.read_bytes())
    return machine.run("apt-get", "install", "-y", "--no-install-recommends", f"/root/{package.name}")


def show(machine, *names, unit=UNIT):
    """What systemd knows of the unit."""
    text = machine.run("systemctl", "show", unit, *(f"--property={name}" for name in names))
    return dict(line.split("=", 1) for line in text.splitlines())


def main_pid(machine):
    return int(show(machine, "MainPID")["MainPID"])


def status_of(machine):
    return show(machine, "StatusText")["StatusText"]


def scrape(machine, **more):
    status, body = machine.http(**more)
    assert status == 200, body
    return Metrics(body)


def until(machine, condition, seconds=30, **more):
    """The first scrape for which condition(metrics) holds."""
    def ask():
        with contextlib.suppress(OSError):
            metrics = scrape(machine, **more)
            return metrics if condition(metrics) else None
    return wait_for(ask, seconds, lambda: machine.journal_text("-u", UNIT, "-n", "60"))


def journal(machine, *arguments):
    """The exporter's own lines, as journald keeps them."""
    text = machine.run("journalctl", "-b", "-o", "json", f"_SYSTEMD_UNIT={UNIT}", "_COMM=pgtls_exporter", *arguments)
    return [json.loads(line) for line in text.splitlines()]


def exposure(machine):
    """What `systemd-analyze security` says of the unit as it is loaded."""
    judged = machine.run("systemd-analyze", "security", "--no-pager", UNIT)
    return re.search(rf"Overall exposure level for {UNIT}: ([\d.]+ \w+)", judged)[1]


def processes(machine):
    """The exporter's, as that machine counts them."""
    found = []
    for comm in machine.path("/proc").glob("[0-9]*/comm"):
        with contextlib.suppress(OSError):
            found += [comm.parent.name] if comm.read_text() == "pgtls_exporter\n" else []
    return found


# --- what it watches there ------------------------------------------------------------------------

@pytest.fixture(scope="session")
def postgres(machine, trust):
    """Debian's own, as a service beside ours."""
    home = "/etc/postgresql/15/main"
    server = trust.root.issue()
    for name, content, mode in (("server.crt", server.chain_pem, 0o644), ("server.key", server.key_pem, 0o600),
                                ("clients.crt", trust.root.certificate_pem, 0o644)):
        machine.write(f"{home}/{name}", content, mode, owner="postgres:postgres")
    machine.write(f"{home}/conf.d/tls.conf", "".join(
        f"{key} = '{value}'\n" for key, value in {
            "ssl": "on", "ssl_cert_file": f"{home}/server.crt", "ssl_key_file": f"{home}/server.key",
            "ssl_ca_file": f"{home}/clients.crt", "fsync": "off", "listen_addresses": "127.0.0.1"}.items()))
    machine.write(f"{home}/pg_hba.conf", "local all postgres peer\n"
                  "hostssl all monitor 127.0.0.1/32 scram-sha-256\nhostssl all u_cert 127.0.0.1/32 cert\n",
                  0o640, owner="postgres:postgres")
    machine.run("systemctl", "start", "postgresql@15-main.service")
    quoted = PASSWORD.replace("'", "''")
    machine.run("runuser", "-u", "postgres", "--", "psql", "-qc",
                f"create role monitor login password '{quoted}'; create role u_cert login")


@pytest.fixture(scope="session")
def inventory(machine):
    """A service of targets; its address."""
    def answer(handler):
        known = handler.headers["Authorization"] == "Bearer of the inventory"
        return (200 if known else 401), JSON, json.dumps(
            [{"targets": ["localhost:5432"], "labels": {"pg_cluster": "by-http"}}]).encode()

    with machine.network():
        service = Service(answer)
    with service:
        yield f"{service.address}/targets"


def configuration(inventory, **clusters):
    """A password and a client's key as credentials, endpoints out of files, a list and a service."""
    by_password = {"user": "monitor", "password_file": f"{CREDENTIALS}/orders.password"}
    return json.dumps({
        "defaults": {**QUICK, "interval": "1s", "dbname": "postgres", "sslrootcert": "/etc/pgtls_exporter/root.crt"},
        "templates": {"found": by_password},
        "clusters": [
            {"name": "orders", "endpoints": {
                "write": {"host": "localhost", **by_password},
                "cert": {"host": "localhost", "user": "u_cert", "sslcert": "/etc/pgtls_exporter/client.crt",
                         "sslkey": f"{CREDENTIALS}/client.key"}}},
            *({"name": name, "endpoints": one} for name, one in clusters.items())],
        "discovery": [
            {"file_sd": {"files": ["/etc/pgtls_exporter/targets/*.json"]}, "template": "found"},
            {"http_sd": {"url": inventory, "refresh_interval": "1s", "bearer_file": f"{CREDENTIALS}/bearer"},
             "template": "found"}]}, indent=1)


def put_secrets(machine, trust):
    """What root alone reads, one of it encrypted, and the drop-in by which systemd hands it over."""
    web = trust.root.issue()
    secrets = {"orders.password": PASSWORD, "client.key": trust.client.key_pem, "web.key": web.key_pem,
               "bearer": "of the inventory"}
    for name, content in secrets.items():
        machine.write(f"/etc/pgtls_exporter/secrets/{name}", content, 0o600)
    machine.path("/etc/pgtls_exporter/secrets").chmod(0o700)
    machine.run("systemd-creds", "encrypt", "--with-key=host", "--name=bearer", "/etc/pgtls_exporter/secrets/bearer",
                "/etc/pgtls_exporter/secrets/bearer.encrypted")
    machine.path("/etc/pgtls_exporter/secrets/bearer").unlink()
    machine.write(f"{DROPIN}/credentials.conf", "[Service]\nIPAddressDeny=any\nIPAddressAllow=localhost\n" + "".join(
        f"LoadCredential={name}:/etc/pgtls_exporter/secrets/{name}\n" for name in secrets if name != "bearer")
        + "LoadCredentialEncrypted=bearer:/etc/pgtls_exporter/secrets/bearer.encrypted\n")
    for name, content in (("root.crt", trust.root.certificate_pem), ("client.crt", trust.client.chain_pem),
                          ("web.crt", web.chain_pem)):
        machine.write(f"/etc/pgtls_exporter/{name}", content)
    machine.write("/etc/pgtls_exporter/targets/one.json", json.dumps(
        [{"targets": ["localhost:5432"], "labels": {"pg_cluster": "by-file"}}]))


def all_up(metrics):
    """Every endpoint, the discovered ones, too, by inspect and by login."""
    return (metrics.sum("pgtls_up") == len(metrics.all("pgtls_up")) == 4
            and len([1 for _, value in metrics.all("pgtls_probes_total", probe="login") if value > 0]) == 4)


@pytest.fixture(scope="session")
def configured(installed, postgres, trust, inventory):
    put_secrets(installed, trust)
    installed.write(CONFIGURATION, configuration(inventory))
    installed.run("systemctl", "daemon-reload")
    return installed


def use(machine, arguments, socket):
    """The service running with these arguments, and with systemd's socket or without."""
    is_there = machine.tries("systemctl", "is-active", SOCKET).returncode == 0
    if machine.path(DEFAULTS).read_text() != f"ARGS={arguments}\n" or is_there != socket:
        machine.run("systemctl", "stop", UNIT)
        machine.run("systemctl", "enable" if socket else "disable", "--now", SOCKET)
        machine.write(DEFAULTS, f"ARGS={arguments}\n")
    machine.run("systemctl", "enable", "--now", UNIT)
    return machine


@pytest.fixture
def service(configured):
    return use(configured, "", False)


@pytest.fixture
def activated(configured):
    """By systemd's socket, as the page tells to."""
    return use(configured, "--web.systemd-socket", True)


# --- its life -------------------------------------------------------------------------------------

def test_this_is_the_systemd_that_the_page_names(machine):
    assert machine.run("systemctl", "--version").startswith(SEEN)
    assert machine.path("/proc/1/comm").read_text() == "systemd\n"


def test_installed_it_waits_for_its_configuration(installed):
    machine = installed
    assert machine.run("systemctl", "is-enabled", UNIT) == "enabled\n"
    assert machine.tries("systemctl", "is-enabled", SOCKET).stdout == "disabled\n"
    assert show(machine, "ActiveState", "ConditionResult") == {"ActiveState": "inactive", "ConditionResult": "no"}
    assert machine.run("systemctl", "start", UNIT, SOCKET) == ""
    assert show(machine, "ActiveState", "ConditionResult", unit=SOCKET) == {"ActiveState": "inactive",
                                                                            "ConditionResult": "no"}
    assert machine.run("systemctl", "is-system-running") == "running\n", "nothing has failed"
    assert exposure(machine) == "1.1 OK"


def test_what_is_wrong_never_becomes_active(installed):
    """A configuration may become right by itself and is tried again, wrong usage is not."""
    machine = installed
    for text, arguments, status, state in (("clusters: [{name: lab", "", "1", "activating"),
                                           ("clusters: []", "--no.such.flag", "2", "failed")):
        machine.write(CONFIGURATION, text)
        machine.write(DEFAULTS, f"ARGS={arguments}\n")
        assert machine.tries("systemctl", "start", UNIT).returncode == 1
        found = show(machine, "Result", "ExecMainStatus", "ActiveState")
        assert found == {"Result": "exit-code", "ExecMainStatus": status, "ActiveState": state}
        machine.run("systemctl", "stop", UNIT)
        machine.tries("systemctl", "reset-failed", UNIT)
    assert "Configuration not loaded" in machine.journal_text("-u", UNIT)


def test_it_is_active_once_it_serves(service):
    assert service.http("/-/ready")[0] == 200
    found = show(service, "ActiveState", "SubState", "Type", "NRestarts", "WatchdogUSec")
    assert found == {"ActiveState": "active", "SubState": "running", "Type": "notify", "NRestarts": "0",
                     "WatchdogUSec": "1min"}
    assert re.fullmatch(r"Watching \d servers? of \d endpoints?", status_of(service))


def test_everything_works_in_its_sandbox(service):
    """Inspect and login by password and by client certificate, endpoints out of a list and of a service."""
    metrics = until(service, all_up)
    wait_for(lambda: status_of(service) == "Watching 4 servers of 4 endpoints", 10, lambda: status_of(service))
    for part in ("capabilities", "no_new_privs", "landlock", "seccomp"):
        assert metrics.value("pgtls_sandbox_active", part=part) == 1
    assert metrics.value("pgtls_sandbox_refused_calls_total") == 0
    said = [line["MESSAGE"] for line in journal(service, f"_PID={main_pid(service)}")]
    assert not [line for line in said if ("level=ERROR" in line or "level=WARN" in line) and ODD_TIMEOUT not in line]
    assert not [line for line in said if "ermitted" in line or "swap" in line]


def test_it_has_no_more_rights_than_the_unit_says(service):
    process = service.path(f"/proc/{main_pid(service)}")
    status = dict(line.split(":\t", 1) for line in (process / "status").read_text().splitlines())
    assert {status[name] for name in ("CapEff", "CapPrm", "CapBnd", "CapAmb")} == {"0" * 16}
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    user = int(status["Uid"].split()[0])
    assert 61184 <= user <= 65519, "a dynamic user"
    assert [line.split() for line in (process / "uid_map").read_text().splitlines()] == [
        ["0", "0", "1"], [str(user), str(user), "1"]], "other users have no numbers here"
    limits = (process / "limits").read_text()
    possible = min(65536, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    assert re.search(r"Max core file size +0 +0 ", limits)
    assert re.search(rf"Max open files +({possible} +{possible}|65536 +65536) ", limits), limits
    assert show(service, "LimitNOFILE", "MemorySwapMax") == {"LimitNOFILE": "65536", "MemorySwapMax": "0"}
    swap = service.path(f"/sys/fs/cgroup{show(service, 'ControlGroup')['ControlGroup']}/memory.swap.max")
    assert not swap.exists() or swap.read_text() == "0\n"  # where this kernel's second version has that controller
    maps = (process / "maps").read_text()
    assert not re.search(r" rwx[ps] ", maps)
    assert exposure(service) == "0.9 SAFE", "with IPAddressAllow="


def test_credentials_are_nobody_elses(service):
    for name in ("orders.password", "client.key", "bearer"):
        for user in ("nobody", "postgres"):
            tried = service.tries("runuser", "-u", user, "--", "cat", f"{CREDENTIALS}/{name}")
            assert tried.returncode != 0 and "Permission denied" in tried.stderr
    process = service.path(f"/proc/{main_pid(service)}")
    for place in ("environ", "cmdline"):
        assert PASSWORD.encode() not in (process / place).read_bytes()
    assert PASSWORD not in service.run("systemctl", "show", UNIT) + service.run("systemctl", "status", UNIT)


def test_a_reload_applies_or_leaves_what_was(service, inventory):
    before = main_pid(service)
    until(service, all_up)
    service.write(CONFIGURATION, configuration(inventory, more={"write": {"host": "localhost"}}))
    service.run("systemctl", "reload", UNIT)
    wait_for(lambda: status_of(service) == "Watching 5 servers of 5 endpoints", 10, lambda: status_of(service))

    service.write(CONFIGURATION, "clusters: [{name: lab")
    service.run("systemctl", "reload", UNIT)
    wait_for(lambda: "a file has errors" in status_of(service), 10, lambda: status_of(service))
    assert show(service, "ActiveState", "MainPID") == {"ActiveState": "active", "MainPID": str(before)}
    assert scrape(service).value("pgtls_config_last_reload_successful") == 0
    until(service, lambda m: len(m.all("pgtls_up")) == 5)

    service.write(CONFIGURATION, configuration(inventory))
    service.run("systemctl", "reload", UNIT)
    wait_for(lambda: status_of(service) == "Watching 4 servers of 4 endpoints", 10, lambda: status_of(service))


def test_the_journal_knows_how_grave_a_line_is(service, inventory):
    """Also when journald itself was restarted: systemd keeps its ends of the streams meanwhile."""
    service.run("systemctl", "restart", "systemd-journald.service")
    before = len(journal(service))
    service.write(CONFIGURATION, "clusters: [{name: lab")
    service.run("systemctl", "reload", UNIT)
    wait_for(lambda: "3" in {line["PRIORITY"] for line in journal(service)[before:]}, 10, service.journal_text)
    service.write(CONFIGURATION, configuration(inventory))
    service.run("systemctl", "reload", UNIT)
    for line in journal(service, f"_PID={main_pid(service)}"):
        level = re.match(r"time=\S+ level=(\w+) ", line["MESSAGE"])[1]
        assert line["PRIORITY"] == PRIORITIES[level], line
        assert line["SYSLOG_IDENTIFIER"] == "pgtls_exporter"
    grave = service.run("journalctl", "-b", "-p", "err", "-u", UNIT)
    assert "level=ERROR" in grave and "level=INFO" not in grave


def test_the_watchdog_ends_what_stands_still(service):
    """WatchdogSec= is a minute; here it is three seconds."""
    service.write(f"/run/systemd/system/{UNIT}.d/quick.conf", "[Service]\nWatchdogSec=3s\nRestartSec=100ms\n")
    service.run("systemctl", "daemon-reload")
    service.run("systemctl", "restart", UNIT)
    began = until(service, all_up).value("process_start_time_seconds")
    before = main_pid(service)
    time.sleep(5)
    assert main_pid(service) == before, "it says often enough that it is well"
    service.run("sh", "-c", f"kill -STOP {before}")
    wait_for(lambda: show(service, "NRestarts", "ActiveState") == {"NRestarts": "1", "ActiveState": "active"}, 20,
             lambda: service.journal_text("-u", UNIT, "-n", "40"))
    metrics = until(service, all_up)
    assert main_pid(service) != before and metrics.value("process_start_time_seconds") > began
    said = service.journal_text("-u", UNIT)
    assert "Watchdog timeout (limit 3s)" in said
    assert "code=killed, status=6/ABRT" in said and "core-dump" not in said
    service.path(f"/run/systemd/system/{UNIT}.d/quick.conf").unlink()
    service.run("systemctl", "daemon-reload")
    service.run("systemctl", "restart", UNIT)


def test_tls_and_a_unix_socket(service, trust):
    """The web configuration's key is a credential, too."""
    service.write("/etc/pgtls_exporter/web.yml", json.dumps({
        "tls_server_config": {"cert_file": "/etc/pgtls_exporter/web.crt", "key_file": f"{CREDENTIALS}/web.key"},
        "basic_auth_users": {"prometheus": crypt.crypt("scraping", "$2b$04$abcdefghijklmnopqrstuu")}}))
    use(service, "--web.config.file=/etc/pgtls_exporter/web.yml --web.listen-address=127.0.0.1:10432 "
                 "--web.listen-address=unix:/run/pgtls_exporter/http.sock", False)
    assert service.path("/run/pgtls_exporter/http.sock").is_socket()
    context = ssl.create_default_context(cafile=trust.root_file)
    headers = {"Authorization": basic("prometheus", "scraping")}
    assert service.http(tls=context)[0] == 401
    metrics = until(service, all_up, tls=context, headers=headers)
    assert metrics.value("pgtls_sandbox_refused_calls_total") == 0


def test_it_ends_and_leaves_nothing(service):
    until(service, all_up)
    service.run("systemctl", "stop", UNIT)
    found = show(service, "Result", "ExecMainStatus", "ActiveExitTimestampMonotonic", "InactiveEnterTimestampMonotonic")
    took = int(found["InactiveEnterTimestampMonotonic"]) - int(found["ActiveExitTimestampMonotonic"])
    assert (found["Result"], found["ExecMainStatus"]) == ("success", "0")
    assert took < 5e6, f"{took / 1e6} s"
    for path in ("/run/pgtls_exporter", CREDENTIALS, "/run/private/pgtls_exporter"):
        assert not service.path(path).exists()
    assert not processes(service)
    assert not list(service.path("/tmp").glob("*pgtls*")) and not list(service.path("/var/tmp").glob("*pgtls*"))


# --- with the socket ------------------------------------------------------------------------------

@contextlib.contextmanager
def scraping(machine):
    """Asks again and again from several threads, with a new connection each time; what went wrong, and how often it
    went well."""
    over, troubles, good = threading.Event(), [], []

    def ask():
        while not over.is_set():
            try:
                status, _ = machine.http("/-/healthy")
                (good if status == 200 else troubles).append(status)
            except OSError as error:
                troubles.append(repr(error))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        yield troubles, good
    finally:
        over.set()
        for thread in threads:
            thread.join()


def test_the_first_connection_starts_it(activated):
    activated.run("systemctl", "stop", UNIT)
    assert show(activated, "ActiveState")["ActiveState"] == "inactive"
    assert activated.http("/-/ready", timeout=30)[0] == 200
    # It answers a moment before the manager has read that it is ready.
    wait_for(lambda: show(activated, "ActiveState")["ActiveState"] == "active", 10, "the service to be active")
    assert until(activated, all_up).value("pgtls_sandbox_refused_calls_total") == 0


def test_a_socket_that_is_not_asked_for(configured):
    """Without the flag the service wants the address for itself, which systemd has: it says what to do."""
    use(configured, "--web.systemd-socket", True)
    configured.run("systemctl", "stop", UNIT)
    configured.write(DEFAULTS, "ARGS=\n")
    assert configured.tries("systemctl", "start", UNIT).returncode == 1
    (line,) = {line["MESSAGE"] for line in journal(configured, "-p", "err", "-n", "1")}
    assert "Address already in use" in line and "--web.systemd-socket" in line


def test_a_restart_refuses_nobody(activated):
    with scraping(activated) as (troubles, good):
        for _ in range(3):
            before = len(good)
            activated.run("systemctl", "restart", UNIT)
            wait_for(lambda: len(good) > before + 8, 20, lambda: troubles)
    assert troubles == []


def test_an_upgrade_restarts_it_and_keeps_what_was_changed(activated, packages):
    before = main_pid(activated)
    activated.write("/etc/pgtls_exporter/pgtls.yml.example", "# ours\n")
    with scraping(activated) as (troubles, good):
        install(activated, packages[1])
    assert troubles == [] and good
    assert activated.run("dpkg-query", "-W", "-f=${Version}", NAME).endswith("-2")
    assert main_pid(activated) not in (0, before)
    assert activated.path(DEFAULTS).read_text() == "ARGS=--web.systemd-socket\n"
    assert activated.path("/etc/pgtls_exporter/pgtls.yml.example").read_text() == "# ours\n"
    until(activated, all_up)


def test_it_is_there_after_a_boot(activated):
    activated.run("systemctl", "stop", UNIT)
    activated.stop()
    activated.boot()
    assert activated.run("systemctl", "is-system-running") == "running\n"
    assert show(activated, "ActiveState", "NRestarts") == {"ActiveState": "active", "NRestarts": "0"}
    assert show(activated, "ActiveState", unit=SOCKET) == {"ActiveState": "active"}
    assert activated.http("/-/ready")[0] == 200


def test_removed_it_ends_and_purged_it_leaves_nothing(machine):
    machine.run("systemctl", "start", UNIT)
    machine.run("apt-get", "remove", "-y", NAME)
    assert not processes(machine)
    for unit in (UNIT, SOCKET):
        assert show(machine, "LoadState", "ActiveState", unit=unit) == {"LoadState": "not-found",
                                                                        "ActiveState": "inactive"}
    assert machine.path(CONFIGURATION).exists() and machine.path(DEFAULTS).exists()

    machine.run("rm", "-r", DROPIN)  # the administrator's
    machine.run("apt-get", "purge", "-y", NAME)
    assert not machine.path(CONFIGURATION).exists() and not machine.path(DEFAULTS).exists()
    assert machine.path("/etc/pgtls_exporter/secrets/orders.password").exists(), "the administrator's, too"
    left = machine.run("find", "/", "-xdev", "-name", "*pgtls*", "-not", "-path", "/root/*").split()
    assert [path for path in left if not path.startswith(("/var/log/", "/proc/"))] == ["/etc/pgtls_exporter"]
    assert "pgtls" not in machine.run("systemctl", "list-units", "--all", "--plain", "--no-legend")
    assert machine.run("systemctl", "is-system-running") == "running\n"


# --- by rpm ---------------------------------------------------------------------------------------

def rpm(machine, *arguments):
    """Debian's own program for it, which knows nothing of what Debian's packages hold: --nodeps."""
    return machine.run("rpm", *arguments)


def test_scripts_of_the_rpm(machine, rpms):
    """Enabled as the system presets it, restarted by an upgrade, ended by a removal, which keeps what is not its own."""
    for package in rpms:
        machine.write(f"/root/{package.name}", package.read_bytes())
    rpm(machine, "-i", "--nodeps", f"/root/{rpms[0].name}")
    assert machine.run("systemctl", "is-enabled", UNIT) == "enabled\n"
    assert show(machine, "ActiveState")["ActiveState"] == "inactive"
    machine.write(CONFIGURATION, "clusters: [{name: nobody, host: 127.0.0.1, port: 1}]")
    machine.run("systemctl", "start", UNIT)
    before = main_pid(machine)
    assert before != 0 and exposure(machine) == "1.1 OK"
    machine.write(DEFAULTS, "ARGS=--log.level=debug\n")
    rpm(machine, "-U", "--nodeps", f"/root/{rpms[1].name}")
    assert rpm(machine, "-q", NAME).endswith("-2.x86_64\n")
    assert show(machine, "ActiveState")["ActiveState"] == "active" and main_pid(machine) not in (0, before)
    assert machine.path(DEFAULTS).read_text() == "ARGS=--log.level=debug\n"
    rpm(machine, "-e", NAME)
    assert not processes(machine)
    for unit in (UNIT, SOCKET):
        assert show(machine, "LoadState", "ActiveState", unit=unit) == {"LoadState": "not-found",
                                                                        "ActiveState": "inactive"}
    left = machine.run("find", "/usr", "/etc/systemd", "-xdev", "-name", "*pgtls*").split()
    assert machine.path(CONFIGURATION).exists() and left == []
    assert machine.run("systemctl", "is-system-running") == "running\n"
