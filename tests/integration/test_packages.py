"""The packages: built twice elsewhere to the same bytes, without a fault that lintian or rpmlint finds,
installed on a Debian that holds nothing but what they depend on, configured, run, purged."""

import gzip
import os
import re
import subprocess
from pathlib import Path

import pytest

from lab import process
from lab.exporter import Exporter, one_cluster
from lab.servers import ROOT

NAME = "prometheus-pgtls-exporter"
EPOCH = "1767225600"
NOBODY = one_cluster({"write": {"host": "127.0.0.1", "port": 1}})
# Who signs it is not ours to say.
KNOWN_TO_RPMLINT = {"no-signature"}


def run(*argv, **more):
    done = subprocess.run([str(word) for word in argv], text=True, capture_output=True, check=False, **more)
    assert done.returncode == 0, f"{argv}: {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-4000:]}"
    return done.stdout


def copy_tree(to):
    """What git knows and what is new, with git's own directory: the version is read from there."""
    to.mkdir(parents=True)
    names = run("git", "-C", ROOT, "ls-files", "-co", "--exclude-standard", "-z")
    kept = "\0".join(name for name in names.split("\0") if name and (ROOT / name).exists())
    run("xargs", "-0", "cp", "--parents", "-t", to, input=kept, cwd=ROOT)
    run("cp", "-r", ROOT / ".git", to / ".git")


def build(tree, host="here", **more):
    """Both packages, by the commands of the documentation. No cache of compilers: it remembers paths."""
    environment = {**os.environ, "SOURCE_DATE_EPOCH": EPOCH, "CCACHE_DISABLE": "1", **more}
    for command in (["cmake", "--preset", "release"], ["cmake", "--build", "--preset", "release", "-j2"],
                    ["cpack", "--preset", "release"]):
        run("unshare", "--uts", "sh", "-c", 'hostname "$0" && exec "$@"', host, *command, cwd=tree, env=environment,
            umask=0o022, timeout=500)
    (deb,) = (tree / "build" / "release").glob("*.deb")
    (rpm,) = (tree / "build" / "release").glob("*.rpm")
    return deb, rpm


@pytest.fixture(scope="session")
def packages(scratch):
    tree = scratch / "packages" / "here"
    copy_tree(tree)
    return build(tree)


@pytest.fixture(scope="session")
def unpacked(packages, scratch):
    run("dpkg-deb", "-x", packages[0], scratch / "unpacked")
    return scratch / "unpacked"


def test_built_elsewhere_they_are_the_same(packages, scratch):
    """In another directory, later, on a machine of another name, in another place of the world."""
    tree = scratch / "packages" / "some" / "where" / "else"
    copy_tree(tree)
    again = build(tree, "there", TZ="Asia/Kathmandu", LC_ALL="C", LANG="C", HOME=str(scratch), USER="somebody")
    for first, second in zip(packages, again):
        assert first.name == second.name
        assert first.read_bytes() == second.read_bytes(), f"{first.name} differs"


def test_an_umask_shuts_nobody_out(packages, scratch):
    """Of whoever builds them: the service's user has to get to its configuration."""
    made = scratch / "packages" / "shut"
    run("cpack", "--config", packages[0].parent / "CPackConfig.cmake", "-B", made, umask=0o077, timeout=200,
        env={**os.environ, "SOURCE_DATE_EPOCH": EPOCH})
    for first, list_it in zip(packages, (("dpkg-deb", "-c"), ("rpm", "-qp", "--dump"))):
        assert run(*list_it, made / first.name) == run(*list_it, first)


def test_lintian_has_nothing_to_say(packages):
    said = subprocess.run(["lintian", "--pedantic", "--allow-root", "--fail-on", "error,warning,pedantic", packages[0]],
                          text=True, capture_output=True, check=False)
    assert (said.returncode, said.stdout) == (0, "")


