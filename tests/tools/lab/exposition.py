"""What /metrics says, by name and labels."""

import re

_SAMPLE = re.compile(r'^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)(?: (\S+))?(?: # .*)?$')
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"(?:,|$)')
_ESCAPES = {"\\\\": "\\", '\\"': '"', "\\n": "\n"}


def _unescape(text):
    return re.sub(r'\\.', lambda match: _ESCAPES.get(match[0], match[0]), text)


class Metrics:
    """One scrape. Ask with value(name, label=…), all(name, label=…); a label given as None must be
    absent."""

    def __init__(self, text):
        self.text = text
        self.samples = []
        for line in text.splitlines():
            if not line or line.startswith("#"):
                continue
            match = _SAMPLE.match(line)
            if not match:
                raise ValueError(f"not a sample: {line!r}")
            labels = {name: _unescape(value) for name, value in _LABEL.findall(match[2] or "")}
            self.samples.append((match[1], labels, float(match[3])))

    def all(self, name, **labels):
        """[(labels, value)] of every series of that name that carries these labels."""
        return [(have, value) for series, have, value in self.samples
                if series == name and all(have.get(k) == v for k, v in labels.items())]

    def value(self, name, default=None, **labels):
        """The value of exactly one series; `default` when there is none."""
        found = self.all(name, **labels)
        if not found:
            return default
        if len(found) > 1:
            raise ValueError(f"{len(found)} series {name} {labels}: {found}")
        return found[0][1]

    def labels(self, name, **labels):
        """The labels of exactly one series, None when there is none."""
        found = self.all(name, **labels)
        if len(found) > 1:
            raise ValueError(f"{len(found)} series {name} {labels}: {found}")
        return found[0][0] if found else None

    def sum(self, name, **labels):
        return sum(value for _, value in self.all(name, **labels))

    def names(self):
        return {name for name, _, _ in self.samples}
