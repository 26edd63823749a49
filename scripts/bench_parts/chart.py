"""The bar chart: an SVG with a logarithmic axis on which native is 1, for light and dark pages."""
import math
from xml.sax.saxutils import escape

from .emulators import OURS
from .measure import NATIVE
from .table import ARCH_LABELS, all_rows, names_in, number, short

WIDTH = 940
LEFT = 330
RIGHT = 60
BAR = 11
GAP = 12
HEAD = 70
# By who: ours first, then the peers in their order.
COLOURS = [("#2563a8", "#6aa9e9"), ("#b4632a", "#e09a5f"), ("#8a8f98", "#a8aeb8"), ("#b9a13a", "#d9c562")]


def style():
    light = "".join(f".c{i}{{fill:{colour}}}" for i, (colour, _) in enumerate(COLOURS))
    dark = "".join(f".c{i}{{fill:{colour}}}" for i, (_, colour) in enumerate(COLOURS))
    return (
        "<style>text{font:12px system-ui,sans-serif;fill:#24292f}.h{font-weight:600;font-size:14px}.v{font-size:10px}"
        ".g{stroke:#d0d7de}.n{stroke:#24292f;stroke-width:1.5}" + light + "@media (prefers-color-scheme:dark){"
        "text{fill:#e6edf3}.g{stroke:#3d444d}.n{stroke:#e6edf3}" + dark + "}</style>"
    )


class Axis:
    """A logarithmic axis of powers of ten and what is between."""

    def __init__(self, largest):
        self.largest = max(largest, 10.0)

    def x(self, value):
        span = WIDTH - LEFT - RIGHT
        return LEFT + span * math.log(max(value, 1.0)) / math.log(self.largest)

    def ticks(self):
        steps = [factor * 10**power for power in range(4) for factor in (1, 2, 5)]
        return [step for step in steps if step <= self.largest]


def relative(row):
    """A row's figures as multiples of the native one; empty where there is none, or more is better."""
    native = row["values"].get(NATIVE)
    if not native or row["row"].startswith(("2 threads", "an instruction")):
        return {}
    return {who: value / native for who, value in row["values"].items() if who != NATIVE}


def groups(figures):
    """(label, {who: multiple of native}) of each row that can be shown."""
    shown = ((row["row"], relative(row)) for row in all_rows(figures))
    return [(label, values) for label, values in shown if values]


def colour_of(name, peers):
    return 0 if name == OURS else 1 + peers.index(name) % (len(COLOURS) - 1)


def text(x, y, words, anchor="start", kind=None):
    kind = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{kind}>{escape(words)}</text>'


def bars(label, values, axis, y, peers):
    """The bars of one row, and how high they are together."""
    names = [name for name in [*peers, OURS] if name in values]
    height = BAR * len(names)
    out = [text(LEFT - 8, y + height / 2 + 4, label, "end")]
    for index, name in enumerate(names):
        top, end = y + index * BAR, axis.x(values[name])
        # What is no slower than native has a bar of one pixel.
        width = max(end - LEFT, 1.0)
        colour = colour_of(name, peers)
        title = f"<title>{escape(label)}: {escape(name)} {number(values[name])} x native</title>"
        out.append(
            f'<rect class="c{colour}" x="{LEFT}" y="{top:.1f}" width="{width:.1f}" height="{BAR - 1}">{title}</rect>'
        )
        out.append(text(LEFT + width + 4, top + BAR - 2, number(values[name]), kind="v"))
    return out, height


def grid(axis, top, bottom):
    for tick in axis.ticks():
        x = axis.x(tick)
        kind = "n" if tick == 1 else "g"
        yield f'<line class="{kind}" x1="{x:.1f}" x2="{x:.1f}" y1="{top:.1f}" y2="{bottom:.1f}"/>'
        yield text(x, bottom + 14, "native" if tick == 1 else f"{tick}x", "middle", "v")


def legend(peers, y):
    x, out = LEFT, []
    for name in [*peers, OURS]:
        out.append(f'<rect class="c{colour_of(name, peers)}" x="{x}" y="{y - 10}" width="12" height="12"/>')
        out.append(text(x + 17, y, short(name)))
        x += 40 + 8 * len(short(name))
    return out


def panel(arch, figures, axis, y, peers):
    """One architecture's rows; where the next panel starts."""
    out = [text(LEFT, y + 14, f"{ARCH_LABELS[arch]} guests", kind="h")]
    top = y = y + 24
    drawn = []
    for label, values in groups(figures):
        made, height = bars(label, values, axis, y, peers)
        drawn += made
        y += height + GAP
    return out + list(grid(axis, top - 4, y)) + drawn, y + 34


def svg(data):
    """The whole chart."""
    arches = data["arches"]
    peers = [n for n in dict.fromkeys(n for f in arches.values() for n in names_in(f)) if n not in (NATIVE, OURS)]
    largest = max((value for f in arches.values() for _, values in groups(f) for value in values.values()), default=10)
    axis, y, body = Axis(largest * 1.1), HEAD, []
    for arch, figures in arches.items():
        made, y = panel(arch, figures, axis, y, peers)
        body += made
    title = "Time and memory as multiples of a native run (logarithmic; shorter is better)"
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y:.0f}" role="img"><title>{title}</title>'
    parts = [head, style(), text(20, 24, title, kind="h"), *legend(peers, 50), *body, "</svg>"]
    return "\n".join(parts) + "\n"
