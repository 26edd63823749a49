//! Signals: sets, actions, and what is said about one.

use super::structures::value;
use super::values::{self, bits, number, one_of, pointer};
use crate::linux::table::kinds::Names;
use crate::linux::table::names as n;

/// The members of a set; what is missing, where that is less.
pub fn set(set: u64) -> String {
    let list = |set: u64| {
        let members = (1..=64).filter(|signal| set >> (signal - 1) & 1 != 0);
        let names = members.map(|signal| values::signal(signal).trim_start_matches("SIG").to_owned());
        names.collect::<Vec<_>>().join(" ")
    };
    // Two thirds of them are too many to be listed.
    if set.count_ones() >= 64 * 2 / 3 { format!("~[{}]", list(!set)) } else { format!("[{}]", list(set)) }
}

/// The kernel's `struct sigaction`: handler, flags, restorer, mask (include/uapi/asm-generic/signal.h and x86's).
pub fn action(bytes: &[u8]) -> String {
    const RESTORER: u64 = 0x0400_0000;
    let handler = match value(bytes, 0, 8) {
        0 => "SIG_DFL".to_owned(),
        1 => "SIG_IGN".to_owned(),
        address => number(address),
    };
    let (flags, mask) = (value(bytes, 8, 8), value(bytes, 24, 8));
    let restorer = match flags & RESTORER {
        0 => String::new(),
        _ => format!(", sa_restorer={}", pointer(value(bytes, 16, 8))),
    };
    let flags = bits(n::SIGNAL_ACTION, flags);
    format!("{{sa_handler={handler}, sa_mask={}, sa_flags={flags}{restorer}}}", set(mask))
}

/// What `wait` says of a child.
pub fn status(status: i32) -> String {
    if libc::WIFEXITED(status) {
        return format!("{{WIFEXITED(s) && WEXITSTATUS(s) == {}}}", libc::WEXITSTATUS(status));
    }
    if libc::WIFSIGNALED(status) {
        let core = if libc::WCOREDUMP(status) { " && WCOREDUMP(s)" } else { "" };
        let signal = values::signal(libc::WTERMSIG(status));
        return format!("{{WIFSIGNALED(s) && WTERMSIG(s) == {signal}{core}}}");
    }
    if libc::WIFSTOPPED(status) {
        return format!("{{WIFSTOPPED(s) && WSTOPSIG(s) == {}}}", values::signal(libc::WSTOPSIG(status)));
    }
    if libc::WIFCONTINUED(status) { "{WIFCONTINUED(s)}".to_owned() } else { number(status as u32 as u64) }
}

/// Codes of a signal's own.
const fn own_codes(signal: i32) -> Names {
    match signal {
        libc::SIGSEGV => n::SEGV_CODE,
        libc::SIGBUS => n::BUS_CODE,
        libc::SIGILL => n::ILL_CODE,
        libc::SIGFPE => n::FPE_CODE,
        libc::SIGTRAP => n::TRAP_CODE,
        libc::SIGCHLD => n::CLD_CODE,
        libc::SIGIO => n::POLL_CODE,
        libc::SIGSYS => n::SYS_CODE,
        _ => &[],
    }
}

