"""Prometheus's protobuf exposition, read by a decoder of our own that shares nothing with the exporter's."""

import struct

ACCEPT = ("application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited,"
          "application/openmetrics-text;version=1.0.0;q=0.8,text/plain;version=0.0.4;q=0.5,*/*;q=0.1")
TYPES = {0: "counter", 1: "gauge", 4: "histogram"}


def _varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        value, shift, at = value | (byte & 0x7F) << shift, shift + 7, at + 1
        if not byte & 0x80:
            return value, at


def _fields(data):
    """(number, value) of every field: an integer, a float for 64 bits, bytes for what has a length."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        if key & 7 == 0:
            value, at = _varint(data, at)
        elif key & 7 == 1:
            (value,), at = struct.unpack_from("<d", data, at), at + 8
        elif key & 7 == 2:
            length, at = _varint(data, at)
            value, at = data[at:at + length], at + length
            if len(value) != length:
                raise ValueError("a field that ends behind its message")
        else:
            raise ValueError(f"wire type {key & 7}")
        yield key >> 3, value


def _all(data, number):
    return [value for field, value in _fields(data) if field == number]


def _one(data, number, default=None):
    found = _all(data, number)
    if len(found) > 1:
        raise ValueError(f"field {number} is there {len(found)} times")
    return found[0] if found else default


def _signed(value):
    """Of a zigzag varint."""
    return value >> 1 ^ -(value & 1)


class Histogram:
    """classic: [(upper bound, cumulative count)] without +Inf. native: {index: count}, None without."""

    def __init__(self, data):
        self.count, self.sum = _one(data, 1, 0), _one(data, 2, 0.0)
        self.classic = [(_one(bucket, 2), _one(bucket, 1)) for bucket in _all(data, 3)]
        self.schema = _one(data, 5)
        self.native = None
        if self.schema is not None:
            self.schema = _signed(self.schema)
            self.zero_threshold, self.zero_count = _one(data, 6), _one(data, 7, 0)
            self.native = self._native(data)

    @staticmethod
    def _native(data):
        deltas, packed, at = [], _one(data, 13, b""), 0
        while at < len(packed):
            delta, at = _varint(packed, at)
            deltas.append(_signed(delta))
        buckets, index, count, rest = {}, 0, 0, iter(deltas)
        for span in _all(data, 12):
            index += _signed(_one(span, 1, 0))
            for _ in range(_one(span, 2, 0)):
                count += next(rest)
                if count:
                    buckets[index] = count
                index += 1
        if list(rest):
            raise ValueError("more buckets than the spans have room for")
        return buckets

    def quantile(self, q):
        """As Prometheus 2.42 computes histogram_quantile(): linear within the bucket."""
        base, rank, below = 2 ** 2 ** -self.schema, q * self.count, self.zero_count
        if below >= rank:
            return self.zero_threshold * rank / below
        for index, count in self.native.items():
            if below + count >= rank:
                low, high = base ** (index - 1), base ** index
                return low + (high - low) * (rank - below) / count
            below += count
        raise ValueError("fewer in the buckets than in the count")


class Families:
    """A whole body. samples: (series name, labels, value) as the text has them; histograms: (family, labels,
    Histogram)."""

    def __init__(self, body):
        self.types, self.help, self.samples, self.histograms = {}, {}, [], []
        at = 0
        while at < len(body):
            length, at = _varint(body, at)
            if at + length > len(body):
                raise ValueError("the last message is cut")
            self._family(body[at:at + length])
            at += length

    def _family(self, data):
        name, kind = _one(data, 1).decode(), TYPES[_one(data, 3)]
        self.types[name], self.help[name] = kind, _one(data, 2).decode()
        for metric in _all(data, 4):
            labels = {_one(label, 1).decode(): _one(label, 2).decode() for label in _all(metric, 1)}
            if kind == "histogram":
                self._histogram(name, labels, Histogram(_one(metric, 7)))
            else:
                (value,) = _all(metric, 3 if kind == "counter" else 2)
                self.samples.append((name, labels, _one(value, 1)))

    def _histogram(self, name, labels, histogram):
        self.histograms.append((name, labels, histogram))
        for bound, count in histogram.classic:
            text = repr(bound) if bound < 1e21 else f"{bound:g}"
            self.samples.append((name + "_bucket", {**labels, "le": text}, count))
        self.samples.append((name + "_bucket", {**labels, "le": "+Inf"}, histogram.count))
        self.samples.append((name + "_sum", labels, histogram.sum))
        self.samples.append((name + "_count", labels, histogram.count))

    def histogram(self, name, **labels):
        """The only histogram of a family that carries these labels."""
        (found,) = [histogram for family, have, histogram in self.histograms
                    if family == name and labels.items() <= have.items()]
        return found
