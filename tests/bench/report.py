"""Tables as Markdown, and line plots as SVG, of the benchmark's figures."""

import math
import re
from html import escape

WIDTH, HEIGHT = 640, 320
LEFT, RIGHT, TOP, BOTTOM = 70, 170, 30, 50
COLOURS = ("#2b6cb0", "#c05621", "#2f855a", "#6b46c1")
BEGIN, END = "<!-- Printed by tests/bench/bench.py from here -->", "<!-- to here. -->"


class Report:
    """What was measured; printed as it comes."""

    def __init__(self):
        self.lines = []

    def say(self, text=""):
        print(text, flush=True)
        self.lines.append(text)

    def title(self, text):
        self.say(f"\n## {text}\n")

    def head(self, *cells):
        self.row(*cells)
        self.row(*["---"] * len(cells))

    def row(self, *cells):
        self.say("| " + " | ".join(str(cell) for cell in cells) + " |")

    def write_into(self, page):
        """Replaces what an earlier run has printed there."""
        text = page.read_text()
        body = "\n".join(self.lines).strip()
        page.write_text(re.sub(f"{re.escape(BEGIN)}.*{re.escape(END)}", lambda _: f"{BEGIN}\n\n{body}\n\n{END}", text,
                               flags=re.S))


def ratio(low, middle, high):
    return f"{low:.2f} / **{middle:.2f}** / {high:.2f}"


# --- plots -----------------------------------------------------------------------------------------

def _ticks(high):
    """About five round numbers from 0 to high."""
    step = 10 ** math.floor(math.log10(high / 5)) if high > 0 else 1
    step = next(step * factor for factor in (1, 2, 5, 10) if high / (step * factor) <= 6)
    return [i * step for i in range(int(high / step) + 1)]


def plot(path, title, x_label, y_label, lines):
    """`lines`: name → [(x, y)]; x on a logarithmic scale unless one of them is 0."""
    points = [point for line in lines.values() for point in line]
    xs, high = sorted({x for x, _ in points}), max(y for _, y in points) * 1.1 or 1
    scale = math.log10 if xs[0] > 0 and xs[-1] / xs[0] > 10 else float
    low_x, high_x = scale(xs[0]), scale(xs[-1])
    width, height = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def at(x, y):
        return (LEFT + (scale(x) - low_x) / ((high_x - low_x) or 1) * width, TOP + (1 - y / high) * height)

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
           f'font-size="12" role="img"><title>{escape(title)}</title>'
           f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>'
           f'<text x="{LEFT}" y="18" font-size="14">{escape(title)}</text>']
    for y in _ticks(high):
        _, down = at(xs[0], y)
        out.append(f'<line x1="{LEFT}" x2="{LEFT + width}" y1="{down:.1f}" y2="{down:.1f}" stroke="#ddd"/>'
                   f'<text x="{LEFT - 8}" y="{down + 4:.1f}" text-anchor="end">{y:g}</text>')
    for x in xs:
        across, _ = at(x, 0)
        out.append(f'<text x="{across:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{x:g}</text>')
    out.append(f'<text x="{LEFT + width / 2:.0f}" y="{HEIGHT - 12}" text-anchor="middle">{escape(x_label)}</text>'
               f'<text x="16" y="{TOP + height / 2:.0f}" text-anchor="middle" '
               f'transform="rotate(-90 16 {TOP + height / 2:.0f})">{escape(y_label)}</text>')
    for i, (name, line) in enumerate(lines.items()):
        colour = COLOURS[i % len(COLOURS)]
        places = [at(x, y) for x, y in line]
        drawn = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        out.append(f'<polyline points="{drawn}" fill="none" stroke="{colour}" stroke-width="2"/>')
        out += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in places]
        out.append(f'<text x="{LEFT + width + 12}" y="{TOP + 14 + 18 * i}" fill="{colour}">{escape(name)}</text>')
    path.write_text("\n".join(out) + "\n</svg>\n")
