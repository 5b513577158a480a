#!/usr/bin/python3
"""A network of its own, for failures that loopback does not have: names that do not resolve, routes
that lead nowhere, hosts that are silent, reset or vanish.

Run as a program it enters new network and mount namespaces (a user namespace too, unless it is
root), sets them up, says "ready" and serves until it is told to stop. Others join by `join(pid)`.
Nothing outside the namespaces changes: /etc/resolv.conf is a file of its own there.

Its hosts are a user-space peer behind a tun device: by destination address it answers a SYN by
nothing, by a handshake and a RST, or by a handshake and silence ever after. So that the RST is there
before the client has looked, both run on one processor, and the client, a batch process, does not
interrupt the peer.
"""

import ctypes
import fcntl
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading

CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWNET = 0x20000, 0x10000000, 0x40000000
MS_BIND, MS_REC, MS_PRIVATE = 4096, 16384, 1 << 18
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000

# What is where.
NAMESERVER = "127.0.0.53"
SILENT, RESETTING, VANISHING = "192.0.2.1", "192.0.2.2", "192.0.2.3"
UNREACHABLE, PROHIBITED, BLACK_HOLE = "198.51.100.1", "198.51.100.2", "198.51.100.3"
SOURCELESS = "2001:db8::1"  # there is a route to it, but no address to go out with
NAMES = {"missing.island.example": 3, "broken.island.example": 2, "silent.island.example": None}

FIN, SYN, RST, ACK = 1, 2, 4, 16


def _shell(*lines):
    for line in lines:
        subprocess.run(line.split(), check=True, stdout=subprocess.DEVNULL)


def _isolate():
    libc = ctypes.CDLL(None, use_errno=True)
    uid, gid = os.geteuid(), os.getegid()
    flags = CLONE_NEWNS | CLONE_NEWNET | (CLONE_NEWUSER if uid else 0)
    if libc.unshare(flags):
        raise OSError(ctypes.get_errno(), "unshare")
    if uid:
        for name, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
            with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
                file.write(text)
    with tempfile.NamedTemporaryFile("w", delete=False) as file:
        file.write(f"nameserver {NAMESERVER}\noptions timeout:1 attempts:1\n")
    os.chmod(file.name, 0o644)
    target = os.path.realpath("/etc/resolv.conf").encode()
    for source, where, how in ((b"none", b"/", MS_REC | MS_PRIVATE), (file.name.encode(), target, MS_BIND)):
        if libc.mount(source, where, None, how, None):
            raise OSError(ctypes.get_errno(), "mount")
    os.unlink(file.name)


def _network():
    """The tun device, with the routes that are the failures."""
    device = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH", b"island", IFF_TUN | IFF_NO_PI))
    _shell("ip link set lo up", "ip address add 192.0.2.254/24 dev island", "ip link set island up",
           f"ip route add unreachable {UNREACHABLE}", f"ip route add prohibit {PROHIBITED}",
           f"ip route add blackhole {BLACK_HOLE}")
    for name, value in (("ipv4/tcp_retries2", 1), ("ipv6/conf/island/addr_gen_mode", 1)):
        with open(f"/proc/sys/net/{name}", "w", encoding="ascii") as file:
            file.write(str(value))
    _shell("ip -6 address flush dev island", "ip -6 address del ::1/128 dev lo",
           f"ip -6 route add {SOURCELESS} dev island")
    return device


def _checksum(data):
    total = sum(struct.unpack(f"!{(len(data) + 1) // 2}H", data + b"\0" * (len(data) % 2)))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


def _segment(source, target, sport, dport, sequence, acknowledged, flags):
    """An IPv4 packet with a TCP segment without data."""
    tcp = struct.pack("!HHIIBBHHH", sport, dport, sequence, acknowledged, 5 << 4, flags, 65535, 0, 0)
    pseudo = source + target + struct.pack("!BBH", 0, socket.IPPROTO_TCP, len(tcp))
    tcp = tcp[:16] + struct.pack("!H", _checksum(pseudo + tcp)) + tcp[18:]
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(tcp), 0, 0, 64, socket.IPPROTO_TCP, 0, source, target)
    return ip[:10] + struct.pack("!H", _checksum(ip)) + ip[12:] + tcp


def _peer(device):
    resetting, vanishing = (socket.inet_aton(address) for address in (RESETTING, VANISHING))
    while True:
        packet = os.read(device, 65536)
        if packet[0] != 0x45 or packet[9] != socket.IPPROTO_TCP:
            continue
        source, target = packet[12:16], packet[16:20]
        sport, dport, sequence, _, _, flags = struct.unpack("!HHIIBB", packet[20:34])
        if flags & (SYN | ACK) != SYN or target not in (resetting, vanishing):
            continue
        back = (target, source, dport, sport)
        packets = [_segment(*back, 1000, sequence + 1 & 0xFFFFFFFF, SYN | ACK)]
        if target == resetting:
            packets.append(_segment(*back, 1001, sequence + 1 & 0xFFFFFFFF, RST | ACK))
        for answer in packets:
            os.write(device, answer)


def _nameserver():
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((NAMESERVER, 53))
    while True:
        question, client = server.recvfrom(4096)
        labels, at = [], 12
        while question[at]:
            labels.append(question[at + 1:at + 1 + question[at]].decode("latin-1"))
            at += 1 + question[at]
        code = NAMES.get(".".join(labels).lower(), 3)
        if code is not None:
            header = question[:2] + struct.pack("!HHHHH", 0x8180 | code, 1, 0, 0, 0)
            server.sendto(header + question[12:at + 5], client)


def _processor():
    return min(os.sched_getaffinity(0))


def join(pid):
    """The beginning of a command line that runs the rest of it on the island."""
    user = ["--user", "--preserve-credentials"] if os.geteuid() else []
    return ["chrt", "--batch", "0", "taskset", "--cpu-list", str(_processor()),
            "nsenter", f"--target={pid}", "--net", "--mount", *user, "--"]


def main():
    os.sched_setaffinity(0, [_processor()])
    _isolate()
    device = _network()
    for serve, arguments in ((_peer, (device,)), (_nameserver, ())):
        threading.Thread(target=serve, args=arguments, daemon=True).start()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    print("ready", flush=True)
    while True:
        signal.pause()


if __name__ == "__main__":
    main()
