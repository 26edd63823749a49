"""Makes what is measured: kernels, input files, the rule, the AArch64 root."""
import glob
import os
import shutil
import subprocess

from . import suite, versions
from .suite import Program, ROOT

WORK = os.path.join(ROOT, "target", "bench")
# The packages of scripts/test, and those that only the benchmark has.
SYSROOTS = [os.path.join(ROOT, "target", name) for name in ["sysroot-bench", "sysroot-aarch64"]]
NATIVE_SYSROOT = os.path.join(ROOT, versions.NATIVE_SYSROOT)
COMPILERS = {"x86_64": "gcc", "aarch64": "aarch64-linux-gnu-gcc"}
FLAGS = ["-O2", "-ffp-contract=off", "-static", "-pthread", "-w"]
RULE = "function do_syscall(num, ...)\n    return c_do_syscall(num, ...)\nend\n"


class Missing(Exception):
    """Something that is not there, and how to get it."""


def newer(target, *sources):
    return os.path.exists(target) and all(os.path.getmtime(target) >= os.path.getmtime(s) for s in sources)


def need_compiler(arch):
    if not shutil.which(COMPILERS[arch]):
        raise Missing(f"no {COMPILERS[arch]} here: scripts/bench --install")


def compile_c(arch, source, target, flags):
    compiler = COMPILERS[arch]
    sources = [source] + glob.glob(os.path.join(suite.KERNEL_SOURCES, "*.h"))
    if not newer(target, *sources):
        subprocess.run([compiler, *FLAGS, *flags, "-o", target, source, "-lm"], check=True)
    return target


def kernel(arch, name, label=None, defines=()):
    """The path of a kernel, compiled for `arch`; None where it is not for it."""
    source = os.path.join(suite.KERNEL_SOURCES, name + ".c")
    flags = suite.kernel_flags(source, arch)
    if flags is None:
        return None
    return compile_c(arch, source, os.path.join(WORK, f"{label or name}-{arch}"), [*flags, *defines])


def launcher():
    return compile_c("x86_64", os.path.join(ROOT, "scripts/bench_parts/launch.c"), os.path.join(WORK, "launch"), [])


def write(path, text):
    if not os.path.exists(path):
        with open(path, "w") as file:
            file.write(text)
    return path


def lines(count):
    """Lines with some order in them, the same in every run."""
    state = 1
    for i in range(count):
        state = state * 6364136223846793005 + 1442695040888963407 & (1 << 64) - 1
        yield f"{state >> 40:x} line {i} {'abc' * (state >> 61)}\n"


def c_functions(count):
    """C for the compiler to work on."""
    for i in range(count):
        yield (
            f"int f{i}(int *a, int n) {{\n\tint s = {i};\n\tfor (int j = 0; j < n; j++)\n"
            f"\t\ts += a[j] * {i % 7 + 2} ^ (s >> {i % 5 + 1}) % (n + {i + 1});\n"
            f"\tswitch (s & 7) {{ case 0: return s + n; case 3: return a[s & 15]; case 5: s *= 3; default: break; }}\n"
            f"\treturn {f'f{i - 1}(a, n - 1) + s' if i else 's'};\n}}\n"
        )


def inputs():
    """Files to work on."""
    text = "".join(lines(120000))
    return {
        "{DATA}": write(os.path.join(WORK, "data"), text),
        "{LARGE}": write(os.path.join(WORK, "large"), text * 8),
        "{SOURCE}": write(os.path.join(WORK, "source.i"), "".join(c_functions(40))),
    }


def rule_directory():
    """Rules of which the one for getppid only forwards."""
    os.makedirs(os.path.join(WORK, "rules"), exist_ok=True)
    write(os.path.join(WORK, "rules", "getppid.lua"), RULE)
    return os.path.join(WORK, "rules")


def sysroot_with(path):
    """The AArch64 root that has a program."""
    return next((root for root in SYSROOTS if os.path.exists(root + path)), None)


def find_cc1(arch):
    """The compiler proper: on the host the one that makes the guest's code, so that both print the same."""
    compiler = COMPILERS[arch]
    if not shutil.which(compiler):
        return None, None
    native = subprocess.run([compiler, "-print-prog-name=cc1"], capture_output=True, text=True).stdout.strip()
    if arch == "x86_64":
        return native, native
    version = os.path.basename(os.path.dirname(native))
    return native, f"/usr/lib/gcc/aarch64-linux-gnu/{version}/cc1"


def application(kind, one, arch, files):
    """The program to measure. Raises Missing."""
    native, inside = find_cc1(arch) if one.path == "cc1" else (one.path, one.path)
    if not native or not os.path.exists(native):
        raise Missing(f"{one.name}: no package {one.package} here: scripts/bench --install")
    command, guest, root = [native], inside, None
    if arch == "aarch64":
        root = sysroot_with(inside)
        if not root:
            raise Missing(f"{one.name}: not in target/sysroot-bench: scripts/bench --install")
        guest = root + inside
        if one.path != "cc1":
            command = native_command(one, root)
    arguments = [files.get(word, word) for word in one.arguments]
    options = ["-L", root] if root else []
    return Program(kind, one.name, [*command, *arguments], [*options, guest, *arguments])


def native_command(one, root):
    """What runs natively for a guest's program in `root`: the same version. Raises Missing."""
    versions_of_both = versions.differ(root, one.package)
    if not versions_of_both:
        return [one.path]
    command = versions.in_native_root(NATIVE_SYSROOT, one.path)
    takes_files = any(word.startswith("{") for word in one.arguments)
    if not command or takes_files:
        here, there = versions_of_both
        raise Missing(f"{one.name}: the host has {here}, the guest {there}: scripts/bench --install gets that too")
    return command


def programs(arch, wanted, missing):
    """All wanted programs of the classes; what is missing is added to that list."""
    for kind, _, names in suite.KERNELS:
        for name in names:
            guest = kernel(arch, name) if wanted(f"{kind} {name}") else None
            if guest:
                yield Program(kind, name, [kernel("x86_64", name)], [guest])
    files = inputs()
    for one in suite.APPLICATIONS:
        if not wanted(f"application {one.name}"):
            continue
        try:
            yield application("application", one, arch, files)
        except Missing as error:
            missing.append(f"{arch} {error}")


def install():
    """Gets all packages: the host's through apt, the guest's into a root below target."""
    scripts = os.path.join(ROOT, "scripts")
    host = suite.TOOLS + suite.packages(suite.HOST_PACKAGES)
    subprocess.run([os.path.join(scripts, "host-packages"), *sorted(set(host))], check=True)
    guest = ["libc6", *suite.packages(suite.GUEST_PACKAGES)]
    subprocess.run([os.path.join(scripts, "sysroot"), SYSROOTS[0], *guest], check=True)
    others = sorted(package for package in guest if versions.differ(SYSROOTS[0], package))
    if others:
        subprocess.run([os.path.join(scripts, "sysroot"), "--arch", "amd64", NATIVE_SYSROOT, *others], check=True)
