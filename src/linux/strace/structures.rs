//! Structures of the guest as text.

use super::show::{self, ELEMENTS, bits, buffer, number, octal, one_of};
use crate::linux::table::kinds::Names;
use crate::linux::table::names as n;
use crate::linux::table::shapes::{Field, Member, Shape};
use crate::mem::Memory;
use guest::GuestAddr;
use guest::linux::{KernelLayout, StatLayout};

/// The most bytes that are read of a structure.
const MAX: usize = 512;

fn read(addr: u64, size: usize) -> Option<[u8; MAX]> {
    let mut bytes = [0; MAX];
    (Memory.read_prefix(GuestAddr(addr), &mut bytes[..size]) == size).then_some(bytes)
}

/// The little-endian value of `size` bytes there.
fn value(bytes: &[u8], at: usize, size: usize) -> u64 {
    bytes[at..at + size].iter().rev().fold(0, |all, &byte| all << 8 | u64::from(byte))
}

/// A structure at an address; the address where it cannot be read.
pub fn structure(layout: &KernelLayout, shape: Shape, addr: u64) -> String {
    read(addr, size_of(layout, shape)).map_or_else(|| number(addr), |bytes| text(layout, shape, &bytes))
}

/// The first of `count` structures.
pub fn array(layout: &KernelLayout, shape: Shape, addr: u64, count: u64) -> String {
    let size = size_of(layout, shape) as u64;
    let one = |index: u64| structure(layout, shape, addr.wrapping_add(index * size));
    let texts: Vec<_> = (0..count.min(ELEMENTS)).map(one).collect();
    format!("[{}{}]", texts.join(", "), if count > ELEMENTS { ", ..." } else { "" })
}

fn size_of(layout: &KernelLayout, shape: Shape) -> usize {
    match shape {
        Shape::Same(_, size, _) | Shape::Number(size) => usize::from(size),
        Shape::Row(count, shape) => usize::from(count) * size_of(layout, *shape),
        Shape::Status => 4,
        Shape::Stat if layout.stat == StatLayout::X86_64 => 144,
        Shape::Stat => 128,
        Shape::EpollEvent => layout.epoll_event_size,
        Shape::SignalAction => 32,
        Shape::Iovec => 16,
        Shape::Message => 56,
        Shape::MessageOfMany => 64,
    }
}

fn text(layout: &KernelLayout, shape: Shape, bytes: &[u8]) -> String {
    match shape {
        // A structure of one field without a name is that field.
        Shape::Same(_, _, [("", at, kind)]) => field(*kind, bytes, usize::from(*at)),
        Shape::Same(_, _, fields) => members(fields, bytes, 0),
        Shape::Number(4) => format!("[{}]", value(bytes, 0, 4) as i32),
        Shape::Number(size) => format!("[{}]", number(value(bytes, 0, usize::from(size)))),
        Shape::Row(count, shape) => {
            let size = size_of(layout, *shape);
            let one = |index| text(layout, *shape, &bytes[usize::from(index) * size..]);
            let inner = |text: String| text.trim_start_matches('[').trim_end_matches(']').to_owned();
            format!("[{}]", (0..count).map(one).map(inner).collect::<Vec<_>>().join(", "))
        }
        Shape::Status => format!("[{}]", status(value(bytes, 0, 4) as i32)),
        Shape::Stat => members(stat(layout.stat), bytes, 0),
        Shape::EpollEvent => {
            let (events, data) = (value(bytes, 0, 4), value(bytes, layout.epoll_data_offset, 8));
            format!("{{events={}, data={}}}", bits(n::EPOLL, events), number(data))
        }
        Shape::SignalAction => action(bytes),
        Shape::Iovec => {
            format!("{{iov_base={}, iov_len={}}}", number(value(bytes, 0, 8)), value(bytes, 8, 8))
        }
        Shape::Message => message(bytes),
        Shape::MessageOfMany => {
            format!("{{msg_hdr={}, msg_len={}}}", message(bytes), value(bytes, 56, 4))
        }
    }
}

