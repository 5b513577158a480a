"""A program whose allocations fail and whose wall clock steps, on command: tests/tools/chaos.c."""

import mmap
import struct

from .exporter import BINARY

LIBRARY = BINARY.parent / "tests" / "chaos.so"
_FIELDS = ("clock_offset_s", "fail_every", "allocations", "failed", "fail_odds", "seed", "fail_at", "fail_more",
           "fail_bytes", "fail_most", "live", "fail_watch")


class Chaos:
    """What goes wrong now; `environment` makes it go wrong in a program."""

    def __init__(self, path):
        path.write_bytes(bytes(8 * len(_FIELDS)))
        with open(path, "r+b") as file:
            self._map = mmap.mmap(file.fileno(), 0)
        self.environment = {"LD_PRELOAD": str(LIBRARY), "PGTLS_CHAOS": str(path)}

    def set(self, **fields):
        for name, value in fields.items():
            struct.pack_into("q", self._map, 8 * _FIELDS.index(name), value)

    def get(self, name):
        return struct.unpack_from("q", self._map, 8 * _FIELDS.index(name))[0]
