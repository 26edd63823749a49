//! Real programs under both architectures and every tier, compared with their native runs.
#![allow(clippy::unwrap_used)] // a test's own failures

mod harness;

/// Declares a test for each case, on both architectures, in the default tier.
macro_rules! on_both {
    ($($name:ident($arch:ident) $body:block)*) => {
        $( fn $name($arch: crate::harness::Arch) $body )*
        mod x86_64 { $( #[test] fn $name() { super::$name(crate::harness::Arch::X86_64) } )* }
        mod aarch64 { $( #[test] fn $name() { super::$name(crate::harness::Arch::Aarch64) } )* }
    };
}

mod bench;
mod interface;
mod models;
mod options;
mod perf;
mod saved;

use harness::{Arch, compiled, guest_command, program_same_as_native, run, same_as_native};

/// Declares a test for each case, on both architectures, under each tier.
macro_rules! on_every_tier {
    ($($(#[$meta:meta])* $name:ident($arch:ident, $tier:ident) $body:block)*) => {
        $( $(#[$meta])* fn $name($arch: Arch, $tier: &str) $body )*
        on_every_tier!(@arch x86_64 X86_64 $($name)*);
        on_every_tier!(@arch aarch64 Aarch64 $($name)*);
    };
    (@arch $module:ident $arch:ident $($name:ident)*) => {
        mod $module {
            mod interp { $( #[test] fn $name() { crate::$name(crate::Arch::$arch, "interp") } )* }
            mod template { $( #[test] fn $name() { crate::$name(crate::Arch::$arch, "template") } )* }
            mod jit { $( #[test] fn $name() { crate::$name(crate::Arch::$arch, "jit") } )* }
            mod auto { $( #[test] fn $name() { crate::$name(crate::Arch::$arch, "auto") } )* }
        }
    };
}

fn numbers(count: usize) -> String {
    (0..count).map(|i| format!("{} line {}\n", i * 7919 % 10007, i)).collect()
}

on_every_tier! {
    busybox_applets(arch, tier) {
        let script = "cat /etc/hostname >/dev/null; echo a b c | tr a-z A-Z; seq 1 20 | head -5 | tail -2; \
            echo hello | rev; printf '%s\\n' b a c | sort -r; expr 6 \\* 7; echo 5 4 + | dc -e '5 4 + p'; \
            echo one two three | cut -d' ' -f2; echo abc | sed s/b/X/; echo x y | awk '{print $2,$1}'; \
            basename /usr/lib/x.so .so; dirname /usr/lib/x; echo test | md5sum; echo test | sha1sum; \
            echo aGVsbG8= | base64 -d; echo; printf 'a\\nb\\na\\n' | sort | uniq -c; wc -c < /dev/null; \
            test -d /proc && echo dir; echo hello | grep -c l; factor 1001; od -c -N 0 /dev/null; \
            printf 'abc' | hexdump -C; true && false || echo or; date -u -d @0 +%F; env -i A=1 busybox env; nproc >/dev/null";
        same_as_native(arch, tier, "/bin/busybox", &["sh", "-c", script], "");
    }
    returns_in_order_and_out_of_it(arch, tier) { program_same_as_native(arch, tier, "returns", &[]); }
    busybox_sha256_of_a_big_file(arch, tier) {
        let script = "dd if=/dev/zero bs=65536 count=24 2>/dev/null | busybox sha256sum";
        same_as_native(arch, tier, "/bin/busybox", &["sh", "-c", script], "");
    }
    ls_long(arch, tier) {
        same_as_native(arch, tier, "/bin/ls", &["-ld", "/sys", "/dev/null", "/dev/zero", "/dev/full"], "");
    }
    sort_numbers(arch, tier) {
        same_as_native(arch, tier, "/usr/bin/sort", &["-n", "-k1,1", "-k3,3r"], &numbers(3000));
    }
    wc_counts(arch, tier) {
        same_as_native(arch, tier, "/usr/bin/wc", &[], &numbers(5000));
    }
    date_formats(arch, tier) {
        same_as_native(arch, tier, "/bin/date", &["-u", "-d", "2024-02-29 12:34:56 +1 year", "+%A %s %j %FT%T"], "");
    }
    sha512sum(arch, tier) {
        same_as_native(arch, tier, "/usr/bin/sha512sum", &[], &numbers(5000));
    }
    bash_features(arch, tier) {
        let script = "trap 'echo bye' EXIT; trap 'echo usr1' USR1; kill -USR1 $$; cat <<EOF\nhere $((6*7))\nEOF\n\
            for i in 1 2 3; do echo $i; done | while read x; do echo \"got $x\"; done; (sleep 0.1; echo background) & wait; \
            yes | head -3; a=(x y z); echo ${a[@]:1} ${#a[@]}; declare -A m=([k]=v); echo ${m[k]}; \
            [[ abc =~ ^a(.)c$ ]] && echo ${BASH_REMATCH[1]}; echo $(echo sub | tr s S); false | true; echo ${PIPESTATUS[@]}; \
            printf '%05.2f\\n' 3.14159; (exit 3); echo $?; diff <(echo 1) <(echo 2); exit 5";
        same_as_native(arch, tier, "/bin/bash", &["-c", script], "");
    }
    dash_script(arch, tier) {
        let script = "i=0; while [ $i -lt 200 ]; do i=$((i+1)); done; echo $i; f() { echo fn $1; }; f x; \
            echo $(ls -d /proc); set -- a b; shift; echo $1; case abc in a*) echo match;; esac; kill -TERM $$";
        same_as_native(arch, tier, "/bin/dash", &["-c", script], "");
    }
    python_modules(arch, tier) {
        let script = "import json,re,hashlib,threading,subprocess,sys\n\
            d=json.loads(json.dumps({'a':[1,2.5,None,True],'b':{'c':'\\u00e9'}},sort_keys=True)); print(d)\n\
            print(re.findall(r'(\\w+)@(\\w+)\\.com','x@y.com, foo@bar.com'), re.sub(r'(a+)',lambda m:str(len(m[1])),'aabaaa'))\n\
            print(hashlib.sha256(b'x'*10000).hexdigest(), hashlib.md5(b'').hexdigest(), hashlib.sha3_256(b'a').hexdigest())\n\
            n=[0]; l=threading.Lock()\n\
            def work():\n  for _ in range(200):\n    with l: n[0]+=1\n\
            t=[threading.Thread(target=work) for _ in range(4)]; [x.start() for x in t]; [x.join() for x in t]; print(n)\n\
            print(subprocess.run(['echo','child'],capture_output=True,text=True).stdout)\n\
            try: subprocess.run(['/nonexistent/x'])\n\
            except FileNotFoundError as e: print('missing', e.errno)\n\
            print(2**200, 1/3, f'{3.14159:.3f}', sum(x*x for x in range(1000)), divmod(-7,3), float('1e-310'))\n\
            sys.exit(3)";
        same_as_native(arch, tier, "/usr/bin/python3", &["-c", script], "");
    }
    perl_script(arch, tier) {
        let script = "my %h; $h{$_ % 7} .= $_ for 1..50; print join(',', map {\"$_=$h{$_}\"} sort keys %h), \"\\n\"; \
            my $s = 'The quick brown fox'; (my $t = $s) =~ s/(\\w+)/\\u\\L$1/g; print \"$t\\n\"; printf \"%.10f %e %x\\n\", atan2(1,1)*4, 1e100, 255; \
            print scalar(reverse 'abc'), ' ', sprintf('%s', 10/3), \"\\n\"; my @a = sort { $b <=> $a } map { $_ * 37 % 101 } 1..20; print \"@a\\n\"; print `echo sub`; exit 2";
        same_as_native(arch, tier, "/usr/bin/perl", &["-e", script], "");
    }
    sqlite_queries(arch, tier) {
        let script = "create table t(a integer primary key, b text, c real);\n\
            with recursive n(i) as (select 1 union all select i+1 from n where i < 300) insert into t select i, 'row' || i, i * 1.5 / 7 from n;\n\
            create index i on t(b); select count(*), sum(a), round(avg(c), 10), max(c), total(c) from t;\n\
            select b, printf('%.15g', c) from t where b like 'row2_' order by c desc limit 5; select hex('abc'), 1e22, 0.1+0.2, 1.0/3;\n";
        same_as_native(arch, tier, "/usr/bin/sqlite3", &[":memory:"], script);
    }
    lua_script(arch, tier) {
        let script = "local t = {} for i = 1, 200 do t[#t+1] = i * i % 17 end table.sort(t) print(table.concat(t, ' ')) \
            print(string.format('%5.3f %q %d', math.pi, 'a\\nb', 42), ('x'):rep(5), 7 // 2, 7.5 // 2, 2^53, 1e15, -0.0) \
            print(pcall(error, 'oops')) for w in ('one two'):gmatch('%a+') do print(w) end print(math.type(3), 3 | 4, ~0)";
        same_as_native(arch, tier, "/usr/bin/lua5.4", &["-e", script], "");
    }
    compression_round_trips(arch, tier) {
        let script = "seq 1 4000 > /dev/null; for z in 'gzip -9' 'xz -1' 'zstd -q -3'; do seq 1 4000 | $z -c | ${z%% *} -dc | md5sum; done; seq 1 4000 | gzip -nc | md5sum";
        same_as_native(arch, tier, "/bin/bash", &["-c", script], "");
    }
    awk_program(arch, tier) {
        let program = "{ s += $1; n[$1 % 5]++; if ($1 > m) m = $1 } END { printf \"%d %.4f %d\\n\", s, s / NR, m; for (i = 0; i < 5; i++) print i, n[i], sin(i), exp(i); print substr(\"hello\", 2, 3), toupper(\"x\"), length(\"abc\"), index(\"abc\", \"c\") }";
        same_as_native(arch, tier, "/usr/bin/mawk", &[program], &numbers(2000));
    }
    grep_patterns(arch, tier) {
        same_as_native(arch, tier, "/bin/grep", &["-E", "-n", "^(1[0-9]+|77).*[05]$"], &numbers(3000));
    }
    openssl_digests(arch, tier) {
        let script = "for d in md5 sha1 sha256 sha512 sha3-256 blake2b512; do seq 1 500 | openssl dgst -$d; done; \
            seq 1 300 | openssl enc -aes-128-cbc -K 00112233445566778899aabbccddeeff -iv 00000000000000000000000000000000 | openssl dgst -sha256";
        same_as_native(arch, tier, "/bin/bash", &["-c", script], "");
    }
    threads_and_mutexes(arch, tier) {
        program_same_as_native(arch, tier, "threads", &[]);
    }
    faults_show_exact_registers(arch, tier) {
        program_same_as_native(arch, tier, "fault", &[]);
    }
    spawn_of_a_missing_file_says_so(arch, tier) {
        program_same_as_native(arch, tier, "spawn", &[]);
    }
    signals_interrupt_and_restart(arch, tier) {
        program_same_as_native(arch, tier, "signals", &[]);
    }
    alternate_stacks(arch, tier) {
        program_same_as_native(arch, tier, "altstack", &[]);
    }
    frames_that_handlers_change(arch, tier) {
        program_same_as_native(arch, tier, "frames", &[]);
    }
    signals_where_a_page_is_waited_for(arch, tier) {
        program_same_as_native(arch, tier, "userfault", &[]);
    }
    code_that_changes_itself(arch, tier) {
        program_same_as_native(arch, tier, "smc", &[]);
    }
    functions_that_are_replaced(arch, tier) {
        program_same_as_native(arch, tier, "patched", &[]);
    }
    code_of_a_file_that_gives_way_to_another(arch, tier) {
        program_same_as_native(arch, tier, "units", &["replaced"]);
    }
    code_on_pages_that_are_opened_and_closed(arch, tier) {
        program_same_as_native(arch, tier, "units", &["opened"]);
    }
    code_that_others_change(arch, tier) {
        program_same_as_native(arch, tier, "rewritten", &[]);
    }
    a_busy_program_under_a_profiler(arch, tier) {
        program_same_as_native(arch, tier, "profiled", &[]);
    }
    children_of_a_warm_parent(arch, tier) {
        program_same_as_native(arch, tier, "warm", &[]);
    }
    floating_point_environment(arch, tier) {
        program_same_as_native(arch, tier, "float", &[]);
    }
    forks_of_many_threads_and_execution_by_descriptor(arch, tier) {
        program_same_as_native(arch, tier, "forkstorm", &[]);
    }
    children_share_what_they_are_to_share(arch, tier) {
        program_same_as_native(arch, tier, "clones", &[]);
    }
    memory_by_way_of_the_kernel(arch, tier) {
        program_same_as_native(arch, tier, "peeking", &[]);
    }
    births_by_hand(arch, tier) {
        program_same_as_native(arch, tier, "births", &[]);
    }
    what_handlers_block(arch, tier) {
        program_same_as_native(arch, tier, "masks", &[]);
    }
    children_in_borrowed_memory_leave_nothing_behind(arch, tier) {
        program_same_as_native(arch, tier, "borrow", &[]);
    }
    processes_and_descriptors(arch, tier) {
        program_same_as_native(arch, tier, "process", &[]);
    }
}

/// The share of guest instructions that ran in `tier` ("interpreted", "in templates" or "in regions"), in percent,
/// as `-d stats` says.
pub fn share_of(tier: &str, stderr: &str) -> f64 {
    let line = stderr.lines().find(|line| line.contains("stats:")).unwrap();
    let (_, after) = line.split_once(&format!("{tier} (")).unwrap();
    after.split_once(" %").unwrap().0.parse().unwrap()
}

#[test]
fn faults_show_the_same_registers_on_every_tier() {
    for arch in [Arch::X86_64, Arch::Aarch64] {
        let program = compiled(arch, "injected");
        let seen = |tier| run(guest_command(arch, &["-tier", tier], &program, &["registers"]), "");
        let interpreted = seen("interp");
        let native = run(std::process::Command::new(compiled(Arch::X86_64, "injected")), "");
        assert!(
            interpreted.stdout.starts_with(&native.stdout) && native.status == 0,
            "{interpreted:?}\n{native:?}"
        );
        for tier in ["template", "jit", "auto"] {
            let compiled = seen(tier);
            assert_eq!(
                (compiled.status, compiled.stdout),
                (0, interpreted.stdout.clone()),
                "{arch:?} {tier}"
            );
        }
    }
}

#[test]
fn faults_in_loops_of_vectors_show_the_same_registers_on_every_tier() {
    for arch in [Arch::X86_64, Arch::Aarch64] {
        let program = compiled(arch, "loops");
        let seen = |tier| run(guest_command(arch, &["-tier", tier], &program, &[]), "");
        let interpreted = seen("interp");
        assert!(interpreted.stdout.starts_with("810 faults, "), "{interpreted:?}");
        if arch == Arch::X86_64 {
            // All but what the registers hold of the stack's place.
            let native = run(std::process::Command::new(&program), "");
            assert_eq!(native.stdout.lines().next(), interpreted.stdout.lines().next());
        }
        for tier in ["template", "jit", "auto"] {
            let compiled = seen(tier);
            assert_eq!((compiled.status, &compiled.stdout), (0, &interpreted.stdout), "{arch:?} {tier}");
        }
    }
}

/// A loop that goes on ends up in Cranelift's code: on a busy machine the compiler's thread may wait long for a core, so
/// a run whose share is still small is followed by a longer one.
#[test]
fn a_loop_ends_up_in_regions_on_both_guests() {
    for arch in [Arch::X86_64, Arch::Aarch64] {
        let share = |rounds: &str| {
            let ended = run(guest_command(arch, &["-d", "stats"], &compiled(arch, "sieve"), &[rounds]), "");
            assert_eq!((ended.status, ended.stdout.as_str()), (0, "148933\n"), "{}", ended.stderr);
            share_of("in regions", &ended.stderr)
        };
        let shares: Vec<f64> =
            ["40", "160", "640"].into_iter().map(share).take_while(|&share| share <= 99.0).collect();
        assert!(shares.len() < 3, "{arch:?}: {shares:?} % in regions");
    }
}

/// The same of what a program does once it goes other ways than before: its regions are made anew.
#[test]
fn each_phase_of_a_program_ends_up_in_regions() {
    for arch in [Arch::X86_64, Arch::Aarch64] {
        for kind in ["pointer", "way"] {
            let share = |rounds: &str| {
                let args = [kind, rounds, "0", "3"];
                let ended = run(guest_command(arch, &["-d", "stats"], &compiled(arch, "phases"), &args), "");
                let mut native = std::process::Command::new(compiled(Arch::X86_64, "phases"));
                native.args(args);
                assert_eq!((ended.status, ended.stdout), (0, run(native, "").stdout), "{}", ended.stderr);
                share_of("in regions", &ended.stderr)
            };
            let rounds = ["4000000", "16000000", "64000000"];
            let shares: Vec<f64> = rounds.into_iter().map(share).take_while(|&share| share <= 90.0).collect();
            assert!(shares.len() < rounds.len(), "{arch:?} {kind}: {shares:?} % in regions");
        }
    }
}

#[test]
fn python_runs_compiled() {
    let script = "print(sum(i*i for i in range(3*10**6)))";
    for arch in [Arch::X86_64, Arch::Aarch64] {
        let ended = run(guest_command(arch, &["-d", "stats"], "/usr/bin/python3", &["-c", script]), "");
        assert_eq!((ended.status, ended.stdout.as_str()), (0, "8999995500000500000\n"), "{}", ended.stderr);
        let (regions, interpreted) =
            (share_of("in regions", &ended.stderr), share_of("interpreted", &ended.stderr));
        assert!(regions > 50.0 && interpreted < 5.0, "{arch:?}: {}", ended.stderr);
    }
}
