//! The option table: every option once, from which normalisation, parsing, the environment variables and
//! the help text follow.

/// What an option takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Takes {
    Nothing,
    /// A value, called this in the help.
    Value(&'static str),
}

/// What became of an option of qemu-user's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Support {
    Yes,
    /// Known, but not supported yet.
    NotYet,
}

/// One option.
pub struct OptionRow {
    /// Without dashes.
    pub name: &'static str,
    pub takes: Takes,
    /// The environment variable that means the same, if any.
    pub env: &'static str,
    pub support: Support,
    pub help: &'static str,
}

const fn row(name: &'static str, takes: Takes, env: &'static str, help: &'static str) -> OptionRow {
    OptionRow { name, takes, env, support: Support::Yes, help }
}

const fn not_yet(name: &'static str, takes: Takes, env: &'static str, help: &'static str) -> OptionRow {
    OptionRow { name, takes, env, support: Support::NotYet, help }
}

use Takes::{Nothing, Value};

/// All options, in the order of the help.
pub static OPTIONS: &[OptionRow] = &[
    row("rules", Value("DIR"), "QEMU_RULES", "run DIR/<syscall>.lua in place of each such system call"),
    row(
        "rules-log",
        Value("FILE"),
        "QEMU_RULES_LOG",
        "write what rules log to FILE instead of standard error",
    ),
    row(
        "rules-reload",
        Value("MODE"),
        "QEMU_RULES_RELOAD",
        "when edited rules take effect: watch (default), stat, always",
    ),
    row(
        "io-uring",
        Value("WHEN"),
        "QEMU_IO_URING",
        "whether guests have io_uring: auto (default: where there are no rules, which would not see its requests), on, off",
    ),
    row(
        "exec",
        Value("HOW"),
        "QEMU_EXEC",
        "programs that the guest executes: follow (default: under the emulator too), native (the host's own run natively), deny",
    ),
    row(
        "cache",
        Value("DIR"),
        "QEMU_CACHE",
        "keep translated code in DIR for the next run (default: qemu-lua in $XDG_CACHE_HOME or ~/.cache); off: do not",
    ),
    row("tier", Value("TIER"), "QEMU_TIER", "how guest code runs: auto (default), interp, template, jit"),
    row(
        "L",
        Value("PATH"),
        "QEMU_LD_PREFIX",
        "look absolute paths up below PATH first (the guest's system root)",
    ),
    row("E", Value("VAR=VALUE[,...]"), "QEMU_SET_ENV", "set variables in the guest's environment"),
    row("U", Value("VAR[,...]"), "QEMU_UNSET_ENV", "remove variables from the guest's environment"),
    row("0", Value("ARGV0"), "QEMU_ARGV0", "the program's argv[0]"),
    row(
        "s",
        Value("SIZE"),
        "QEMU_STACK_SIZE",
        "the guest's stack limit in bytes (k, M, G and T are understood)",
    ),
    row("cpu", Value("MODEL"), "QEMU_CPU", "the guest's CPU; 'help' lists models and features"),
    row("strace", Nothing, "QEMU_STRACE", "log every system call"),
    row("d", Value("ITEM[,...]"), "QEMU_LOG", "log these items; 'help' lists them"),
    row(
        "dfilter",
        Value("RANGE[,...]"),
        "QEMU_DFILTER",
        "log code of these addresses only (start..end, start+len)",
    ),
    row(
        "D",
        Value("FILE"),
        "QEMU_LOG_FILENAME",
        "write the log to FILE (%d: the process id) instead of standard error",
    ),
    row("r", Value("RELEASE"), "QEMU_UNAME", "the kernel release that uname reports"),
    row(
        "R",
        Value("SIZE"),
        "QEMU_RESERVED_VA",
        "end the guest's address space at SIZE (4T: 42 bits, which AArch64's ThreadSanitizer knows; default 47 bits)",
    ),
    row(
        "B",
        Value("ADDRESS"),
        "QEMU_GUEST_BASE",
        "accepted where it is 0: guest addresses are host addresses",
    ),
    row("p", Value("SIZE"), "QEMU_PAGESIZE", "the page size; must be the host's"),
    row("seed", Value("NUMBER"), "QEMU_RAND_SEED", "make the guest's random numbers a function of NUMBER"),
    row("one-insn-per-tb", Nothing, "QEMU_ONE_INSN_PER_TB", "translate one guest instruction at a time"),
    row("t", Value("MAP"), "QEMU_RTSIG_MAP", "accepted: all realtime signals are the guest's already"),
    row(
        "tb-size",
        Value("SIZE"),
        "QEMU_TB_SIZE",
        "accepted: the room for translated code is not bounded by it",
    ),
    not_yet("g", Value("PORT"), "QEMU_GDB", "wait for a debugger at PORT"),
    not_yet("plugin", Value("FILE"), "QEMU_PLUGIN", "load a plugin"),
    not_yet("trace", Value("SPEC"), "QEMU_TRACE", "enable trace events"),
    row("perfmap", Nothing, "QEMU_PERFMAP", "name translated code for perf in /tmp/perf-PID.map"),
    row(
        "jitdump",
        Nothing,
        "QEMU_JITDUMP",
        "dump translated code for perf (record -k mono, then inject --jit) in jit-PID.dump",
    ),
    row("singlestep", Nothing, "QEMU_SINGLESTEP", "the same as -one-insn-per-tb"),
    row(
        "isa-coverage",
        Nothing,
        "",
        "list the instructions in the files that follow which are not there, and end: 1 if the CPU advertises one",
    ),
    row("version", Nothing, "", "print the version and end"),
    row("h", Nothing, "", "print this help and end (also -help, --help)"),
];

