"""Running things in alternation, and comparing what they print."""
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass

from . import build
from .suite import NOT_FOR_QEMU

NATIVE = "native"
# Our two runs, while they are measured.
FIRST, SECOND = "first", "second"
TIME_LIMIT = 600


@dataclass
class Sample:
    cpu: float
    wall: float
    peak: int
    status: int
    output: bytes
    errors: str


def run(command, cache="off"):
    """Runs a command to its end."""
    output = os.path.join(build.WORK, f"output-{os.getpid()}")
    environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "HOME": "/nonexistent", "QEMU_CACHE": cache}
    launch = [build.launcher(), output, str(TIME_LIMIT), *command]
    said = subprocess.run(launch, env=environment, capture_output=True, text=True, check=True).stdout
    cpu, wall, peak, status = parse(said)
    with open(output, "rb") as file, open(output + ".err", errors="replace") as errors:
        sample = Sample(cpu, wall, peak, status, file.read(), errors.read())
    os.remove(output)
    os.remove(output + ".err")
    return sample


def parse(said):
    """What the launcher prints: seconds of CPU and of wall time, KiB, status."""
    cpu, wall, peak, status = said.split()
    return float(cpu), float(wall), int(peak), int(status)


def failure(sample, expected):
    """Why a run is no measurement; None if it is one."""
    if os.WIFSIGNALED(sample.status):
        number = os.WTERMSIG(sample.status)
        slow = number == signal.SIGKILL and sample.wall >= TIME_LIMIT
        return f"not ended after {TIME_LIMIT} s" if slow else f"dies of {signal.Signals(number).name}"
    if sample.status != expected.status:
        first = sample.errors.strip().splitlines()[:1]
        return f"ends with status {os.WEXITSTATUS(sample.status)}" + (f" ({first[0]})" if first else "")
    return None if sample.output == expected.output else "prints something else"


def summary(samples):
    """Medians of several runs."""
    return {
        "cpu": statistics.median(s.cpu for s in samples),
        "wall": statistics.median(s.wall for s in samples),
        "peak": statistics.median(s.peak for s in samples),
    }


def alternate(runners, runs):
    """Runs each of `runners` (name to a function that gives a sample, the native one first) in turn, `runs` times over.

    Gives the medians by name, and for those who failed the reasons: after a failure nothing more is asked of them.
    """
    samples, reasons, expected = {name: [] for name in runners}, {}, None
    for _ in range(runs):
        for name, runner in runners.items():
            if name in reasons:
                continue
            sample = runner()
            expected = expected or sample
            reason = failure(sample, expected)
            if reason:
                reasons[name] = reason
            samples[name].append(sample)
    return {name: summary(taken) for name, taken in samples.items() if name not in reasons}, reasons


def runners_for(program, emulators, cache):
    """Native and all emulators that are to run it, as functions. We keep nothing from run to run, but what one run's
    processes keep for each other."""
    runners = {NATIVE: lambda: run(program.native)}
    for emulator in emulators:
        if emulator.name in program.skipped:
            continue
        command = emulator.command(program.guest)
        runner = lambda command=command: run(command, cache)
        if emulator.is_ours and cache == "off":
            runner = first_and_second(command, os.path.join(build.WORK, "fresh"))[FIRST]
        runners[emulator.name] = runner
    return runners


def measure(program, emulators, runs, cache="off"):
    """A program's rows: medians by who ran it, reasons by who did not. Applications have two, unless we are warm."""
    for emulator in emulators:
        if not emulator.is_ours and program.name in NOT_FOR_QEMU:
            program.skipped[emulator.name] = NOT_FOR_QEMU[program.name]
    if program.kind == "application" and cache == "off":
        first, second = twice(program, emulators, runs)
        return [row_of("application", program, *first), row_of("application again", program, *second)]
    return [row_of(program.kind, program, *alternate(runners_for(program, emulators, cache), runs))]


def row_of(kind, program, figures, reasons):
    return {"class": kind, "program": program.name, "figures": figures, "skipped": program.skipped | reasons}


def twice(program, emulators, runs):
    """The first and the second run: for us with a directory for translated code that is fresh at the first; the others
    keep nothing, so that their second is as their first. (Figures, reasons) of both."""
    peers = [emulator for emulator in emulators if not emulator.is_ours]
    own = next(emulator for emulator in emulators if emulator.is_ours)
    with tempfile.TemporaryDirectory(dir=build.WORK) as directory:
        ours = first_and_second(own.command(program.guest), os.path.join(directory, "kept"))
        found = alternate(runners_for(program, peers, "off") | ours, runs)
    return [one_of_two(which, own.name, *found) for which in (FIRST, SECOND)]


def first_and_second(command, cache):
    def first():
        shutil.rmtree(cache, ignore_errors=True)
        os.mkdir(cache, 0o700)
        return run(command, cache)

    return {FIRST: first, SECOND: lambda: run(command, cache)}


def one_of_two(which, own, figures, reasons):
    """What belongs to the first or the second run, under our own name."""
    other = SECOND if which == FIRST else FIRST
    named = lambda found: {own if who == which else who: what for who, what in found.items() if who != other}
    return named(figures), named(reasons)


class Progress:
    """Lines that say how far it is."""

    def __init__(self, total):
        self.total, self.done = total, 0

    def step(self, what, text):
        self.done += 1
        print(f"[{self.done}/{self.total}] {what}: {text}", file=sys.stderr, flush=True)


def describe(row):
    """A row in one line."""
    native = row["figures"].get(NATIVE)
    if not native:
        return f"skipped: natively it {row['skipped'].get(NATIVE, 'does not run')}"
    parts = [f"native {native['cpu'] * 1e3:.0f} ms"]
    for name, figures in row["figures"].items():
        if name != NATIVE:
            parts.append(f"{name} {figures['cpu'] / max(native['cpu'], 1e-4):.2f}x")
    return ", ".join(parts + [f"{name} skipped: {reason}" for name, reason in row["skipped"].items()])