fn members(fields: &[Member], bytes: &[u8], base: usize) -> String {
    let one = |(name, at, kind): &Member| format!("{name}={}", field(*kind, bytes, base + usize::from(*at)));
    format!("{{{}}}", fields.iter().map(one).collect::<Vec<_>>().join(", "))
}

fn field(kind: Field, bytes: &[u8], at: usize) -> String {
    let word = |size| value(bytes, at, size);
    match kind {
        Field::I32 => (word(4) as i32).to_string(),
        Field::U32 => word(4).to_string(),
        Field::I64 => (word(8) as i64).to_string(),
        Field::U64 if word(8) == u64::MAX => "RLIM64_INFINITY".to_owned(),
        Field::U64 => word(8).to_string(),
        Field::U16 => word(2).to_string(),
        Field::I16 => (word(2) as i16).to_string(),
        Field::I16Lock => one_of(n::LOCK_TYPE, word(2)),
        Field::Hex32 => number(word(4)),
        Field::Hex64 => number(word(8)),
        Field::Mode => mode(word(4)),
        Field::Signal => show::signal(word(4) as i32),
        Field::SignalSet => signal_set(word(8)),
        Field::Text(max) => {
            let text = &bytes[at..at + usize::from(max)];
            let end = text.iter().position(|&byte| byte == 0).unwrap_or(text.len());
            format!("\"{}\"", text[..end].escape_ascii())
        }
        Field::Bits16(table) => bits(table, word(2)),
        Field::Bits32(table) => bits(table, word(4)),
        Field::Bits64(table) => bits(table, word(8)),
        Field::OneOf32(table) => one_of(table, word(4)),
        Field::Inner(fields) => members(fields, bytes, at),
    }
}

/// `st_mode`: the kind of file and its permissions.
fn mode(mode: u64) -> String {
    const KINDS: Names = &[
        (0o010_000, "S_IFIFO"),
        (0o020_000, "S_IFCHR"),
        (0o040_000, "S_IFDIR"),
        (0o060_000, "S_IFBLK"),
        (0o100_000, "S_IFREG"),
        (0o120_000, "S_IFLNK"),
        (0o140_000, "S_IFSOCK"),
    ];
    match KINDS.iter().find(|(kind, _)| *kind == mode & 0o170_000) {
        Some((_, name)) => format!("{name}|{}", octal(mode & 0o7777)),
        None => octal(mode & 0xffff_ffff),
    }
}

/// The fields of `struct stat` that are shown.
fn stat(layout: StatLayout) -> &'static [Member] {
    use Field::{Hex64, I64, Mode, U32, U64};
    match layout {
        StatLayout::X86_64 => &[
            ("st_dev", 0, Hex64),
            ("st_ino", 8, U64),
            ("st_mode", 24, Mode),
            ("st_nlink", 16, U64),
            ("st_uid", 28, U32),
            ("st_gid", 32, U32),
            ("st_size", 48, I64),
            ("st_mtime", 88, I64),
        ],
        StatLayout::Generic => &[
            ("st_dev", 0, Hex64),
            ("st_ino", 8, U64),
            ("st_mode", 16, Mode),
            ("st_nlink", 20, U32),
            ("st_uid", 24, U32),
            ("st_gid", 28, U32),
            ("st_size", 48, I64),
            ("st_mtime", 88, I64),
        ],
    }
}

/// The members of a set; what is missing, where that is less.
fn signal_set(set: u64) -> String {
    let list = |set: u64| {
        let name = |signal: &u32| show::signal(*signal as i32).trim_start_matches("SIG").to_owned();
        (1..=64)
            .filter(|signal| set >> (signal - 1) & 1 != 0)
            .collect::<Vec<u32>>()
            .iter()
            .map(name)
            .collect::<Vec<_>>()
    };
    if set.count_ones() > 32 {
        format!("~[{}]", list(!set).join(" "))
    } else {
        format!("[{}]", list(set).join(" "))
    }
}