/// The row of an option as it stands on the command line (`-L`, `--L`, `-help`), if it is one.
#[must_use]
pub fn find(argument: &str) -> Option<&'static OptionRow> {
    let name = argument.strip_prefix("--").or_else(|| argument.strip_prefix('-'))?;
    let name = match name {
        "help" => "h",
        "v" | "V" => "version",
        other => other,
    };
    OPTIONS.iter().find(|row| row.name == name)
}

/// The help text.
#[must_use]
pub fn help(program: &str, arch: &str) -> String {
    let mut out = format!(
        "usage: {program} [options] program [arguments...]\n\n\
         Runs a Linux {arch} program. With --rules DIR, a Lua script DIR/<syscall>.lua decides over each\n\
         system call of that name.\n\n\
         Options may be written with one or two dashes, and set by the environment variable shown:\n\n"
    );
    for row in OPTIONS {
        let value = match row.takes {
            Nothing => String::new(),
            Value(name) => format!(" {name}"),
        };
        let dashes = if row.name.len() > 1 && row.support == Support::Yes && row.name.starts_with("rules")
            || row.name == "tier"
        {
            "--"
        } else {
            "-"
        };
        let left = format!("{dashes}{}{value}", row.name);
        let note = if row.support == Support::NotYet { " (not supported yet)" } else { "" };
        let env = if row.env.is_empty() { String::new() } else { format!(" [{}]", row.env) };
        out.push_str(&format!("  {left:<24} {}{note}{env}\n", row.help));
    }
    out.push_str(
        "\nEverything after the program belongs to it. The exit status is the program's; a program killed by\n\
         a signal dies of that signal. Own failures: 127 program not found, 126 cannot be run.\n\n\
         Examples:\n",
    );
    out.push_str(&format!("  {program} --rules rules_examples_v2 ./program    log and change its calls\n"));
    out.push_str(&format!(
        "  {program} -L ./sysroot ./sysroot/bin/ls -l       a dynamic program with its libraries\n"
    ));
    out.push_str(&format!(
        "  {program} -strace ./program                      see what it asks of the kernel\n"
    ));
    out
}
