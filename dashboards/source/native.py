"""The same dashboards for native histograms (docs/native-histograms.md): one series instead of buckets with a
label `le`, and functions instead of the series _sum and _count."""

import re

# The exporter's other histogram, how late probes start, is always classic.
FAMILY = r"(pgtls_(?:phase_duration|probe_duration|session_lifetime|session_idle_before_drop)_seconds)"
PART = re.compile(r"rate\(" + FAMILY + r"_(sum|count)(\{[^}]*\}\[[^]]*\][^)]*)\)")


def expression(expr):
    expr = PART.sub(r"histogram_\2(rate(\1\3))", expr)
    without = re.sub(FAMILY + "_bucket", r"\1", expr)
    if without == expr:
        return expr
    return without.replace("by (le, ", "by (").replace(" by (le) (", "(")


def native(content):
    """A dashboard with every expression in its native form."""
    if isinstance(content, dict):
        return {key: expression(value) if key == "expr" else native(value) for key, value in content.items()}
    return [native(item) for item in content] if isinstance(content, list) else content
