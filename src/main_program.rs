//! From `main` to the first guest instruction.

use crate::cli::{self, CommandLine, Settings, UsageError};
use crate::code_cache;
use crate::debug;
use crate::exec::Env;
use crate::exec::tier::{TierMode, TierPolicy};
use crate::exec::vcpu::Vcpu;
use crate::host::files::OwnedFile;
use crate::host::startup::Startup;
use crate::host::{kept, random, signals, startup, sys};
use crate::isa_coverage;
use crate::linux::dispatch::Dispatch;
use crate::linux::exec::{Handoff, Named, PROGRAM, Target, resolve, sysroot_path};
use crate::linux::limits::SpaceLimit;
use crate::linux::signal::Actions;
use crate::linux::thread::Thread;
use crate::linux::{Options, Process, announce, path, seccomp};
use crate::loader::stack::{Stack, StackContents};
use crate::loader::{self, LoadError};
use crate::log;
use crate::rules;
use guest::arch::GuestArch;
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::{Arc, Mutex};

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Why nothing was run.
#[derive(Debug, thiserror::Error)]
enum StartError {
    #[error("{0}")]
    Usage(#[from] UsageError),
    #[error("{0}")]
    Load(#[from] LoadError),
    #[error("{0}")]
    Rules(#[from] rules::RulesError),
}

fn usage(message: String) -> StartError {
    StartError::Usage(UsageError::Invalid(message))
}

/// Runs the emulator for `arch_name`; the exit status, if a guest did not provide one.
pub fn run(arch_name: &'static str, startup: Startup) -> i32 {
    let Some(arch) = crate::guests::by_name(arch_name) else {
        log::line(&format!("this build has no {arch_name} guest"));
        return 1;
    };
    match start(arch, startup) {
        Ok(status) => status,
        Err(error) => {
            log::line(&error.to_string());
            match error {
                StartError::Load(error) => error.exit_status(),
                _ => 1,
            }
        }
    }
}

/// What is to be run, and how.
struct Plan {
    settings: Settings,
    target: Target,
    envp: Vec<CString>,
    first_image: bool,
    /// System call filters of the program before.
    filters: seccomp::Mode,
    /// Its limit of the address space.
    space_limit: Option<Arc<SpaceLimit>>,
    /// Of its thread's last exceptions.
    exception: [u64; 2],
}

fn start(arch: &'static dyn GuestArch, startup: Startup) -> Result<i32, StartError> {
    let handoff = Handoff::receive();
    let actions = handoff.as_ref().map_or_else(Actions::inherited, |h| Actions::ignoring(h.ignored));
    let mask = signals::mask();
    let plan = match handoff {
        Some(handoff) => plan_from_handoff(handoff, startup)?,
        None => match plan_from_arguments(arch, startup)? {
            Ok(plan) => plan,
            Err(status) => return Ok(status),
        },
    };
    // Those of rules and of perf's files do not move.
    if ["rules", "perfmap", "jitdump"].iter().any(|option| plan.settings.is_set(option)) {
        kept::stand_at_top();
    }
    apply_log_settings(&plan.settings)?;
    let features = match cpu_features(arch, &plan.settings) {
        Ok(features) => features,
        // Executed by an emulator of another architecture, whose model it is.
        Err(_) if !plan.first_image => arch.cpu_models().first().map_or(0, |m| m.features),
        Err(error) => return Err(error),
    };
    let options = options(&plan.settings, plan.first_image)?;
    match debug::perf::start() {
        Err((path, errno)) if plan.first_image => {
            return Err(usage(format!("cannot write {path}: {}", loader::errno_text(errno))));
        }
        _ => {}
    }
    signals::install_fault_handlers();
    crate::host::spawn::own_memory();
    if arch.name() == "aarch64" {
        crate::mem::ignore_top_byte();
    }
    run_guest(arch, features, options, plan, actions, mask)
}

/// The command line of a first image. `Err` inside is a status to end with (help was printed).
fn plan_from_arguments(
    arch: &'static dyn GuestArch,
    startup: Startup,
) -> Result<Result<Plan, i32>, StartError> {
    let variable = |name: &str| {
        let prefix = format!("{name}=");
        startup.envp.iter().find_map(|e| e.to_str().ok()?.strip_prefix(&prefix).map(str::to_owned))
    };
    let CommandLine { settings, guest } = cli::parse(startup.argv.get(1..).unwrap_or(&[]), variable)?;
    if let Some(status) = answer_questions(arch, &settings) {
        return Ok(Err(status));
    }
    if settings.is_set("isa-coverage") {
        return Ok(Err(isa_coverage::run(arch, cpu_features(arch, &settings)?, &guest)));
    }
    let Some(program) = guest.first().cloned() else { return Err(UsageError::NoProgram.into()) };
    let envp = guest_environment(&settings, startup.envp)?;
    let mut argv = guest;
    if let Some(argv0) = settings.get("0") {
        argv[0] = CString::new(argv0).unwrap_or_default();
    }
    let sysroot = absolute(settings.get("L"));
    let target = resolve(sysroot.as_deref(), &Named::path(program.as_bytes()), argv)?;
    let filters = seccomp::Mode::Off;
    Ok(Ok(Plan { settings, target, envp, first_image: true, filters, space_limit: None, exception: [0; 2] }))
}

/// The program that the image before this one was told to execute.
fn plan_from_handoff(handoff: Handoff, startup: Startup) -> Result<Plan, StartError> {
    let args: Vec<CString> = handoff.own_args.iter().filter_map(|a| CString::new(a.as_str()).ok()).collect();
    let CommandLine { settings, .. } = cli::parse(&args, |_| None)?;
    let mut program = None;
    for (what, fd) in &handoff.descriptors {
        let high = kept::adopt(*fd);
        if what == PROGRAM {
            program = Some(OwnedFile::from_raw(high));
        } else {
            let _ = startup::pass_on(what, high);
        }
    }
    let missing = || LoadError::Open { path: handoff.path.clone(), errno: libc::ENOENT };
    let file = program.ok_or_else(missing)?;
    let name = CString::new(handoff.name).unwrap_or_default();
    let filters = seccomp::decode(&handoff.filters);
    let space_limit = SpaceLimit::decode(&handoff.space_limit);
    let target = Target { path: handoff.path, file, argv: startup.argv, name };
    let (exception, envp) = (handoff.exception, startup.envp);
    Ok(Plan { settings, target, envp, first_image: false, filters, space_limit, exception })
}

/// -h, -version, -cpu help, -d help.
fn answer_questions(arch: &dyn GuestArch, settings: &Settings) -> Option<i32> {
    let program = format!("qemu-lua-{}", arch.name());
    let text = if settings.is_set("h") {
        cli::options::help(&program, arch.name())
    } else if settings.is_set("version") {
        format!("{program} version {VERSION}\n")
    } else if settings.get("cpu") == Some("help") {
        cpu_help(arch)
    } else if settings.get("d").is_some_and(|items| items.split(',').any(|i| i == "help" || i == "?")) {
        debug::help()
    } else {
        return None;
    };
    sys::syscall(libc::SYS_write, [1, text.as_ptr() as u64, text.len() as u64, 0, 0, 0]);
    Some(0)
}

fn cpu_help(arch: &dyn GuestArch) -> String {
    let mut out = "CPU models (the first is the default):\n".to_owned();
    for model in arch.cpu_models() {
        out.push_str(&format!("  {:<16} {}\n", model.name, model.description));
    }
    out.push_str("\nFeatures, for -cpu model,+feature,-feature:\n ");
    for (name, _) in arch.cpu_features() {
        out.push_str(&format!(" {name}"));
    }
    out.push('\n');
    out
}

/// The guest's environment: ours, with the changes of -E and -U in their order.
fn guest_environment(settings: &Settings, mut envp: Vec<CString>) -> Result<Vec<CString>, StartError> {
    let changes = settings.in_order().filter(|(option, _)| matches!(*option, "E" | "U"));
    for (option, change) in
        changes.flat_map(|(option, list)| list.split(',').map(move |change| (option, change)))
    {
        let name = match (option, change.split_once('=')) {
            ("U", _) => change,
            (_, Some((name, _))) => name,
            (_, None) => return Err(usage(format!("-E: {change} is not VAR=VALUE"))),
        };
        envp.retain(|entry| entry.to_bytes().split(|byte| *byte == b'=').next() != Some(name.as_bytes()));
        if option == "E" {
            envp.extend(CString::new(change).ok());
        }
    }
    Ok(envp)
}

/// The path, absolute, so that it holds after the guest's chdir.
fn absolute(path: Option<&str>) -> Option<String> {
    let path = path?;
    let full = std::path::absolute(path).ok()?;
    Some(full.to_string_lossy().trim_end_matches('/').to_owned())
}

fn apply_log_settings(settings: &Settings) -> Result<(), StartError> {
    for item in settings.all("d").flat_map(|items| items.split(',')) {
        if item.starts_with("trace:") {
            return Err(usage(format!("-d {item} is not supported yet")));
        }
        let bit = debug::parse_item(item)
            .ok_or_else(|| usage(format!("unknown log item {item} (-d help lists them)")))?;
        debug::enable(bit);
    }
    for (option, bit) in [("perfmap", debug::item::PERF_MAP), ("jitdump", debug::item::JIT_DUMP)] {
        if settings.is_set(option) {
            debug::enable(bit);
        }
    }
    for range in settings.all("dfilter").flat_map(|ranges| ranges.split(',')) {
        let range = debug::parse_range(range).ok_or_else(|| {
            usage(format!("cannot read address range {range} (start..end or start+length)"))
        })?;
        debug::add_filter(range);
    }
    let kept = match (startup::passed("log"), settings.get("D")) {
        (Some(kept), _) => Some(kept),
        (None, Some(path)) => {
            let path = &path.replace("%d", &std::process::id().to_string());
            let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_TRUNC | libc::O_APPEND;
            let file = OwnedFile::open_with(path, flags, 0o666).map_err(|errno| {
                usage(format!("cannot write log file {path}: {}", loader::errno_text(errno)))
            })?;
            startup::pass_on("log", file.into_raw())
        }
        (None, None) if !settings.is_set("strace") && settings.get("d").is_none() => {
            log::borrow_stderr();
            return Ok(());
        }
        // Standard error as it is now, whatever the guest does with its own descriptor 2.
        (None, None) => {
            OwnedFile::duplicate(2).ok().and_then(|file| startup::pass_on("log", file.into_raw()))
        }
    };
    log::set_kept(kept);
    Ok(())
}

/// The features of `-cpu model,+feature,-feature`.
fn cpu_features(arch: &dyn GuestArch, settings: &Settings) -> Result<u64, StartError> {
    let models = arch.cpu_models();
    let Some(wanted) = settings.get("cpu") else { return Ok(models.first().map_or(0, |m| m.features)) };
    let mut parts = wanted.split(',');
    let name = parts.next().unwrap_or_default();
    let known = || models.iter().map(|m| m.name).collect::<Vec<_>>().join(", ");
    let model = models
        .iter()
        .find(|m| m.name == name)
        .ok_or_else(|| usage(format!("unknown CPU model {name}; known are {}", known())))?;
    let mut features = model.features;
    for part in parts {
        let (on, name) = match part.split_at_checked(1) {
            Some(("+", name)) => (true, name),
            Some(("-", name)) => (false, name),
            _ => match part.split_once('=') {
                Some((name, "on")) => (true, name),
                Some((name, "off")) => (false, name),
                _ => (true, part),
            },
        };
        let names = || arch.cpu_features().iter().map(|f| f.0).collect::<Vec<_>>().join(", ");
        let bit = arch
            .cpu_features()
            .iter()
            .find(|f| f.0 == name)
            .ok_or_else(|| usage(format!("unknown CPU feature {name}; known are {}", names())))?
            .1;
        features = if on { features | bit | arch.cpu_feature_needs(bit) } else { features & !bit };
    }
    Ok(features)
}

fn options(settings: &Settings, first_image: bool) -> Result<Options, StartError> {
    let tier = match settings.get("tier") {
        None | Some("auto") => TierMode::Auto,
        Some("interp") => TierMode::Interp,
        Some("template") => TierMode::Template,
        Some("jit") => TierMode::Jit,
        Some(other) => {
            return Err(usage(format!("unknown tier {other}; known are auto, interp, template, jit")));
        }
    };
    let number = |name: &str, parse: fn(&str) -> Option<u64>| {
        let value = settings.get(name);
        match value.map(parse) {
            None => Ok(None),
            Some(Some(number)) => Ok(Some(number)),
            Some(None) => Err(usage(format!("-{name}: {} is not a number", value.unwrap_or_default()))),
        }
    };
    if number("B", cli::parse_number)?.unwrap_or(0) != 0 {
        return Err(usage("-B: only 0 is supported: guest addresses are host addresses".to_owned()));
    }
    if number("p", cli::parse_size)?.is_some_and(|size| size != 4096) {
        return Err(usage("-p: only the host's page size, 4096, is supported".to_owned()));
    }
    if let Some(top) = number("R", cli::parse_size)?.filter(|&top| top != 0) {
        crate::mem::space().set_top(top);
    }
    if let Some(size) = number("s", cli::parse_size)?
        && first_image
    {
        limit_stack(size);
    }
    if let Some(seed) = number("seed", cli::parse_number)? {
        random::seed(seed);
    }
    if settings.is_set("one-insn-per-tb") || settings.is_set("singlestep") {
        crate::exec::cache::set_max_block_insns(1);
    }
    let io_uring = match settings.get("io-uring") {
        None => Default::default(),
        Some(word) => {
            word.parse().map_err(|()| usage(format!("-io-uring: {word} is none of auto, on, off")))?
        }
    };
    let exec = match settings.get("exec") {
        None => Default::default(),
        Some(word) => {
            word.parse().map_err(|()| usage(format!("-exec: {word} is none of follow, native, deny")))?
        }
    };
    Ok(Options {
        sysroot: absolute(settings.get("L")),
        strace: settings.is_set("strace"),
        uname: settings.get("r").map(str::to_owned),
        tier,
        io_uring,
        exec,
        own_args: absolute_arguments(settings),
    })
}

/// Our arguments with paths made absolute: they must mean the same after the guest's chdir.
fn absolute_arguments(settings: &Settings) -> Vec<String> {
    let mut out = Vec::new();
    let mut args = settings.own_args.iter().peekable();
    while let Some(arg) = args.next() {
        out.push(arg.clone());
        let is_path = matches!(arg.as_str(), "-L" | "-rules" | "-rules-log" | "-D" | "-cache");
        if is_path && let Some(value) = args.next() {
            out.push(absolute(Some(value)).unwrap_or_else(|| value.clone()));
        }
    }
    out
}

fn open_rules(
    arch: &dyn GuestArch,
    settings: &Settings,
    first_image: bool,
) -> Result<Option<Arc<rules::Rules>>, StartError> {
    let Some(directory) = settings.get("rules") else { return Ok(None) };
    let own: Vec<(u64, &'static str)> =
        arch.linux().syscall_table().iter().map(|&(number, name)| (u64::from(number), name)).collect();
    let elsewhere: Vec<&'static str> =
        crate::guests::ALL.iter().flat_map(|a| a.linux().syscall_table()).map(|&(_, name)| name).collect();
    let sink = match (startup::take_passed("rules-log"), settings.get("rules-log")) {
        (Some(fd), _) => rules::LogSink::from_fd(fd),
        (None, Some(path)) => rules::LogSink::file(Path::new(path))
            .map_err(|error| usage(format!("cannot write rule log {path}: {error}")))?,
        (None, None) => rules::LogSink::stderr(),
    };
    let mut options = rules::Options::new(rules::SyscallNames::new(&own, &elsewhere), sink);
    options.tell_unknown_names = first_image;
    options.spawn = |job| crate::host::spawn::joinable(job).map_err(std::io::Error::from_raw_os_error);
    if let Some(mode) = settings.get("rules-reload") {
        options.reload = mode
            .parse()
            .map_err(|()| usage(format!("unknown reload mode {mode}; known are watch, stat, always")))?;
    }
    let opened = match startup::take_passed("rules") {
        Some(fd) => rules::Rules::from_fd(fd, options)
            .map_err(|error| rules::RulesError::Directory { path: directory.into(), error })?,
        None => rules::Rules::open(Path::new(directory), options)?,
    };
    startup::replace_passed("rules", opened.directory_fd());
    if let Some(fd) = opened.log().fd() {
        startup::replace_passed("rules-log", fd);
    }
    Ok(Some(opened))
}

fn run_guest(
    arch: &'static dyn GuestArch,
    features: u64,
    options: Options,
    plan: Plan,
    actions: Actions,
    mask: u64,
) -> Result<i32, StartError> {
    let rules = open_rules(arch, &plan.settings, plan.first_image)?;
    let Plan { target, envp, filters, settings, first_image, space_limit, exception } = plan;
    // Opened while /proc is surely there: a guest may chroot before it executes something.
    let _ = startup::executable();
    let env: &'static Env = Box::leak(Box::new(Env::new(arch, features)));
    let sysroot = options.sysroot.clone();
    let resolve = |path: &str| sysroot_path(sysroot.as_deref(), path);
    let exe = program_path(&target.file, sysroot.as_deref()).unwrap_or_else(|| target.path.clone());
    let comm = match target.name.to_str() {
        // A program without a path is called what the file is called.
        Ok(name) if is_descriptor(name) => exe.clone(),
        _ => target.name.to_string_lossy().into_owned(),
    };
    if options.tier == TierMode::Auto {
        code_cache::open(arch, features, &settings, first_image, &target.file)?;
    }
    let prepared = loader::image::prepare(arch, &target.path, target.file, &resolve)?;
    let guard = |properties: &[u8]| match arch.linux().guard_protection(features) {
        guard if guard != 0 && arch.linux().wants_guard(properties) => {
            arch.linux().note_guarded_page();
            guard
        }
        _ => 0,
    };
    let loaded = loader::image::map(&prepared, &guard)?;
    drop(prepared);
    let brk = loaded.image_end.next_multiple_of(4096);
    crate::mem::space().set_brk_start(brk);
    let contents = StackContents {
        argv: &target.argv,
        envp: &envp,
        filename: &target.name,
        features,
        vdso: 0,
        size: stack_size(),
        random: random_bytes(),
    };
    let (vdso, stack) = build_stack(arch, &loaded, contents)?;
    let mut state = Box::new(arch.initial_state(features));
    arch.new_keys(&mut state, u64::MAX, &mut crate::host::random::word);
    arch.linux().last_exception().iter().zip(exception).for_each(|(slot, word)| state.set_u64(*slot, word));
    state.set_pc(loaded.start.raw());
    arch.set_stack_pointer(&mut state, stack.sp);
    name_process(&comm);
    let tier = TierPolicy::new(options.tier);
    let process = Process {
        env,
        dispatch: Dispatch::get(|| arch.linux().syscall_table()),
        options,
        vdso,
        exe,
        stack: stack.area.clone(),
        cmdline: announce::tell_kernel(&loaded, &stack, brk).is_err().then(|| joined(&target.argv)),
        rules,
    }
    .install();
    let (vcpu, actions) = (Vcpu::new(env, state, tier), Arc::new(Mutex::new(actions)));
    let space_limit = space_limit.unwrap_or_else(SpaceLimit::of_host);
    let mut thread = Thread::new(process, vcpu, actions, space_limit);
    thread.mask = mask;
    thread.alt_stack = guest::linux::AltStack::default();
    thread.owns_host_thread = true;
    thread.seccomp = seccomp::attach(filters);
    // The variables' addresses stand behind the count and the addresses of the arguments.
    let variables = stack.sp.raw() + 8 * (target.argv.len() as u64 + 2);
    crate::linux::strace::executed(&thread, &target.name, &target.argv, variables);
    thread.run();
    Ok(0)
}

fn build_stack(
    arch: &'static dyn GuestArch,
    loaded: &loader::Loaded,
    contents: StackContents<'_>,
) -> Result<(loader::vdso::Vdso, Stack), StartError> {
    let vdso = loader::vdso::map(arch);
    let stack = loader::stack::build(arch, loaded, &StackContents { vdso: vdso.base, ..contents })?;
    Ok((vdso, stack))
}

/// The strings as they are in memory.
fn joined(strings: &[CString]) -> Vec<u8> {
    strings.iter().flat_map(|s| s.as_bytes_with_nul().to_vec()).collect()
}

/// The program's path as /proc/self/exe shows it: within the sysroot, if it is there.
fn program_path(file: &OwnedFile, sysroot: Option<&str>) -> Option<String> {
    let link = std::fs::read_link(format!("/proc/self/fd/{}", file.raw())).ok()?;
    String::from_utf8(path::as_seen(sysroot, link.as_os_str().as_bytes())).ok()
}

/// Whether AT_EXECFN names a descriptor, and nothing below it.
fn is_descriptor(name: &str) -> bool {
    name.strip_prefix("/dev/fd/").is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_digit()))
}

/// `-s`: the guest's stack limit, as `ulimit -s` in it shows (and changes) it. What is above the hard limit is not to be
/// had.
fn limit_stack(size: u64) {
    let mut limit = stack_limit();
    limit.rlim_cur = size.min(limit.rlim_max);
    // Cannot fail: not above the hard limit.
    sys::syscall(libc::SYS_prlimit64, [0, u64::from(libc::RLIMIT_STACK), &raw const limit as u64, 0, 0, 0]);
}

fn stack_limit() -> libc::rlimit {
    let mut limit = libc::rlimit { rlim_cur: 8 << 20, rlim_max: 8 << 20 };
    sys::syscall(libc::SYS_prlimit64, [0, u64::from(libc::RLIMIT_STACK), 0, &raw mut limit as u64, 0, 0]);
    limit
}

/// The stack that the limit allows, at most 64 MiB of address space.
fn stack_size() -> u64 {
    stack_limit().rlim_cur.clamp(128 << 10, 64 << 20)
}

fn random_bytes() -> [u8; 16] {
    let mut out = [0; 16];
    out[..8].copy_from_slice(&random::word().to_le_bytes());
    out[8..].copy_from_slice(&random::word().to_le_bytes());
    out
}

/// What `ps` and `comm` show: the name by which the program, or the script, was executed.
fn name_process(name: &str) {
    let base = name.rsplit('/').next().unwrap_or(name);
    if let Ok(name) = CString::new(&base[..base.floor_char_boundary(15)]) {
        sys::syscall(libc::SYS_prctl, [libc::PR_SET_NAME as u64, name.as_ptr() as u64, 0, 0, 0, 0]);
    }
}
