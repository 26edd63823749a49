//! An argument as text.

use super::structures;
use crate::linux::read_string;
use crate::linux::table::kinds::{Kind, Names, Param};
use crate::linux::table::names;
use crate::linux::table::shapes::Shape;
use crate::mem::Memory;
use guest::GuestAddr;
use guest::linux::KernelLayout;

/// Strings and buffers are shown up to this many bytes, as strace does it.
pub const SHOWN: usize = 32;
/// Arrays are shown up to this many elements.
pub const ELEMENTS: u64 = 16;

/// A call, before or after it was made.
pub struct Call<'a> {
    pub args: &'a [u64; 6],
    pub layout: KernelLayout,
    /// What it gave, once it has.
    pub result: Option<i64>,
}

impl Call<'_> {
    /// How many of the arguments say anything: permissions are for files that `open` makes.
    pub fn shown(&self, params: &[Param]) -> usize {
        const CREATES: u64 = libc::O_CREAT as u64 | 0o20_000_000;
        match params {
            [first @ .., Param { kind: Kind::OpenFlags, .. }, Param { kind: Kind::Mode, .. }]
                if self.args[first.len()] & CREATES == 0 =>
            {
                params.len() - 1
            }
            _ => params.len(),
        }
    }

    /// Argument `index`.
    pub fn text(&self, index: usize, kind: Kind) -> String {
        let value = self.args[index];
        let next = self.args.get(index + 1).copied().unwrap_or(0);
        let failed = self.result.is_some_and(|result| result < 0);
        match kind {
            Kind::Int | Kind::Fd | Kind::ChangedFd => (value as i32).to_string(),
            Kind::Long => (value as i64).to_string(),
            Kind::Size => value.to_string(),
            Kind::DirFd if value as i32 == libc::AT_FDCWD => "AT_FDCWD".to_owned(),
            Kind::DirFd => (value as i32).to_string(),
            Kind::Mode => octal(value),
            Kind::OpenFlags => open_flags(&self.layout, value),
            Kind::DescriptorFlags => match open_flags(&self.layout, value) {
                plain if plain == "O_RDONLY" => "0".to_owned(),
                text => text.trim_start_matches("O_RDONLY|").to_owned(),
            },
            Kind::Signal => signal(value as i32),
            Kind::Bits(table) => bits(table, value),
            Kind::OneOf(table) => one_of(table, value),
            Kind::Choice(values, flags) => choice(values, flags, value),
            Kind::Str | Kind::Path => string(value),
            Kind::Hex | Kind::Verbatim => number(value),
            _ if value == 0 => "NULL".to_owned(),
            Kind::Address | Kind::Place => number(value),
            _ if failed && kind.is_result() => number(value),
            // No child has ended.
            Kind::Gives(Shape::Status) if self.result == Some(0) => number(value),
            Kind::In => buffer(value, next),
            Kind::Out => buffer(value, self.result.map_or(0, |result| result as u64).min(next)),
            Kind::InVec => structures::iovec(value, next, u64::MAX),
            Kind::OutVec => structures::iovec(value, next, self.result.unwrap_or(0) as u64),
            Kind::Takes(shape) | Kind::Gives(shape) | Kind::Both(shape) => {
                structures::structure(&self.layout, shape, value)
            }
            Kind::Each(shape) | Kind::BothEach(shape) => structures::array(&self.layout, shape, value, next),
            Kind::GivesEach(shape) => {
                structures::array(&self.layout, shape, value, self.result.unwrap_or(0) as u64)
            }
            Kind::TakesAddress => structures::socket_address(value, next),
            Kind::GivesAddress => structures::given_socket_address(value, next),
            Kind::Strings => strings(value),
        }
    }
}

/// Hexadecimal, but 0 as it is.
pub fn number(value: u64) -> String {
    if value == 0 { "0".to_owned() } else { format!("{value:#x}") }
}

pub fn octal(value: u64) -> String {
    if value == 0 { "000".to_owned() } else { format!("0{:03o}", value as u32) }
}

/// Names of bits, then what has none.
pub fn bits(table: Names, value: u64) -> String {
    let mut texts = Vec::new();
    let mut rest = value;
    // Names of several bits first: they contain others.
    for several in [true, false] {
        for &(mask, name) in table.iter().filter(|(mask, _)| (mask.count_ones() > 1) == several) {
            if mask != 0 && rest & mask == mask {
                texts.push(name.to_owned());
                rest &= !mask;
            }
        }
    }
    if rest != 0 {
        texts.push(number(rest));
    }
    if !texts.is_empty() {
        return texts.join("|");
    }
    table.iter().find(|(mask, _)| *mask == 0).map_or("0", |(_, name)| name).to_owned()
}

/// The name of a value; of 32 bits, where the upper half is a sign or nothing.
pub fn one_of(table: Names, value: u64) -> String {
    let found = table.iter().find(|(known, _)| *known == value || *known == value & 0xffff_ffff);
    found.map_or_else(|| number(value & 0xffff_ffff), |(_, name)| (*name).to_owned())
}

/// A value with flags beside it.
fn choice(values: Names, flags: Names, value: u64) -> String {
    let all = flags.iter().fold(0, |all, (mask, _)| all | mask);
    let (flagged, value) = (value & all, value & !all & 0xffff_ffff);
    let named = values.iter().find(|(known, _)| *known == value).map(|(_, name)| (*name).to_owned());
    let first = match named {
        Some(name) => Some(name),
        None if value == 0 && flagged != 0 => None,
        None if values.is_empty() => Some(octal(value)),
        None => Some(number(value)),
    };
    let rest = (flagged != 0).then(|| bits(flags, flagged));
    first.into_iter().chain(rest).collect::<Vec<_>>().join("|")
}

