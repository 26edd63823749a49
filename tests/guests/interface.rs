//! What programs see of the system and of each other: /proc, processes, descriptors. On both architectures, in the
//! default tier.

use crate::harness::{
    Arch, compiled, guest_command, program_same_as_native, run, same_as_native, start, watch,
};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// A guest that is ended with the test.
struct Running(Child, Option<crate::harness::Watchdog>);

impl Running {
    fn start(mut command: Command) -> Self {
        let child = start(&mut command);
        let watchdog = watch(child.id() as i32, Duration::from_secs(60));
        Self(child, Some(watchdog))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
        self.1.take();
    }
}

fn eventually(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(20), "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// An empty directory of this test's.
fn emptied(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(&path).unwrap();
    path
}

/// Whether the kernel can be told where a process's arguments are.
fn kernel_takes_arguments() -> bool {
    let probe =
        "import ctypes; n = ctypes.c_uint(); print(ctypes.CDLL(None).prctl(35, 15, ctypes.byref(n), 0, 0))";
    let mut python = Command::new("/usr/bin/python3");
    python.args(["-c", probe]);
    run(python, "").stdout == "0\n"
}

const THREADS: &str = "import os\nsum(i*i for i in range(10**6))\n\
    print(len(os.listdir('/proc/self/task')), [l for l in open('/proc/self/status') if l.startswith(('Threads', 'FDSize'))],\n\
    open('/proc/self/stat').read().rsplit(') ', 1)[1].split()[17])";

/// Looks at a process that it has started, and at itself: at what listings have, and at what they have not.
const OTHERS: &str = "import os, resource, subprocess
child = subprocess.Popen(['/bin/busybox', 'sh', '-c', 'echo; read x'], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
child.stdout.readline()
limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
for d in f'/proc/{child.pid}', '/proc/self', '/proc/self/task/' + str(os.getpid()):
    print(d.count('/'), *[sorted(os.listdir(f'{d}/{kind}'), key=int)[:5] for kind in ('fd', 'fdinfo')])
    here = os.open(d, os.O_PATH)
    for kind in 'fd', 'fdinfo':
        names = [f'{kind}/{n}' for n in range(limit - 64, limit)]
        print([n for n in names if os.path.lexists(f'{d}/{n}')], [n for n in names if os.access(n, os.F_OK, dir_fd=here)])
    if d == '/proc/self':
        ways = '/dev/fd', d + '/fd/../fd', f'{d}/task/{os.getpid()}/../../fd', d + '/root/proc/self/fd', f'{d}/fd/{here}/fd'
        print([w for w in ways for n in range(limit - 64, limit) if os.access(f'{w}/{n}', os.F_OK)])
        print([any('qemu' in line for line in open(w + '/../maps')) for w in ways[1:4]])
    if 'task' in d: continue
    print(len(os.listdir(d + '/task')), [l for l in open(d + '/status') if l.startswith('Threads')])
    print(open(d + '/stat').read().rsplit(') ', 1)[1].split()[17])
    files = [os.readlink(f'{d}/map_files/{m}') for m in os.listdir(d + '/map_files')]
    print(len(files) > 1, [f for f in files if 'qemu' in f])
child.communicate(b'')";

on_both! {
    others_see_the_guests_name_and_arguments(arch) {
        if !kernel_takes_arguments() {
            eprintln!("skipped: this kernel has no PR_SET_MM_MAP");
            return;
        }
        let guest = Running::start(guest_command(arch, &[], "/bin/sleep", &["59", "58.5"]));
        let directory = format!("/proc/{}", guest.0.id());
        let said = || fs::read_to_string(format!("{directory}/cmdline")).unwrap_or_default();
        eventually("the guest's arguments", || said().ends_with("/sleep\x0059\x0058.5\0"));
        assert!(fs::read_to_string(format!("{directory}/environ")).unwrap().contains("TZ=UTC\0"));
        eventually("its name", || fs::read_to_string(format!("{directory}/comm")).unwrap() == "sleep\n");
        for other in [Arch::X86_64, Arch::Aarch64] {
            let link = format!("{directory}/exe");
            let seen = run(guest_command(other, &[], "/bin/readlink", &[&link]), "");
            assert!(seen.stdout.ends_with("/usr/bin/sleep\n"), "{seen:?}");
            let size = run(guest_command(other, &[], "/usr/bin/stat", &["-L", "-c", "%s", &link]), "").stdout;
            let own = fs::metadata(link).unwrap().len();
            assert_ne!(size.trim(), own.to_string(), "the emulator's size");
        }
    }
    a_program_may_change_its_title(arch) {
        if kernel_takes_arguments() {
            let script = "$0 = 'another title'; open F, '/proc/self/cmdline'; $_ = <F>; s/\\0+$//; print \"$_\\n\"";
            same_as_native(arch, "auto", "/usr/bin/perl", &["-e", script], "");
        }
    }
    a_daemon_keeps_no_pipe_of_its_starter(arch) {
        let script = "sleep 100 </dev/null >/dev/null 2>&1 & echo $!";
        let ended = run(guest_command(arch, &[], "/bin/bash", &["-c", script]), "");
        // Both pipes were at their ends while the daemon lived.
        let mut kill = Command::new("kill");
        kill.args(["-KILL", ended.stdout.trim()]);
        assert_eq!((ended.status, run(kill, "").status), (0, 0), "{ended:?}");
    }
    threads_of_the_emulator_are_not_seen(arch) {
        same_as_native(arch, "auto", "/usr/bin/python3", &["-c", THREADS], "");
    }
    messages_semaphores_and_shared_memory(arch) { program_same_as_native(arch, "auto", "ipc", &[]); }
    sockets_and_what_goes_through_them(arch) { program_same_as_native(arch, "auto", "sockets", &[]); }
    mappings_of_other_processes(arch) {
        let script = "sleep 9 & for file in maps smaps numa_maps; do grep -c qemu /proc/$!/$file; done; \
            grep -c stack /proc/$!/maps; kill $!";
        same_as_native(arch, "auto", "/bin/busybox", &["sh", "-c", script], "");
    }
    what_is_the_emulators_in_other_processes(arch) {
        same_as_native(arch, "auto", "/usr/bin/python3", &["-c", OTHERS], "");
    }
    programs_without_a_path(arch) { program_same_as_native(arch, "auto", "execute", &[]); }
    children_of_vfork_execute_either_architecture_in_another_root(arch) {
        let root = emptied(&format!("crossroot-{arch:?}"));
        for of in [Arch::X86_64, Arch::Aarch64] {
            // A copy would be busy while a child that another thread starts has it open for writing.
            fs::hard_link(compiled(of, "crossroot"), root.join(format!("{of:?}"))).unwrap();
        }
        let args = [root.to_str().unwrap(), "/X86_64", "/Aarch64", "/X86_64"];
        let ended = run(guest_command(arch, &[], &compiled(arch, "crossroot"), &args), "");
        assert_eq!((ended.status, ended.stdout.as_str()), (0, "x86_64\naarch64\nx86_64\n"), "{ended:?}");
    }
    conditions_on_the_way_to_a_file_in_the_system_root(arch) {
        let base = emptied(&format!("resolve-{arch:?}"));
        let only = base.join("root/only");
        fs::create_dir_all(&only).unwrap();
        fs::write(only.join("file"), "inside").unwrap();
        symlink("file", only.join("link")).unwrap();
        // The system root's own path has a link.
        symlink("root", base.join("way")).unwrap();
        let mut command = Command::new(arch.emulator());
        command.arg("-L").arg(base.join("way")).arg(compiled(arch, "resolve"));
        let ended = run(command, "");
        // As the program says natively in a chroot.
        assert_eq!((ended.status, ended.stdout.as_str()), (0, include_str!("resolve.txt")), "{ended:?}");
    }
    a_root_that_has_only_the_program(arch) { program_same_as_native(arch, "auto", "chroot", &[]); }
    fixed_addresses_that_programs_may_take(arch) { program_same_as_native(arch, "auto", "places", &[]); }
    filters_of_the_programs_own(arch) { program_same_as_native(arch, "auto", "filtered", &[]); }
    as_many_descriptors_as_natively(arch) { program_same_as_native(arch, "auto", "descriptors", &[]); }
    limits_of_the_address_space(arch) { program_same_as_native(arch, "auto", "limits", &[]); }
    threads_at_their_limits(arch) { program_same_as_native(arch, "auto", "threading", &[]); }
    supervisors_of_system_calls(arch) { program_same_as_native(arch, "auto", "listener", &[]); }
    code_that_is_made_all_the_time(arch) { program_same_as_native(arch, "auto", "rejit", &[]); }
    calls_of_newer_kernels(arch) { program_same_as_native(arch, "auto", "newer", &[]); }
    what_calls_say_to_bad_arguments(arch) {
        // x86-64's own calls only where they are compared with their like.
        let own: &[&str] = if arch == Arch::X86_64 { &["legacy"] } else { &[] };
        program_same_as_native(arch, "auto", "errnos", own);
    }
    no_signal_is_lost(arch) { program_same_as_native(arch, "auto", "sigstorm", &[]); }
    forks_of_eight_threads(arch) { program_same_as_native(arch, "auto", "stress", &["forks", "400"]); }
    children_that_are_killed(arch) { program_same_as_native(arch, "auto", "stress", &["kills", "100"]); }
    corners_of_the_address_space(arch) { program_same_as_native(arch, "auto", "memory", &[]); }
    strict_mode(arch) { program_same_as_native(arch, "auto", "strictly", &[]); }
    requests_in_a_ring(arch) { program_same_as_native(arch, "auto", "uring", &[]); }
    waiting_for_events(arch) { program_same_as_native(arch, "auto", "events", &[]); }
    job_control_on_a_terminal(arch) {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/guests/programs/jobs.py");
        let at_a_terminal = |shell: &Command| {
            let mut python = Command::new("/usr/bin/python3");
            python.arg(script).arg(shell.get_program()).args(shell.get_args());
            run(python, "")
        };
        let expected = at_a_terminal(&Command::new("/bin/bash"));
        assert_eq!(expected.status, 0, "{expected:?}");
        assert_eq!(at_a_terminal(&guest_command(arch, &[], "/bin/bash", &[])), expected);
    }
    programs_of_both_architectures_execute_each_other(arch) {
        let other = if arch == Arch::X86_64 { Arch::Aarch64 } else { Arch::X86_64 };
        let (own, foreign) = (compiled(arch, "process"), compiled(other, "process"));
        let script = format!("MARK=m {foreign} x; echo $?; MARK=n exec {own} y");
        let model = if arch == Arch::X86_64 { "qemu64" } else { "cortex-a53" };
        let ended = run(guest_command(arch, &["-cpu", model], "/bin/bash", &["-c", &script]), "");
        let expected = format!("executed: {foreign} m\n6\nexecuted: {own} n\n");
        assert_eq!((ended.status, ended.stdout), (6, expected), "{}", ended.stderr);
    }
    children_that_share_memory_execute_the_other_architecture_again(arch) {
        let other = if arch == Arch::X86_64 { Arch::Aarch64 } else { Arch::X86_64 };
        let foreign = compiled(other, "process");
        // Python's children are vfork's.
        let script = format!("import subprocess as s\nfor _ in 'abc': print(s.run(['{foreign}', 'x']).returncode, flush=True)");
        let ended = run(guest_command(arch, &[], "/usr/bin/python3", &["-c", &script]), "");
        let statuses = ended.stdout.lines().filter(|line| *line == "6").count();
        assert_eq!((ended.status, statuses), (0, 3), "{}{}", ended.stdout, ended.stderr);
    }
    own_files_in_proc_are_found_by_any_path(arch) {
        let script = "cd /proc/self; for f in maps ./status /proc//self/maps /proc/self/./task/$$/maps /proc/$$/stat; do \
            mapfile x < $f; [[ ${x[*]} == *qemu-lua* ]]; echo $? $((${#x[*]} > 0)); done; \
            readlink /proc/$$/exe | grep -c qemu-lua; test -x exe && echo executable";
        same_as_native(arch, "auto", "/bin/bash", &["-c", script], "");
    }
}
