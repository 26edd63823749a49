"""What the figures come to: rows of classes, as text and as Markdown."""
import math

from . import suite
from .emulators import OURS
from .measure import NATIVE

ARCH_LABELS = {"x86_64": "x86-64", "aarch64": "AArch64"}


def ratios(row, key="cpu"):
    """A program's times as multiples of the native one, by who ran it."""
    native = row["figures"].get(NATIVE)
    if not native:
        return {}
    base = max(native[key], 1e-4)
    return {who: max(figures[key], 1e-4) / base for who, figures in row["figures"].items()}


def geometric_mean(values):
    return math.exp(sum(math.log(value) for value in values) / len(values))


def class_means(rows, key="cpu"):
    """The geometric means of a class by who ran it, and how many programs each is of."""
    all_ratios = [found for found in (ratios(row, key) for row in rows) if found]
    names = dict.fromkeys(name for found in all_ratios for name in found)
    taken = {name: [found[name] for found in all_ratios if name in found] for name in names}
    return {name: (geometric_mean(values), len(values)) for name, values in taken.items()}


def class_rows(figures, key="cpu"):
    """A row for each class, for one architecture's figures."""
    for kind, label in suite.CLASS_LABELS.items():
        rows = [row for row in figures["programs"] if row["class"] == kind]
        means = class_means(rows, key)
        if means:
            values = {name: mean for name, (mean, _) in means.items()}
            counts = {name: count for name, (_, count) in means.items()}
            yield {"row": label, "unit": "x", "values": values, "counts": counts, "skipped": {}}


# How the special rows' names start, in the order of the table.
ORDER = ["start of", "50,000", "getppid", "peak memory", "2 threads", "an instruction"]


def place(row):
    return next((index for index, start in enumerate(ORDER) if row["row"].startswith(start)), len(ORDER))


def all_rows(figures, key="cpu"):
    return [*class_rows(figures, key), *sorted(figures["special"], key=place)]


def number(value):
    if value is None:
        return "-"
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def cell(row, name):
    """A figure; of fewer programs than the native ones, how many."""
    counts = row.get("counts", {})
    text = number(row["values"].get(name))
    some = name in counts and counts[name] < counts.get(NATIVE, 0)
    return f"{text} ({counts[name]} of {counts[NATIVE]})" if some else text


def names_in(figures):
    """Everybody who was measured, native first and us last."""
    found = dict.fromkeys(who for row in figures["programs"] for who in row["figures"])
    found |= dict.fromkeys(who for row in figures["special"] for who in row["values"])
    peers = [name for name in found if name not in (NATIVE, OURS)]
    return [NATIVE, *peers, OURS]


def show_programs(arch, figures, key):
    """Text: a line per program."""
    names = names_in(figures)
    others = names[1:]
    print(f"\n{ARCH_LABELS[arch]}, {key} time as multiples of native (native in ms); medians of {figures['runs']}")
    print(f"{'class':17} {'program':16} {'native':>8}" + "".join(f" {name:>12}" for name in others))
    for row in figures["programs"]:
        found = ratios(row, key)
        native = f"{row['figures'][NATIVE][key] * 1e3:8.1f}" if found else f"{'-':>8}"
        times = "".join(f" {number(found.get(name)):>12}" for name in others)
        print(f"{row['class']:17} {row['program']:16} {native}{times}")
        for name, reason in row["skipped"].items():
            print(f"{'':12} {name} is left out: {reason}")


def show_rows(arch, figures, key):
    """Text: the classes and the special rows."""
    names = names_in(figures)
    print(f"\n{ARCH_LABELS[arch]:62}" + "".join(f" {name:>16}" for name in names))
    for row in all_rows(figures, key):
        print(f"{row['row'] + ', ' + unit_text(row['unit']):62}" + "".join(f" {cell(row, name):>16}" for name in names))
        for name, reason in row["skipped"].items():
            if reason:
                print(f"{'':12} {name} is left out: {reason}")


def columns(data):
    """(architecture, who) for each column behind the native one."""
    for arch, figures in data["arches"].items():
        for name in names_in(figures)[1:]:
            yield arch, name


def short(name):
    """A version without its patch level."""
    return ".".join(name.split(".")[:2]) if name.startswith("qemu ") and "#" not in name else name


def find_row(figures, name):
    return next((row for row in all_rows(figures) if row["row"] == name), None)


def markdown(data):
    """The table of README."""
    heads = list(columns(data))
    titles = [f"{ARCH_LABELS[arch]}: {short(name)}" for arch, name in heads]
    lines = ["| | native | " + " | ".join(titles) + " |", "|---|" + "---:|" * (len(heads) + 1)]
    found = [all_rows(figures) for figures in data["arches"].values()]
    for label, unit in dict.fromkeys((row["row"], row["unit"]) for rows in found for row in rows):
        rows = {arch: find_row(figures, label) for arch, figures in data["arches"].items()}
        native = next((row["values"].get(NATIVE) for row in rows.values() if row), None)
        cells = [cell(rows[arch], name) if rows[arch] else "-" for arch, name in heads]
        lines.append(f"| {label}, {unit_text(unit)} | {number(native)} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def unit_text(unit):
    return "times native" if unit == "x" else unit


def programs_markdown(data):
    """The table of docs/benchmarks.md: each program."""
    parts = []
    for arch, figures in data["arches"].items():
        names = names_in(figures)[1:]
        parts.append(f"### {ARCH_LABELS[arch]} guests\n")
        parts.append("| class | program | native, ms | " + " | ".join(short(name) for name in names) + " |")
        parts.append("|---|---|---:|" + "---:|" * len(names))
        parts += [program_line(row, names) for row in figures["programs"]]
        parts += ["", *left_out(figures)]
    return "\n".join(parts) + "\n"


def program_line(row, names):
    found = ratios(row)
    native = number(row["figures"][NATIVE]["cpu"] * 1e3) if found else "-"
    times = " | ".join(number(found.get(name)) for name in names)
    return f"| {row['class']} | {row['program']} | {native} | {times} |"


def left_out(figures):
    """Who was left out where, and why."""
    for row in figures["programs"]:
        for name, reason in row["skipped"].items():
            yield f"* {row['program']} has no figure of {short(name)}: {reason}"
    for line in figures["missing"]:
        yield f"* {line}"
    yield ""