def test_rpmlint_finds_no_error(packages):
    said = subprocess.run(["rpmlint", packages[1]], text=True, capture_output=True, check=False).stdout
    found = set(re.findall(r": E: ([\w-]+)", said))
    assert "0 specfiles checked" in said
    assert found <= KNOWN_TO_RPMLINT, said


def test_both_hold_the_same(packages, unpacked):
    def files(listing):
        return {line for line in listing.split("\n") if line and "/.build-id" not in line}
    rpm = files(run("rpm", "-qlp", packages[1]))
    deb = {"/" + str(path.relative_to(unpacked)) for path in unpacked.rglob("*") if not path.is_dir()}
    assert deb <= rpm
    assert all((unpacked / name[1:]).is_dir() for name in rpm - deb)
    for name in ("bin/pgtls_exporter", "lib/systemd/system/pgtls_exporter.service",
                 "lib/systemd/system/pgtls_exporter.socket", "share/man/man8/pgtls_exporter.8.gz",
                 "share/man/man5/pgtls_exporter.yml.5.gz", "share/bash-completion/completions/pgtls_exporter",
                 "share/zsh/vendor-completions/_pgtls_exporter", "share/fish/vendor_completions.d/pgtls_exporter.fish",
                 "share/pgtls_exporter/alerts/pgtls.rules.yml", "share/pgtls_exporter/dashboards/overview.json",
                 f"share/doc/{NAME}/docs/install.md", f"share/doc/{NAME}/copyright"):
        assert f"/usr/{name}" in deb
    settings = set(run("rpm", "-qp", "--configfiles", packages[1]).split())
    assert settings == {"/etc/default/pgtls_exporter", "/etc/pgtls_exporter/pgtls.yml.example"}
    assert set(run("dpkg-deb", "-I", packages[0], "conffiles").split()) == settings


def test_the_unit_names_what_is_installed(unpacked):
    unit = (unpacked / "usr/lib/systemd/system/pgtls_exporter.service").read_text()
    assert "ExecStart=/usr/bin/pgtls_exporter --config.file=/etc/pgtls_exporter/pgtls.yml $ARGS\n" in unit
    assert "@" not in re.sub(r"@(system-service|privileged|resources)", "", unit)


@pytest.mark.parametrize("page", ["man8/pgtls_exporter.8", "man5/pgtls_exporter.yml.5"])
def test_manual_pages_are_well_formed(unpacked, tmp_path, page):
    text = tmp_path / Path(page).name
    text.write_bytes(gzip.decompress((unpacked / "usr/share/man" / f"{page}.gz").read_bytes()))
    assert run("mandoc", "-T", "lint", "-W", "warning", text) == ""
    assert subprocess.run(["man", "--warnings", "-l", "-Tutf8", text], text=True, capture_output=True, check=True,
                          env={**process.clean_environment(), "LC_ALL": "C.UTF-8"}).stderr == ""


@pytest.fixture(scope="session")
def clean_root(packages, scratch):
    """A Debian of the packages that ours depends on, and what dpkg runs its scripts with."""
    depends = re.findall(r"(?:^|, )([\w.+-]+)", run("dpkg-deb", "-f", packages[0], "Depends"))
    root = scratch / "root"
    run("mmdebstrap", "--quiet", "--variant=extract", "--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr",
        "--include=" + ",".join(["base-files", "coreutils", "dash", "dpkg", "perl-base", *depends]),
        "bookworm", root, timeout=300)
    return root


def files_of(root):
    """Directories, too."""
    return {str(path.relative_to(root)) for path in root.rglob("*")
            if "/lib/dpkg/" not in str(path) and "/log/" not in str(path)}


def dpkg(root, *arguments):
    """What a dependency needs is there, though nothing has told dpkg so."""
    return run("dpkg", f"--root={root}", "--force-depends", "--force-unsafe-io", *arguments)