fn action(bytes: &[u8]) -> String {
    // include/uapi/asm-generic/signal.h and arch/x86's: handler, flags, restorer, mask.
    let handler = match value(bytes, 0, 8) {
        0 => "SIG_DFL".to_owned(),
        1 => "SIG_IGN".to_owned(),
        address => number(address),
    };
    let (flags, mask) = (value(bytes, 8, 8), value(bytes, 24, 8));
    format!(
        "{{sa_handler={handler}, sa_mask={}, sa_flags={}}}",
        signal_set(mask),
        bits(n::SIGNAL_ACTION, flags)
    )
}

/// What `wait` says of a child.
fn status(status: i32) -> String {
    if libc::WIFEXITED(status) {
        return format!("{{WIFEXITED(s) && WEXITSTATUS(s) == {}}}", libc::WEXITSTATUS(status));
    }
    if libc::WIFSIGNALED(status) {
        let core = if libc::WCOREDUMP(status) { " && WCOREDUMP(s)" } else { "" };
        return format!(
            "{{WIFSIGNALED(s) && WTERMSIG(s) == {}{core}}}",
            show::signal(libc::WTERMSIG(status))
        );
    }
    if libc::WIFSTOPPED(status) {
        return format!("{{WIFSTOPPED(s) && WSTOPSIG(s) == {}}}", show::signal(libc::WSTOPSIG(status)));
    }
    if libc::WIFCONTINUED(status) { "{WIFCONTINUED(s)}".to_owned() } else { number(status as u32 as u64) }
}

/// Buffers of an iovec array; of their contents `filled` bytes are shown.
pub fn iovec(addr: u64, count: u64, filled: u64) -> String {
    let mut left = filled;
    let mut texts = Vec::new();
    for index in 0..count.min(ELEMENTS) {
        let Some(bytes) = read(addr.wrapping_add(16 * index), 16) else { return number(addr) };
        let (base, len) = (value(&bytes, 0, 8), value(&bytes, 8, 8));
        let shown = len.min(left);
        left -= shown;
        texts.push(format!("{{iov_base={}, iov_len={len}}}", buffer(base, shown)));
    }
    format!("[{}{}]", texts.join(", "), if count > ELEMENTS { ", ..." } else { "" })
}

fn message(bytes: &[u8]) -> String {
    let word = |at| value(bytes, at, 8);
    let name = match word(0) {
        0 => "NULL".to_owned(),
        name => socket_address(name, value(bytes, 8, 4)),
    };
    format!(
        "{{msg_name={name}, msg_namelen={}, msg_iov={}, msg_iovlen={}, msg_controllen={}, msg_flags={}}}",
        value(bytes, 8, 4) as i32,
        iovec(word(16), word(24), u64::MAX),
        word(24),
        word(40),
        bits(n::MESSAGE, value(bytes, 48, 4)),
    )
}

/// A socket address that the kernel wrote, with a pointer to its length.
pub fn given_socket_address(addr: u64, len: u64) -> String {
    match read(len, 4) {
        Some(bytes) => socket_address(addr, value(&bytes, 0, 4)),
        None => number(addr),
    }
}

/// A socket address of `len` bytes.
pub fn socket_address(addr: u64, len: u64) -> String {
    let size = (len as usize).min(128);
    let Some(bytes) = read(addr, size).filter(|_| size >= 2) else { return number(addr) };
    let bytes = &bytes[..size];
    let family = value(bytes, 0, 2);
    let named = one_of(n::DOMAIN, family);
    let port = || u16::from_be_bytes([bytes[2], bytes[3]]);
    match family as i32 {
        libc::AF_UNIX if bytes.get(2) == Some(&0) => {
            format!("{{sa_family={named}, sun_path=@\"{}\"}}", bytes[3..].escape_ascii())
        }
        libc::AF_UNIX => {
            let path = &bytes[2..];
            let end = path.iter().position(|&byte| byte == 0).unwrap_or(path.len());
            format!("{{sa_family={named}, sun_path=\"{}\"}}", path[..end].escape_ascii())
        }
        libc::AF_INET if size >= 8 => {
            let host = std::net::Ipv4Addr::new(bytes[4], bytes[5], bytes[6], bytes[7]);
            format!("{{sa_family={named}, sin_port=htons({}), sin_addr=inet_addr(\"{host}\")}}", port())
        }
        libc::AF_INET6 if size >= 24 => {
            let host = std::net::Ipv6Addr::from(std::array::from_fn::<u8, 16, _>(|index| bytes[8 + index]));
            format!("{{sa_family={named}, sin6_port=htons({}), sin6_addr=\"{host}\"}}", port())
        }
        _ => format!("{{sa_family={named}, sa_data=\"{}\"}}", bytes[2..].escape_ascii()),
    }
}

