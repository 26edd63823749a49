"""Rows that are no program's time as a multiple of the native one: starts, nanoseconds, memory, scaling."""
import os

from . import build, suite
from .measure import NATIVE, alternate, run, runners_for, twice
from .suite import Program

CALLS = 1000000
COLD = 50000
SIZES = [125000, 250000, 500000, 1000000]


def row(name, unit, values, skipped=None):
    return {"row": name, "unit": unit, "values": values, "skipped": skipped or {}}


def starts(arch, emulators, runs, files):
    """The first and the second start of programs, and the memory of the first."""
    for one in suite.STARTS:
        first, second = twice(build.application("start", one, arch, files), emulators, runs)
        yield start_row(f"start of {one.name}, first run", *first)
        yield start_row(f"start of {one.name}, second run", *second)
        figures, reasons = first
        peaks = {who: f["peak"] / 1024 for who, f in figures.items()}
        yield row(f"peak memory of {one.name}", "MiB", peaks, reasons)


def start_row(name, figures, reasons):
    return row(name, "ms", {who: f["cpu"] * 1e3 for who, f in figures.items()}, reasons)


def per_call(command):
    """Nanoseconds of a call: of a run with many, less a run with none."""

    def taken():
        many, none = run([*command, str(CALLS)]), run([*command, "0"])
        many.cpu = max(many.cpu - none.cpu, 0.0)
        return many

    return taken


def getppid(arch, emulators, runs):
    """What a system call costs, and one with a rule that only forwards it."""
    native, guest = build.kernel("x86_64", "syscalls"), build.kernel(arch, "syscalls")
    runners = {NATIVE: per_call([native])}
    for emulator in emulators:
        runners[emulator.name] = per_call(emulator.command([guest]))
    own = next(emulator for emulator in emulators if emulator.is_ours)
    runners["ruled"] = per_call(own.command([guest], ["--rules", build.rule_directory()]))
    figures, reasons = alternate(runners, runs)
    values = {who: f["cpu"] / CALLS * 1e9 for who, f in figures.items()}
    ruled = values.pop("ruled", None)
    yield row("getppid", "ns", values, {who: why for who, why in reasons.items() if who != "ruled"})
    with_rule = {} if ruled is None else {own.name: ruled}
    yield row("getppid under a rule that forwards it", "ns", with_rule, {own.name: reasons.get("ruled", "")})


def cold_program(arch, size):
    label, defines = f"cold-{size}", [f"-DINSTRUCTIONS={size}"]
    native, guest = [build.kernel(one, "cold", label, defines) for one in ["x86_64", arch]]
    return Program("cold", label, [native], [guest])


def cold(arch, emulators, runs):
    """Code that runs once: what 50,000 instructions of it take, the start of the program included."""
    figures, reasons = alternate(runners_for(cold_program(arch, COLD), emulators, "off"), runs)
    yield row(f"{COLD:,} instructions run once", "ms", {who: f["cpu"] * 1e3 for who, f in figures.items()}, reasons)


def code_size(arch, emulators, runs):
    """Whether the cost grows as the code does, and not faster: nanoseconds per instruction of programs of several sizes."""
    for size in SIZES:
        figures, reasons = alternate(runners_for(cold_program(arch, size), emulators, "off"), runs)
        values = {who: f["cpu"] / size * 1e9 for who, f in figures.items()}
        yield row(f"an instruction of {size // 1000} k run once", "ns", values, reasons)


def scaling(arch, emulators, runs):
    """Twice the work on two threads: how much faster it is than one thread would be with it."""
    if os.cpu_count() < 2:
        yield row("2 threads against 1", "times as fast", {}, {NATIVE: "there is one core only"})
        return
    native, guest = build.kernel("x86_64", "scaling"), build.kernel(arch, "scaling")
    commands = {NATIVE: [native]} | {e.name: e.command([guest]) for e in emulators}
    runners = {
        (who, count): lambda c=command, n=count: run([*c, str(n)])
        for who, command in commands.items()
        for count in (1, 2)
    }
    # The least of several: anything else on the machine makes two threads slower than they are.
    times = {key: [] for key in runners}
    for _ in range(runs):
        for key, runner in runners.items():
            times[key].append(runner().wall)
    values = {who: 2 * min(times[who, 1]) / min(times[who, 2]) for who in commands}
    yield row("2 threads against 1", "times as fast", values)


def all_rows(arch, emulators, runs, files, wanted, missing):
    """All rows whose group is wanted, group by group; what is missing is added to that list."""
    groups = [
        ("start", lambda: starts(arch, emulators, runs, files)),
        ("cold", lambda: cold(arch, emulators, runs)),
        ("getppid", lambda: getppid(arch, emulators, runs)),
        ("scaling", lambda: scaling(arch, emulators, runs)),
        ("code size", lambda: code_size(arch, emulators, runs)),
    ]
    for name, rows in groups:
        if not wanted(name):
            continue
        try:
            yield name, list(rows())
        except build.Missing as error:
            missing.append(f"{arch} {error}")