def test_it_is_installed_configured_run_and_purged(packages, clean_root, scratch):
    before = files_of(clean_root)
    dpkg(clean_root, "-i", packages[0])
    enabled = clean_root / "etc/systemd/system/multi-user.target.wants/pgtls_exporter.service"
    assert enabled.is_symlink()
    assert not (clean_root / "etc/pgtls_exporter/pgtls.yml").exists(), "it starts when there is one, and not before"

    program = scratch / "installed"
    program.write_text(f'#!/bin/sh\nexec chroot --userspec=65534:65534 {clean_root} /usr/bin/pgtls_exporter "$@"\n')
    program.chmod(0o755)
    example = "/etc/pgtls_exporter/pgtls.yml.example"
    run(program, "--config.check", f"--config.file={example}")

    configuration = clean_root / "etc/pgtls_exporter/pgtls.yml"
    configuration.write_text(str(NOBODY).replace("'", '"'))
    with Exporter(scratch / "installed-run", binary=program,
                  arguments=["--config.file=/etc/pgtls_exporter/pgtls.yml"]) as daemon:
        assert daemon.scrape().value("pgtls_config_last_reload_successful") == 1
        assert daemon.stop() == 0

    dpkg(clean_root, "-i", packages[0])  # as an upgrade
    assert configuration.exists()
    dpkg(clean_root, "-r", NAME)
    assert configuration.exists()
    secret = clean_root / "etc/pgtls_exporter/orders.password"
    secret.write_text("kept")
    dpkg(clean_root, "-P", NAME)
    assert secret.read_text() == "kept"
    secret.unlink()
    assert files_of(clean_root) - before == {"etc/pgtls_exporter"}, "where it stood"

    dpkg(clean_root, "-i", packages[0])
    configuration.write_text("clusters: []")
    dpkg(clean_root, "-P", NAME)
    assert files_of(clean_root) - before == set()


def complete(text):
    """What bash offers behind this line."""
    words = re.findall(r"=|[^\s=]+", text) + ([""] if text.endswith((" ", "=")) else [])
    script = (f"source <({os.environ['PGTLS_DOCS']} bash)\ncompopt() {{ :; }}\n"
              "COMP_WORDS=(" + " ".join(f"'{word}'" for word in words) + f")\nCOMP_CWORD={len(words) - 1}\n"
              "_pgtls_exporter\nprintf '%s\\n' \"${COMPREPLY[@]}\"\n")
    return set(run("bash", "-c", script).split())


def test_bash_completes():
    assert complete("pgtls_exporter pro") == {"probe"}
    assert "--web.config.file=" in complete("pgtls_exporter --web.")
    assert complete("pgtls_exporter --log.level=") == {"debug", "info", "warn", "error"}
    assert complete("pgtls_exporter --log.format j") == {"json"}
    assert complete("pgtls_exporter probe --no") == {"--no-login"}
    assert complete("pgtls_exporter list --no") == set()
    assert f"{ROOT}/README.md" in complete(f"pgtls_exporter --config.file={ROOT}/READ")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_read_their_completion(shell, tmp_path):
    script = tmp_path / shell
    script.write_text(run(os.environ["PGTLS_DOCS"], shell))
    run(shell, "-n", script)
    for flag in re.findall(r"^  --([a-z.-]+)", run(os.environ["PGTLS_BINARY"], "--help"), re.M):
        assert flag in script.read_text()


def test_fish_completes(tmp_path):
    """Each offer is a line of its own, what it means behind a tab."""
    script = tmp_path / "completion.fish"
    script.write_text(run(os.environ["PGTLS_DOCS"], "fish"))
    offered = run("fish", "--no-config", "-c", f"source {script}; complete -C 'pgtls_exporter --log.level '",
                  env={**process.clean_environment(), "HOME": str(tmp_path)})
    assert {line.split("\t")[0] for line in offered.splitlines()} == {"debug", "info", "warn", "error"}
    offered = run("fish", "--no-config", "-c", f"source {script}; complete -C 'pgtls_exporter probe --no'",
                  env={**process.clean_environment(), "HOME": str(tmp_path)})
    assert offered.split()[0] == "--no-login"
