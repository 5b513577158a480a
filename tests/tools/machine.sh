#!/usr/bin/env bash
# Becomes the systemd of a machine of its own: process 1, with its own view of processes, network, mounts and
# cgroups. tests/tools/lab/machine.py runs it where these namespaces have been made.
#
# machine.sh BASE DIRECTORY: BASE is the root's content, which stays as it is; what the machine changes goes below
# DIRECTORY/changes. DIRECTORY/pid is process 1 as the outside knows it.
set -euo pipefail
base=$1 own=$2 root=$2/root

# The kernel's switches are everybody's: no sysctl, no device, no module and no clock of the machine outside.
hide_the_kernel() {
  local name
  mount -t proc -o nosuid,nodev,noexec proc "$root/proc"
  for name in sys sysrq-trigger irq; do
    [[ -e $root/proc/$name ]] || continue
    mount --bind "$root/proc/$name" "$root/proc/$name"
    mount -o remount,bind,ro "$root/proc/$name"
  done
  mount -t sysfs -o ro,nosuid,nodev,noexec sysfs "$root/sys"
  mount -t cgroup2 -o nosuid,nodev,noexec cgroup2 "$root/sys/fs/cgroup"
}

make_devices() {
  local dev=$root/dev name
  mount -t tmpfs -o mode=755,nosuid tmpfs "$dev"
  for name in null zero full random urandom tty; do
    : >"$dev/$name"
    mount --bind "/dev/$name" "$dev/$name"
  done
  : >"$dev/console" # nobody looks at it
  mount --bind /dev/null "$dev/console"
  mkdir "$dev/pts" "$dev/shm"
  mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts "$dev/pts"
  mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs "$dev/shm"
  ln -s pts/ptmx "$dev/ptmx"
  ln -s /proc/self/fd "$dev/fd"
  ln -s fd/0 "$dev/stdin"
  ln -s fd/1 "$dev/stdout"
  ln -s fd/2 "$dev/stderr"
}

read -r pid _ </proc/self/stat # this /proc is still the one of the outside
mount -t overlay machine -o "lowerdir=$base,upperdir=$own/changes,workdir=$own/overlay" "$root"
hide_the_kernel
make_devices
hostname machine
cd "$root"
echo "$pid" >"$own/pid"
pivot_root . mnt
umount -l mnt
mount --make-rshared /
exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin container=other LANG=C.UTF-8 \
  setpriv --bounding-set=-sys_module,-sys_time,-sys_rawio,-syslog,-audit_control,-wake_alarm \
  /lib/systemd/systemd --show-status=no --log-target=journal
