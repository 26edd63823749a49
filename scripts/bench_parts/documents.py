"""Putting tables into README.md and docs/benchmarks.md, between their marks."""
import os
import re

from .chart import svg
from .suite import ROOT
from .table import markdown, programs_markdown

CHART = "docs/benchmarks.svg"
FIGURES = "docs/benchmarks.json"


def put(text, mark, content):
    """The text with `content` between `<!-- mark -->` and `<!-- end of mark -->`."""
    pattern = re.compile(rf"(<!-- {re.escape(mark)} -->\n).*?(<!-- end of {re.escape(mark)} -->)", re.S)
    changed, count = pattern.subn(lambda found: found[1] + content + found[2], text)
    if count != 1:
        raise SystemExit(f"there is no one place marked `{mark}`")
    return changed


def host_line(data):
    host = data["host"]
    arches = data["arches"].values()
    runs = next(iter(arches))["runs"] if arches else 0
    machine = f"{host['cpu']}, {host['cores']} cores, Linux {host['kernel']}"
    how = "one run of each" if runs == 1 else f"medians of {runs} runs"
    return f"Measured on {machine}; {how}, in alternation.\n"


def image(path):
    return f"![Time and memory as multiples of a native run, by class of program]({path})\n"


def rewrite(path, mark, content):
    full = os.path.join(ROOT, path)
    with open(full) as file:
        text = file.read()
    with open(full, "w") as file:
        file.write(put(text, mark, content))


def update(data):
    """Everything that shows figures, from these."""
    with open(os.path.join(ROOT, CHART), "w") as file:
        file.write(svg(data))
    table, line = markdown(data), host_line(data)
    rewrite("README.md", "benchmark", f"\n{image(CHART)}\n{table}\n{line}\n")
    chart = os.path.basename(CHART)
    content = f"\n{line}\n{image(chart)}\n{table}\n{programs_markdown(data)}"
    rewrite("docs/benchmarks.md", "benchmark", content)