/// `siginfo_t`: whose meaning depends on the signal and its code.
pub fn info(bytes: &[u8]) -> String {
    let word = |at| value(bytes, at, 4) as i32;
    let (signal, errno, code) = (word(0), word(4), word(8));
    if signal == 0 {
        return "{}".to_owned();
    }
    let own = values::name_of(own_codes(signal), code as u32 as u64);
    let name = own.map_or_else(|| one_of(n::SIGNAL_CODE, code as u32 as u64), str::to_owned);
    let mut texts = vec![format!("si_signo={}", values::signal(signal)), format!("si_code={name}")];
    if errno != 0 {
        texts.push(format!("si_errno={errno}"));
    }
    let from = || vec![format!("si_pid={}", word(16)), format!("si_uid={}", word(20) as u32)];
    let data = |at| vec![format!("si_int={}", word(at)), format!("si_ptr={}", pointer(value(bytes, at, 8)))];
    match (own, signal) {
        (Some(_), libc::SIGCHLD) => texts.extend(from().into_iter().chain(child(bytes))),
        (Some(_), libc::SIGIO) => {
            texts.push(format!("si_band={}", value(bytes, 16, 8)));
            texts.push(format!("si_fd={}", word(24)));
        }
        (Some(_), libc::SIGSYS) => {
            texts.push(format!("si_call_addr={}", pointer(value(bytes, 16, 8))));
            texts.push(format!("si_syscall={}", word(24)));
            texts.push(format!("si_arch={}", number(value(bytes, 28, 4))));
        }
        (Some(_), _) => texts.push(format!("si_addr={}", pointer(value(bytes, 16, 8)))),
        (None, _) => match code {
            libc::SI_USER | libc::SI_TKILL => texts.extend(from()),
            libc::SI_TIMER => {
                texts.push(format!("si_timerid={}", number(value(bytes, 16, 4))));
                texts.push(format!("si_overrun={}", word(20)));
                texts.extend(data(24));
            }
            _ if code < 0 => texts.extend(from().into_iter().chain(data(24))),
            _ => {}
        },
    }
    format!("{{{}}}", texts.join(", "))
}

/// How a child has ended, and what it took.
fn child(bytes: &[u8]) -> Vec<String> {
    let (code, status) = (value(bytes, 8, 4) as i32, value(bytes, 24, 4) as i32);
    let ended = if code == libc::CLD_EXITED { status.to_string() } else { values::signal(status) };
    vec![
        format!("si_status={ended}"),
        format!("si_utime={}", values::ticks(value(bytes, 32, 8) as i64)),
        format!("si_stime={}", values::ticks(value(bytes, 40, 8) as i64)),
    ]
}

/// `struct sigevent`.
pub fn event(bytes: &[u8]) -> String {
    let (data, notify) = (value(bytes, 0, 8), value(bytes, 12, 4));
    let mut texts = vec![
        format!("sigev_value={{sival_int={}, sival_ptr={}}}", data as i32, pointer(data)),
        format!("sigev_signo={}", values::signal(value(bytes, 8, 4) as i32)),
        format!("sigev_notify={}", one_of(n::SIGEV, notify)),
    ];
    match notify as i32 {
        libc::SIGEV_THREAD_ID => texts.push(format!("sigev_notify_thread_id={}", value(bytes, 16, 4) as i32)),
        libc::SIGEV_THREAD => {
            texts.push(format!("sigev_notify_function={}", pointer(value(bytes, 16, 8))));
            texts.push(format!("sigev_notify_attributes={}", pointer(value(bytes, 24, 8))));
        }
        _ => {}
    }
    format!("{{{}}}", texts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_show_what_is_less() {
        assert_eq!(set(0), "[]");
        assert_eq!(set(1 << 1 | 1 << 16), "[INT CHLD]");
        assert_eq!(set(3 << 31), "[RTMIN RT_1]");
        assert_eq!(set(!(1 << 8)), "~[KILL]");
    }

    #[test]
    fn faults_say_where() {
        let mut bytes = [0; 128];
        (bytes[0], bytes[8], bytes[16]) = (11, 1, 8);
        assert_eq!(info(&bytes), "{si_signo=SIGSEGV, si_code=SEGV_MAPERR, si_addr=0x8}");
    }

    #[test]
    fn ends_of_children_are_told() {
        assert_eq!(status(0x300), "{WIFEXITED(s) && WEXITSTATUS(s) == 3}");
        assert_eq!(status(9), "{WIFSIGNALED(s) && WTERMSIG(s) == SIGKILL}");
        let mut bytes = [0; 128];
        (bytes[0], bytes[8], bytes[16], bytes[24], bytes[40]) = (17, 2, 5, 9, 1);
        let expected = "{si_signo=SIGCHLD, si_code=CLD_KILLED, si_pid=5, si_uid=0, si_status=SIGKILL, \
            si_utime=0, si_stime=1 /* 0.01 s */}";
        assert_eq!(info(&bytes), expected);
    }
}