/// `siginfo_t`: whose meaning depends on the signal and its code.
pub fn signal_info(info: &[u8; 128]) -> String {
    let (signal, code) = (value(info, 0, 4) as i32, value(info, 8, 4) as i32);
    let own: &[&str] = match signal {
        libc::SIGSEGV => &["SEGV_MAPERR", "SEGV_ACCERR", "SEGV_BNDERR", "SEGV_PKUERR"],
        libc::SIGBUS => &["BUS_ADRALN", "BUS_ADRERR", "BUS_OBJERR"],
        libc::SIGILL => &["ILL_ILLOPC", "ILL_ILLOPN", "ILL_ILLADR", "ILL_ILLTRP", "ILL_PRVOPC"],
        libc::SIGFPE => &[
            "FPE_INTDIV",
            "FPE_INTOVF",
            "FPE_FLTDIV",
            "FPE_FLTOVF",
            "FPE_FLTUND",
            "FPE_FLTRES",
            "FPE_FLTINV",
        ],
        libc::SIGTRAP => &["TRAP_BRKPT", "TRAP_TRACE"],
        libc::SIGCHLD => {
            &["CLD_EXITED", "CLD_KILLED", "CLD_DUMPED", "CLD_TRAPPED", "CLD_STOPPED", "CLD_CONTINUED"]
        }
        _ => &[],
    };
    let named = usize::try_from(code - 1).ok().and_then(|index| own.get(index));
    let code_text =
        named.map_or_else(|| one_of(n::SIGNAL_CODE, code as u32 as u64), |name| (*name).to_owned());
    let name = show::signal(signal);
    let more = if signal == libc::SIGCHLD && named.is_some() {
        let (pid, uid, status) = (value(info, 16, 4), value(info, 20, 4), value(info, 24, 4));
        format!("si_pid={pid}, si_uid={uid}, si_status={status}")
    } else if named.is_some() {
        format!("si_addr={}", number(value(info, 16, 8)))
    } else if code <= 0 {
        format!("si_pid={}, si_uid={}", value(info, 16, 4), value(info, 20, 4))
    } else {
        return format!("{name} {{si_signo={name}, si_code={code_text}}}");
    };
    format!("{name} {{si_signo={name}, si_code={code_text}, {more}}}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_show_what_is_less() {
        assert_eq!(signal_set(0), "[]");
        assert_eq!(signal_set(1 << 1 | 1 << 16), "[INT CHLD]");
        assert_eq!(signal_set(!(1 << 8)), "~[KILL]");
    }

    #[test]
    fn modes_have_a_kind() {
        assert_eq!(mode(0o100_644), "S_IFREG|0644");
        assert_eq!(mode(0o041_777), "S_IFDIR|01777");
    }

    #[test]
    fn faults_say_where() {
        let mut info = [0; 128];
        (info[0], info[8], info[16]) = (11, 1, 8);
        assert_eq!(signal_info(&info), "SIGSEGV {si_signo=SIGSEGV, si_code=SEGV_MAPERR, si_addr=0x8}");
    }

    #[test]
    fn ends_of_children_are_told() {
        assert_eq!(status(0x300), "{WIFEXITED(s) && WEXITSTATUS(s) == 3}");
        assert_eq!(status(9), "{WIFSIGNALED(s) && WTERMSIG(s) == SIGKILL}");
    }
}
