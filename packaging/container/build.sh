#!/usr/bin/env bash
# Builds the container image from nothing but the program and the Debian libraries it needs: no registry, no base image.
#
#   packaging/container/build.sh [PROGRAM [DIRECTORY]]
#
# PROGRAM is build/release/pgtls_exporter unless given. DIRECTORY (build/container) receives pgtls_exporter.oci.tar,
# an archive that podman, docker, ctr and skopeo read, and what it holds: sbom.cdx.json and THIRD-PARTY.
# Needs Debian with buildah, as root or inside of `buildah unshare`.
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
program=$(realpath "${1:-$root/build/release/pgtls_exporter}")
target=$(realpath -m "${2:-$root/build/container}")
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git -C "$root" log -1 --format=%ct 2>/dev/null || echo 0)}
export SOURCE_DATE_EPOCH

work=$(mktemp -d)
# A storage of its own: nothing stays behind, and no driver has to suit the machine.
buildah=(buildah --root "$work/storage" --runroot "$work/run" --storage-driver vfs)
trap 'rm -rf "$work"' EXIT

"$root/packaging/container/rootfs.py" "$program" "$work/rootfs"
version=$("$program" --version | sed -n '1s/.*version \([^ ,]*\).*/\1/p')
documents=$work/rootfs/usr/share/doc/pgtls_exporter

image=$("${buildah[@]}" from scratch)
"${buildah[@]}" copy --quiet "$image" "$work/rootfs" / >/dev/null
"${buildah[@]}" config --user 65532:65532 --port 10432 --env PATH=/usr/bin --workingdir / \
  --entrypoint '["/usr/bin/pgtls_exporter"]' \
  --cmd '--config.file=/etc/pgtls/pgtls.yml --web.listen-address=:10432' \
  --label org.opencontainers.image.title=pgtls_exporter \
  --label "org.opencontainers.image.version=$version" \
  --label org.opencontainers.image.licenses=Apache-2.0 \
  --label "org.opencontainers.image.description=Prometheus exporter for TLS access to PostgreSQL" \
  --created-by "packaging/container/build.sh" "$image"
mkdir -p "$target"
rm -f "$target/pgtls_exporter.oci.tar"
"${buildah[@]}" commit --quiet --disable-compression=false --omit-history --timestamp "$SOURCE_DATE_EPOCH" --rm \
  "$image" "oci-archive:$target/pgtls_exporter.oci.tar:pgtls_exporter:$version" >/dev/null
cp "$documents/sbom.cdx.json" "$documents/THIRD-PARTY" "$target/"
ls -l "$target/pgtls_exporter.oci.tar"
