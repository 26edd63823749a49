"""Who is measured: us, and every qemu-user there is."""
import os
import re
import shutil
import subprocess
from dataclasses import dataclass

from .suite import ROOT

OURS = "qemu-lua"
RELEASE = os.path.join(ROOT, "target", "x86_64-unknown-linux-gnu", "release")


@dataclass
class Emulator:
    name: str
    path: str

    @property
    def is_ours(self):
        return self.name == OURS

    def command(self, guest, options=()):
        return [self.path, *options, *guest]


def ours(arch, directory):
    path = os.path.join(directory, f"{OURS}-{arch}")
    if not os.path.exists(path):
        raise SystemExit(f"no {path}: cargo build --release, or --bin DIR")
    return Emulator(OURS, path)


def version(path):
    """`7.2.22`, as the program says."""
    try:
        text = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=60).stdout
    except OSError:
        return None
    found = re.search(r"version (\d[\w.]*)", text)
    return found[1] if found else None


def find(arch, further):
    """qemu-user for `arch`: that of the path, and those the user names (the program, or its directory)."""
    candidates = [shutil.which(f"qemu-{arch}") or shutil.which(f"qemu-{arch}-static")]
    for path in further:
        if not os.path.exists(path):
            raise SystemExit(f"--qemu: there is no {path}")
        if os.path.isdir(path):
            candidates += [os.path.join(path, f"qemu-{arch}{end}") for end in ["", "-static"]]
        elif arch in os.path.basename(path):
            candidates.append(path)
    found, seen = [], set()
    for path in candidates:
        real = path and os.path.realpath(path)
        number = version(real) if real and os.path.exists(real) and real not in seen else None
        seen.add(real)
        if number:
            found.append(Emulator(unused(f"qemu {number}", found), real))
    return found


def unused(name, found):
    """The name, with a number if another has it."""
    same = sum(emulator.name.split(" #")[0] == name for emulator in found)
    return f"{name} #{same + 1}" if same else name


def all_of(arch, options):
    """The peers, then us."""
    return [*find(arch, options.qemu), ours(arch, options.bin)]
