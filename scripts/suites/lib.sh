# What the suites share: getting ready, running guests, and counting what passes. Sourced by each of them.
#
# Everything lies below target/suites but Debian packages for the host, which scripts/host-packages names first.
set -euo pipefail
suite=${0##*/}
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
work=$PWD/target/suites
bin=$PWD/target/x86_64-unknown-linux-gnu/release
passed=0
failed=0

# The programs and libraries that isa-coverage and cross-check look at, and what the other suites run besides. One root for all of them,
# because its packages are fetched again when the list changes.
looked_at=(
    bash coreutils cpp-12 ffmpeg fzf libavcodec59 libc6 libnode108 libopenblas0-pthread libx264-164 openssl python3
    ripgrep
)
run_besides=(
    gcc libc6-dev libpython3.11-testsuite perl python3-dev python3-hypothesis python3-numpy python3-pytest
    python3-setuptools python3-tz
)

# arguments of a suite: the guest architectures, by default both
start() {
    [ $# -gt 0 ] || set -- x86_64 aarch64
    for arch in "$@"; do
        case "$arch" in
        x86_64 | aarch64) ;;
        *) sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
        esac
    done
    archs=("$@")
    mkdir -p "$work/$suite"
    cargo build --quiet --release
}

# a Debian 12 system of the architecture: debian_root amd64|arm64
debian_root() {
    local packages=("${looked_at[@]}")
    [ "$1" != arm64 ] || packages+=("${run_besides[@]}")
    scripts/sysroot --arch "$1" "$work/$1" "${packages[@]}"
}

# the files that isa-coverage and cross-check look at: files_looked_at amd64|arm64. The last two are a Go and a Rust program.
files_looked_at() {
    local root=$work/$1/usr triplet=x86_64-linux-gnu
    [ "$1" = amd64 ] || triplet=aarch64-linux-gnu
    printf "$root/lib/$triplet/%s\n" libc.so.6 libm.so.6 libcrypto.so.3 libavcodec.so.59 libx264.so.164 \
        openblas-pthread/libopenblas.so.0 libnode.so.108
    printf "$root/%s\n" "lib/gcc/$triplet/12/cc1" bin/python3 bin/fzf bin/rg
}

# guest ARCH MODEL PROGRAM ARGUMENT...: a program of the host or of the AArch64 system, under the emulator
guest() {
    local arch=$1 model=$2 program=$3
    shift 3
    if [ "$arch" = x86_64 ]; then
        "$bin/qemu-lua-x86_64" -cpu "$model" "$program" "$@"
    else
        "$bin/qemu-lua-aarch64" -cpu "$model" -L "$work/arm64" "$(inside "$program")" "$@"
    fi
}

# the same by the independent emulator
by_qemu() {
    local program=$1
    shift
    qemu-aarch64 -L "$work/arm64" "$(inside "$program")" "$@"
}

# a program of the AArch64 system, or one of our own
inside() { if [ -e "$work/arm64$1" ]; then echo "$work/arm64$1"; else echo "$1"; fi; }

# the CPU models of an architecture; the environment's SUITE_MODELS names fewer
models() {
    if [ -n "${SUITE_MODELS:-}" ]; then
        echo "$SUITE_MODELS"
    else
        "$bin/qemu-lua-$1" -cpu help | awk '/^$/ { exit } /^  / { print $1 }'
    fi
}

pass() { passed=$((passed + 1)); printf 'PASS %s\n' "$*"; }
fail() { failed=$((failed + 1)); printf 'FAIL %s\n' "$*"; }

# check WHAT COMMAND...: the command succeeds
check() {
    local what=$1
    shift
    if "$@"; then pass "$what"; else fail "$what"; fi
}

# same WHAT EXPECTED GOT: two files are there and equal
same() {
    if [ -s "$2" ] && cmp -s "$2" "$3"; then pass "$1"; else fail "$1 ($2 and $3 differ)"; fi
}

# the last line, and the exit status
finish() {
    printf '%s: %d passed, %d failed (%d s)\n' "$suite ${archs[*]}" "$passed" "$failed" "$SECONDS"
    [ "$failed" = 0 ] && [ "$passed" != 0 ]
}
