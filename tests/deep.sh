#!/usr/bin/env bash
# What takes too long for tests/run.sh, one part after the other; `tests/deep.sh PART…` runs only these:
#
#   tidy      clang-tidy with clang's analyzer: no finding (tests/lint/analyze.py)
#   tsan      unit and integration tests with the thread sanitizer
#   coverage  lines and branches that unit and integration tests reach (tests/coverage.py)
#
# Packages, PostgreSQL 17 and 18: as tests/run.sh leaves them. The exit status is not 0 if a part failed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

build() {
  cmake --preset "$1"
  cmake --build --preset "$1"
}

part_tidy() {
  cmake --preset dev -DPGTLS_TIDY=ON
  cmake --build --preset dev
  ctest --test-dir build/dev -R '^analysis\.tidy_' -j "$(nproc)" --output-on-failure --no-tests=error
}

part_tsan() {
  build tsan
  ctest --test-dir build/tsan -L 'unit|integration' -j "$(nproc)" --output-on-failure --no-tests=error
}

part_coverage() {
  tests/coverage.py unit integration
}

main() {
  local part failed=()
  [[ $# -gt 0 ]] || set -- tidy tsan coverage
  for part in "$@"; do
    if ! declare -F "part_$part" >/dev/null; then
      echo "There is no part $part: tidy, tsan, coverage." >&2
      exit 2
    fi
    printf '\n==> %s\n' "$part"
    "$BASH" "$0" --one "$part" || failed+=("$part")
  done
  [[ ${#failed[@]} -eq 0 ]] || { echo "Failed: ${failed[*]}" >&2; exit 1; }
}

# A process of its own, because bash forgets -e inside of a condition.
if [[ ${1:-} == --one ]]; then "part_$2"; else main "$@"; fi
