"""What is measured: the programs by class, and where they come from."""
import os
import re
from dataclasses import dataclass, field

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
KERNEL_SOURCES = os.path.join(ROOT, "tests", "bench")
ARCHES = ["x86_64", "aarch64"]

# Class, what the table calls it, and the programs of tests/bench in it.
KERNELS = [
    ("integer", "integer kernels", ["sieve", "sort", "hashmap", "sha256", "crc", "vm", "calls", "fib"]),
    ("float", "floating point", ["matmul", "nbody", "mandelbrot"]),
    ("simd", "SIMD", ["vector_i32", "vector_f32", "vector_i32_avx2", "vector_f32_avx2", "strings"]),
    ("crypto", "crypto", ["aes", "sha", "clmul"]),
    ("system", "system", ["syscalls", "mmap", "signals", "threads", "fork", "forkexec"]),
]
# Programs of tests/bench that have rows of their own.
SPECIAL = ["cold", "scaling"]
CLASS_LABELS = {kind: label for kind, label, _ in KERNELS} | {
    "application": "applications, first run",
    "application again": "applications, second run",
}

# What qemu-user is not asked to do: program, and why.
NOT_FOR_QEMU = {"forkexec": "its children run natively, or not at all"}


@dataclass
class Program:
    """One thing to run: natively, and as a guest."""

    kind: str
    name: str
    native: list
    guest: list
    # Peers that do not run it, each with the reason.
    skipped: dict = field(default_factory=dict)


@dataclass
class Application:
    """A program of Debian's; `{WORD}` in its arguments stands for an input file."""

    name: str
    path: str
    arguments: list
    package: str


BASH = "s=0; for ((i=0;i<60000;i++)); do s=$((s+i*i%7)); a=x$i; done; echo $s ${#a}"
PERL = "my %h; $h{$_ % 977} .= chr(65 + $_ % 26) for 1..400000; print length(join '', sort values %h), qq(\\n)"
PYTHON = "print(sum(i * i % 7 for i in range(600000)), len({str(i): i for i in range(150000)}))"
LUA = (
    "local t = {} for i = 1, 300000 do t[i] = (i * 7919) % 100003 end table.sort(t) "
    "local s = {} for i = 1, #t, 100 do s[#s + 1] = ('%d:%x'):format(t[i], i) end "
    "print(#table.concat(s), t[1], t[#t])"
)
SQLITE = (
    "create table t(a integer primary key, b text, c real);"
    "with recursive n(i) as (select 1 union all select i + 1 from n where i < 60000) "
    "insert into t select i, 'row' || (i * 7919 % 10007), i * 1.5 from n;"
    "create index i on t(b); select count(*), sum(a), count(distinct b) from t where b like 'row1%';"
    "select b, sum(c) from t group by b order by 2 desc limit 5;"
)
NODE = (
    "const m = new Map(); for (let i = 0; i < 300000; i++) m.set('k' + i % 5003, (m.get('k' + i % 5003) || 0) + i);"
    "const s = JSON.stringify([...m]); console.log(s.length, JSON.parse(s).sort()[7],"
    " s.replace(/[0-9]+/g, x => x.length).length)"
)

APPLICATIONS = [
    Application("bash", "/bin/bash", ["-c", BASH], "bash"),
    Application("perl", "/usr/bin/perl", ["-e", PERL], "perl"),
    Application("python", "/usr/bin/python3", ["-c", PYTHON], "python3"),
    Application("lua", "/usr/bin/lua5.4", ["-e", LUA], "lua5.4"),
    Application("sqlite", "/usr/bin/sqlite3", [":memory:", SQLITE], "sqlite3"),
    Application("xz", "/usr/bin/xz", ["-1", "-c", "{DATA}"], "xz-utils"),
    Application("zstd", "/usr/bin/zstd", ["-q", "-6", "-c", "{DATA}"], "zstd"),
    Application("gzip", "/bin/gzip", ["-n", "-c", "{DATA}"], "gzip"),
    Application("openssl", "/usr/bin/openssl", ["dgst", "-sha3-256", "{LARGE}"], "openssl"),
    Application("sort", "/usr/bin/sort", ["{DATA}"], "coreutils"),
    Application("cc1", "cc1", ["-quiet", "-O2", "-fno-ident", "-fpreprocessed", "{SOURCE}", "-o", "-"], "gcc"),
    Application("node", "/usr/bin/node", ["-e", NODE], "nodejs"),
]

# The rows about starting a program, and about the memory that takes.
STARTS = [
    Application("true", "/bin/true", [], "coreutils"),
    Application(
        "python3 with json, re, asyncio",
        "/usr/bin/python3",
        ["-c", "import json, re, asyncio; print(json.dumps([1]))"],
        "python3",
    ),
]

# Packages by the name of an application's: what the host and the AArch64 root need to have it.
HOST_PACKAGES = {"gcc": "gcc-aarch64-linux-gnu"}
GUEST_PACKAGES = {"gcc": "cpp"}
TOOLS = ["gcc", "libc6-dev", "gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross", "qemu-user"]


def packages(own):
    """The packages that all applications need: on the host, or (with other names) in the AArch64 root."""
    names = [application.package for application in APPLICATIONS + STARTS]
    return sorted({own.get(name, name) for name in names})


def kernel_flags(source, arch):
    """The compiler's flags of a kernel, from the comment at its top; None where it is not for `arch`."""
    flags = {}
    with open(source) as file:
        for key, value in re.findall(r"^// flags(-\w+)?: (.*)$", file.read(), re.M):
            flags[key.lstrip("-")] = value.split()
    found = flags.get(arch, flags.get("", []))
    return None if found == ["none"] else found
