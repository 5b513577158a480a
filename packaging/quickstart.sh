#!/usr/bin/env bash
# Builds the exporter and shows it at work; see usage below. Everything it starts and writes (but the
# build in build/quickstart) is gone when it ends.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=packaging/packages.sh
source packaging/packages.sh

usage() {
  cat <<'END'
Usage: packaging/quickstart.sh [--once] [CONNECTION-STRING | CONFIG-FILE]

Without arguments: raises a small real fleet on loopback (PostgreSQL with TLS,
the same through PgBouncer, a certificate that expires in days, a pg_hba.conf
that refuses this client, a server that closes right after the TLS handshake),
watches it, and starts a Prometheus with the shipped alerts.

  CONNECTION-STRING  watch this instead: postgresql://… or "host=… user=…"
  CONFIG-FILE        watch what this configuration says (docs/configuration.md)
  --once             end after the first complete table instead of at Ctrl-C
  --help             this text

Works on Debian 12: missing packages are installed through apt, with sudo when
not root.
END
}

main() {
  local once=() subject="" purposes=(build quickstart) packages
  for argument in "$@"; do
    case $argument in
      -h | --help) usage; exit 0 ;;
      --once) once=(--once) ;;
      -*) echo "quickstart.sh: unknown option $argument" >&2; usage >&2; exit 2 ;;
      *)
        if [[ -n $subject ]]; then
          echo "quickstart.sh: one connection string or one file, not both" >&2
          exit 2
        fi
        subject=$argument
        ;;
    esac
  done
  if [[ -n $subject ]]; then
    purposes=(build prometheus)
    # The file is looked for from where the user is, not from here.
    if [[ $subject != /* && -f $OLDPWD/$subject ]]; then subject=$OLDPWD/$subject; fi
    if [[ ! -f $subject && $subject != *=* && $subject != *://* ]]; then
      echo "quickstart.sh: $subject is neither a file nor a connection string" >&2
      usage >&2
      exit 2
    fi
  fi

  echo "==> Checking packages"
  mapfile -t packages < <(packages_for "${purposes[@]}")
  packages_install "${packages[@]}"

  mkdir -p build
  echo "==> Building (build/quickstart)"
  # A compiler newer than ours may warn of something new: no reason to show nothing.
  if ! { cmake --preset release -B build/quickstart -DPGTLS_TESTS=OFF -DCMAKE_COMPILE_WARNING_AS_ERROR=OFF &&
    cmake --build build/quickstart --target pgtls_exporter; } >build/quickstart.log 2>&1; then
    tail -40 build/quickstart.log >&2
    echo "The build failed; the whole log is in build/quickstart.log" >&2
    exit 1
  fi

  # exec: Ctrl-C and SIGTERM reach the program that cleans up.
  exec env PGTLS_BINARY="$PWD/build/quickstart/pgtls_exporter" \
    /usr/bin/python3 -B packaging/quickstart.py "${once[@]}" ${subject:+-- "$subject"}
}

main "$@"
