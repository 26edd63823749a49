# Scenarios, for suites of whole programs: a scenario is a shell function, run by bash natively and by a bash under the
# emulator, each in an empty directory. It must print the same, end with the same status and leave no process behind.
# Sourced after lib.sh.
#
# A scenario finds in its environment: PORT, which was free a moment ago; SOURCES, with source packages; PROGRAMS, the suites' own
# programs. Its working directory is HOME.

programs=$PWD/scripts/suites/programs

# The AArch64 system of all these suites; one, because its packages are fetched again when the list changes.
arm64_root=$work/arm64-programs
arm64_packages=(
    apache2-utils bash ca-certificates clang cmake coreutils curl diffutils findutils g++ gawk gcc git gnupg golang-1.19-go
    golang-1.19-src golang-go gpg-agent grep gzip hostname libasan8 libc6-dev libnss3 libtsan2 libubsan1 luajit make mawk
    nginx-light nodejs openjdk-17-jdk-headless openssh-client perl postgresql-15 postgresql-client-15 procps psmisc python3
    redis-server redis-tools rsync ruby sed sqlite3 stress-ng tar tcc tcl util-linux
)

# Where the address space of its programs ends (-R): 0 is the default, 47 bits.
arm64_space=0

# scenario_uses FUNCTION...: what scenarios call
used=()
scenario_uses() { used+=("$@"); }

# prepared PACKAGE... -- ARGUMENT...: Debian packages for the host, the emulator, and the AArch64 system; the arguments are
# the suite's
prepared() {
    local packages=()
    while [ "$1" != -- ]; do
        packages+=("$1")
        shift
    done
    shift
    scripts/host-packages "${packages[@]}"
    start "$@"
    [[ " ${archs[*]} " == *" aarch64 "* ]] || return 0
    scripts/sysroot "$arm64_root" "${arm64_packages[@]}"
    ln -sf gcc "$arm64_root/usr/bin/cc"     # the alternatives that the packages' set-up would choose
    ln -sf g++ "$arm64_root/usr/bin/c++"
}

# a port on which nobody listens
free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# in_bash WHERE ENVIRONMENT...: a bash, natively or as a guest, with the environment and nothing else
in_bash() {
    local where=$1
    shift
    case "$where" in
    native) env -i "$@" /bin/bash ./script ;;
    x86_64) env -i "$@" "$bin/qemu-lua-x86_64" /bin/bash ./script ;;
    aarch64) env -i "$@" "$bin/qemu-lua-aarch64" -R "$arm64_space" -L "$arm64_root" "$arm64_root/bin/bash" ./script ;;
    esac
}

# Processes of the run of that name: they have it in their environment. (The other names in /proc are not ours to know.)
run_processes() {
    grep -lzsxF "SCENARIO=$1" /proc/[0-9]*/environ | sed 's/[^0-9]//g' || true
}

# Gives the processes of a run some time to end, then kills them; fails if there was one to kill.
swept() {
    local run=$1 try left
    for try in {1..50}; do
        left=$(run_processes "$run")
        [ -n "$left" ] || return 0
        sleep 0.1
    done
    # shellcheck disable=SC2086 # pids are words
    ps -o pid=,args= -p $(echo $left | tr ' ' ,) | sed 's/^/    left behind: /'
    # shellcheck disable=SC2086
    kill -KILL $left 2>/dev/null || true
    return 1
}

# staged WHERE NAME SECONDS AS: runs a scenario; its output is in $work/$suite/WHERE-NAME.txt. AS is `nobody` for what
# refuses to run as root.
staged() {
    local where=$1 name=$2 seconds=$3 as=$4 directory status=0
    local run=$suite-$where-$name-$$ output=$work/$suite/$where-$name.txt
    directory=$(mktemp -d "/tmp/$suite.XXXXXX")
    {
        declare -f "$name" within "${used[@]}"
        echo 'set -u; cd "$HOME"; '"$name"
    } >"$directory/script"
    local before=()
    if [ "$as" = nobody ] && [ "$(id -u)" = 0 ]; then
        chown nobody "$directory"
        before=(setpriv --reuid=nobody --regid=nogroup --clear-groups)
    fi
    (
        cd "$directory"
        export -f in_bash
        export bin arm64_root arm64_space
        exec setsid timeout -k 5 "$seconds" "${before[@]}" bash -c 'in_bash "$@"' in_bash "$where" SCENARIO="$run" \
            PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin HOME="$directory" LC_ALL=C TZ=UTC USER=nobody \
            PORT="$(free_port)" PROGRAMS="$programs" SOURCES="$work"
    ) >"$output" 2>"${output%.txt}.err" </dev/null || status=$?
    echo "status $status" >>"$output"
    swept "$run" || echo "left processes behind" >>"$output"
    rm -rf "$directory"
}

# within SECONDS COMMAND...: the command succeeds, tried again until the time is up
within() {
    local end=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $end ] || { echo "not in time: $*"; return 1; }
        sleep 0.1
    done
}

# scenario NAME SECONDS [AS]: everywhere. SUITE_ONLY in the environment names the scenarios to be run, by default all.
scenario() {
    local name=$1 seconds=$2 as=${3:-anybody} arch start
    [ -z "${SUITE_ONLY:-}" ] || [[ " $SUITE_ONLY " == *" $name "* ]] || return 0
    staged native "$name" "$seconds" "$as"
    for arch in "${archs[@]}"; do
        start=$SECONDS
        staged "$arch" "$name" "$seconds" "$as"
        same "$arch $name, $((SECONDS - start)) s" "$work/$suite/native-$name.txt" "$work/$suite/$arch-$name.txt"
    done
}

# only_on ARCH COMMAND...: with that guest alone, if at all
only_on() {
    [[ " ${archs[*]} " == *" $1 "* ]] || return 0
    local everywhere=("${archs[@]}")
    archs=("$1")
    "${@:2}"
    archs=("${everywhere[@]}")
}
