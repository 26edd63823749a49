"""The native run of an AArch64 program is one of the same version: where the host has another one, Debian's for the host is
unpacked beside the guest's root, and runs in a root of its own."""
import gzip
import os
import re
import shutil
import subprocess

NATIVE_SYSROOT = os.path.join("target", "sysroot-native")


def release(version):
    """What of a package's version counts, the first two numbers: 1:20.20.2+dfsg-1~deb12u3 is 20.20. What comes behind is a
    correction, which does not change what a program takes."""
    return ".".join(re.split(r"[-+~]", version.split(":")[-1])[0].split(".")[:2])


def of_host(package):
    """The version that is installed; None where none is."""
    asked = subprocess.run(["dpkg-query", "-W", "-f=${Version}", package], capture_output=True, text=True)
    return release(asked.stdout) if asked.returncode == 0 and asked.stdout else None


def of_root(root, package):
    """The version in an unpacked root, by the package's changelog; None where that is missing."""
    try:
        with gzip.open(os.path.join(root, "usr/share/doc", package, "changelog.Debian.gz"), "rt") as lines:
            found = re.match(r"\S+ \((\S+)\)", lines.readline())
    except OSError:
        return None
    return release(found[1]) if found else None


def differ(root, package):
    """The host's and the root's version of a package, where both are known and are not the same."""
    both = of_host(package), of_root(root, package)
    return both if None not in both and both[0] != both[1] else None


def in_native_root(root, path):
    """The command that runs a program of the host's architecture in its own root; None where that cannot be."""
    unshare = shutil.which("unshare")
    if not os.path.exists(root + path) or not unshare:
        return None
    return [unshare, "--map-root-user", f"--root={root}", path]
