# shellcheck shell=bash
# Debian packages, installed only when missing; sourced by packaging/quickstart.sh and tests/run.sh.

_packages_here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"

# packages_for PURPOSE…: the names in packages.txt with one of these purposes.
packages_for() {
  local line purpose
  while read -r -a line; do
    [[ ${#line[@]} -gt 1 && ${line[0]} != '#'* ]] || continue
    for purpose in "$@"; do
      if [[ " ${line[*]:1} " == *" $purpose "* ]]; then
        echo "${line[0]}"
        break
      fi
    done
  done <"$_packages_here/packages.txt"
}

_missing_packages() {
  local package
  for package in "$@"; do
    [[ $(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null) == installed ]] || echo "$package"
  done
}

_as_root() {
  if [[ $(id -u) -eq 0 ]]; then "$@"; else sudo "$@"; fi
}

# Packages of servers start them when they are installed, and again at every boot. Nobody asked for
# that: starting is forbidden while they are installed, and what was new stays disabled.
_install_quietly() {
  local policy=/usr/sbin/policy-rc.d ours=0 status=0 package unit
  if [[ ! -e $policy ]]; then
    printf '#!/bin/sh\nexit 101\n' | _as_root tee "$policy" >/dev/null
    _as_root chmod 755 "$policy"
    ours=1
  fi
  _as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@" || status=$?
  if [[ $ours -eq 1 ]]; then _as_root rm -f "$policy"; fi
  if [[ -d /run/systemd/system ]]; then
    for package in "$@"; do
      case $package in
        postgresql-*) unit=postgresql ;;
        prometheus | prometheus-alertmanager | pgbouncer | haproxy) unit=$package ;;
        *) continue ;;
      esac
      _as_root systemctl disable --quiet --now "$unit" || true
    done
  fi
  return "$status"
}

# packages_install NAME…: nothing when all are there; apt on Debian; elsewhere says what is needed.
packages_install() {
  local missing
  if [[ ! -e /etc/debian_version ]] || ! command -v apt-get dpkg-query >/dev/null; then
    echo "This is not a Debian system. Please install what these Debian packages contain, then build" >&2
    echo "with cmake --preset release:" >&2
    printf '  %s\n' "$@" >&2
    return 1
  fi
  mapfile -t missing < <(_missing_packages "$@")
  [[ ${#missing[@]} -gt 0 ]] || return 0
  if [[ $(id -u) -ne 0 ]] && ! command -v sudo >/dev/null; then
    echo "These packages are missing, and there is no sudo to install them with:" >&2
    printf '  %s\n' "${missing[@]}" >&2
    return 1
  fi
  echo "==> Installing ${missing[*]}"
  _as_root apt-get update -q && _install_quietly "${missing[@]}"
}