pub fn signal(number: i32) -> String {
    match names::SIGNALS.iter().find(|(known, _)| *known == number as u64) {
        Some((_, name)) => (*name).to_owned(),
        None if (32..=64).contains(&number) => format!("SIGRT_{}", number - 32),
        None => number.to_string(),
    }
}

/// Flags of `open`, in the guest's values.
fn open_flags(layout: &KernelLayout, value: u64) -> String {
    const SAME: Names = &[
        (libc::O_CREAT as u64, "O_CREAT"),
        (libc::O_EXCL as u64, "O_EXCL"),
        (libc::O_NOCTTY as u64, "O_NOCTTY"),
        (libc::O_TRUNC as u64, "O_TRUNC"),
        (libc::O_APPEND as u64, "O_APPEND"),
        (libc::O_NONBLOCK as u64, "O_NONBLOCK"),
        (libc::O_SYNC as u64, "O_SYNC"),
        (libc::O_DSYNC as u64, "O_DSYNC"),
        (libc::O_ASYNC as u64, "O_ASYNC"),
        (libc::O_NOATIME as u64, "O_NOATIME"),
        (libc::O_CLOEXEC as u64, "O_CLOEXEC"),
        (libc::O_PATH as u64, "O_PATH"),
    ];
    const TEMPORARY: u64 = 0o20_000_000;
    let own = layout.open_flags;
    let mut texts = vec![["O_RDONLY", "O_WRONLY", "O_RDWR", "O_ACCMODE"][value as usize & 3].to_owned()];
    let mut rest = value & 0xffff_ffff & !3;
    if rest & TEMPORARY != 0 {
        texts.push("O_TMPFILE".to_owned());
        rest &= !(TEMPORARY | u64::from(own.directory));
    }
    let differing = [
        (own.direct, "O_DIRECT"),
        (own.largefile, "O_LARGEFILE"),
        (own.directory, "O_DIRECTORY"),
        (own.nofollow, "O_NOFOLLOW"),
    ];
    for (mask, name) in differing.map(|(mask, name)| (u64::from(mask), name)) {
        if mask != 0 && rest & mask == mask {
            texts.push(name.to_owned());
            rest &= !mask;
        }
    }
    if rest != 0 {
        texts.push(bits(SAME, rest));
    }
    texts.join("|")
}

/// A string of the guest, in quotes.
pub fn string(addr: u64) -> String {
    match read_string(addr, libc::PATH_MAX as usize) {
        _ if addr == 0 => "NULL".to_owned(),
        Ok(Some(bytes)) => format!("\"{}\"", bytes.escape_ascii()),
        _ => number(addr),
    }
}

/// The start of a buffer, in quotes; its address where it cannot be read.
pub fn buffer(addr: u64, len: u64) -> String {
    let mut bytes = [0; SHOWN];
    let want = usize::try_from(len).map_or(SHOWN, |len| len.min(SHOWN));
    let got = Memory.read_prefix(GuestAddr(addr), &mut bytes[..want]);
    if got < want {
        return number(addr);
    }
    format!("\"{}\"{}", bytes[..got].escape_ascii(), if len > SHOWN as u64 { "..." } else { "" })
}

/// NULL-terminated pointers to strings.
fn strings(addr: u64) -> String {
    let mut texts = Vec::new();
    for index in 0..ELEMENTS {
        match crate::linux::read_word(addr.wrapping_add(8 * index)) {
            Ok(0) => return format!("[{}]", texts.join(", ")),
            Ok(pointer) => texts.push(string(pointer)),
            Err(_) => return number(addr),
        }
    }
    format!("[{}, ...]", texts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_named_and_the_rest_is_a_number() {
        assert_eq!(bits(names::PROTECTION, 3), "PROT_READ|PROT_WRITE");
        assert_eq!(bits(names::PROTECTION, 0), "PROT_NONE");
        assert_eq!(bits(names::WAIT, 0x81), "WNOHANG|0x80");
        assert_eq!(bits(names::MREMAP, 0), "0");
    }

    #[test]
    fn a_value_may_have_flags_beside_it() {
        assert_eq!(choice(names::MAP_TYPE, names::MAP, 0x22), "MAP_PRIVATE|MAP_ANONYMOUS");
        assert_eq!(
            choice(names::SOCKET_TYPE, names::SOCKET_FLAGS, 0x80801),
            "SOCK_STREAM|SOCK_NONBLOCK|SOCK_CLOEXEC"
        );
        assert_eq!(choice(names::SIGNALS, names::CLONE, 0x11), "SIGCHLD");
        assert_eq!(choice(&[], names::IPC, 0o1666), "0666|IPC_CREAT");
    }

    #[test]
    fn negative_values_are_of_32_bits() {
        assert_eq!(one_of(names::RUSAGE, u64::MAX), "RUSAGE_CHILDREN");
        assert_eq!(one_of(names::SIGNAL_CODE, 0xffff_fffa), "SI_TKILL");
    }

    #[test]
    fn realtime_signals_count_from_32() {
        assert_eq!((signal(11), signal(34), signal(99)), ("SIGSEGV".into(), "SIGRT_2".into(), "99".into()));
    }
}
