//! Numbers, names, strings and times as text.

use crate::linux::table::kinds::Names;
use crate::linux::table::names as n;
use crate::linux::{read_string, read_word};
use crate::mem::Memory;
use guest::GuestAddr;
use guest::linux::KernelLayout;
use std::fmt::Write as _;

/// Strings and buffers are shown up to this many bytes, as strace does it.
pub const SHOWN: usize = 32;
/// Arrays are shown up to this many elements.
pub const ELEMENTS: u64 = 32;

/// Hexadecimal, but 0 as it is.
pub fn number(value: u64) -> String {
    if value == 0 { "0".to_owned() } else { format!("{value:#x}") }
}

/// An address.
pub fn pointer(value: u64) -> String {
    if value == 0 { "NULL".to_owned() } else { format!("{value:#x}") }
}

/// Octal, with a zero in front and at least three digits.
pub fn octal(value: u64) -> String {
    format!("{:0>3}", format!("0{:o}", value as u32))
}

/// What the names of a table start with: what they have in common up to an underscore.
fn prefix(table: Names) -> &'static str {
    let first = table.first().map_or("", |(_, name)| name);
    let common = |len: &usize| table.iter().all(|(_, name)| name.get(..*len) == first.get(..*len));
    let ends: Vec<usize> = first.match_indices('_').map(|(at, _)| at + 1).collect();
    let len = ends.iter().copied().rev().find(common).or_else(|| ends.first().copied());
    &first[..len.unwrap_or(0)]
}

/// A value that has no name.
pub fn unknown(prefix: &str, value: u64) -> String {
    format!("{value:#x} /* {prefix}??? */")
}

/// Names of bits, then what has none.
pub fn bits(table: Names, value: u64) -> String {
    let mut texts = Vec::new();
    let mut rest = value;
    for &(mask, name) in table {
        if mask != 0 && rest & mask == mask {
            texts.push(name.to_owned());
            rest &= !mask;
        }
    }
    if texts.is_empty() {
        let nothing = table.iter().find(|(mask, _)| *mask == 0).map_or("0", |(_, name)| name);
        return match rest {
            0 => nothing.to_owned(),
            _ if table.is_empty() => number(rest),
            _ => unknown(prefix(table), rest),
        };
    }
    if rest != 0 {
        texts.push(number(rest));
    }
    texts.join("|")
}

/// The name of a value; of 32 bits, where the upper half is a sign or nothing.
pub fn name_of(table: Names, value: u64) -> Option<&'static str> {
    let found = table.iter().find(|(known, _)| *known == value || *known == value & 0xffff_ffff);
    found.map(|(_, name)| *name)
}

pub fn one_of(table: Names, value: u64) -> String {
    let found = name_of(table, value);
    let value = if value >> 32 == 0xffff_ffff { value & 0xffff_ffff } else { value };
    match found {
        Some(name) => name.to_owned(),
        // A table of a single name is of a value that stands out.
        None if table.len() == 1 => number(value & 0xffff_ffff),
        None if value == 0 => format!("0 /* {}??? */", prefix(table)),
        None => unknown(prefix(table), value),
    }
}

/// A value with flags beside it. Permissions are such a value too, without names, and come last.
pub fn choice(values: Names, flags: Names, value: u64) -> String {
    const PERMISSIONS: u64 = 0o777;
    let all = |table: Names| table.iter().fold(0, |all, (mask, _)| all | mask);
    let of_value = if values.is_empty() { PERMISSIONS } else { all(values) & !all(flags) };
    let (value, flagged) = (value & of_value, value & !of_value & 0xffff_ffff);
    let flags = (flagged != 0).then(|| bits(flags, flagged));
    if values.is_empty() {
        let permissions = (value != 0 || flagged == 0).then(|| octal(value));
        return flags.into_iter().chain(permissions).collect::<Vec<_>>().join("|");
    }
    let first = match name_of(values, value) {
        Some(name) => Some(name.to_owned()),
        None if value == 0 && flagged != 0 => None,
        None if value == 0 => Some(number(value)),
        None => Some(unknown(prefix(values), value)),
    };
    first.into_iter().chain(flags).collect::<Vec<_>>().join("|")
}

/// Flags of `open`, in the guest's values.
pub fn open_flags(layout: &KernelLayout, value: u64) -> String {
    let texts = open_bits(layout, value & !3);
    let access = ["O_RDONLY", "O_WRONLY", "O_RDWR", "O_ACCMODE"][value as usize & 3];
    if texts.is_empty() { access.to_owned() } else { format!("{access}|{texts}") }
}

/// The same without an access mode: what is not one of its values is a number.
pub fn descriptor_flags(layout: &KernelLayout, value: u64) -> String {
    let texts = open_bits(layout, value);
    if texts.is_empty() { "0".to_owned() } else { texts }
}

fn open_bits(layout: &KernelLayout, value: u64) -> String {
    const TEMPORARY: u64 = 0o20_000_000;
    let own = layout.open_flags;
    let temporary = value & TEMPORARY != 0;
    let table = [
        (libc::O_CREAT as u64, "O_CREAT"),
        (libc::O_EXCL as u64, "O_EXCL"),
        (libc::O_NOCTTY as u64, "O_NOCTTY"),
        (libc::O_TRUNC as u64, "O_TRUNC"),
        (libc::O_APPEND as u64, "O_APPEND"),
        (libc::O_NONBLOCK as u64, "O_NONBLOCK"),
        (libc::O_SYNC as u64, "O_SYNC"),
        (libc::O_DSYNC as u64, "O_DSYNC"),
        (u64::from(own.direct), "O_DIRECT"),
        (u64::from(own.largefile), "O_LARGEFILE"),
        (u64::from(own.nofollow), "O_NOFOLLOW"),
        (libc::O_NOATIME as u64, "O_NOATIME"),
        (libc::O_CLOEXEC as u64, "O_CLOEXEC"),
        (libc::O_PATH as u64, "O_PATH"),
        (TEMPORARY | u64::from(own.directory), if temporary { "O_TMPFILE" } else { "" }),
        (u64::from(own.directory), "O_DIRECTORY"),
        (libc::O_ASYNC as u64, "FASYNC"),
    ];
    let mut texts = Vec::new();
    let mut rest = value;
    for (mask, name) in table {
        if mask != 0 && !name.is_empty() && rest & mask == mask {
            texts.push(name.to_owned());
            rest &= !mask;
        }
    }
    if rest != 0 {
        texts.push(number(rest));
    }
    texts.join("|")
}

pub fn signal(number: i32) -> String {
    match n::SIGNALS.iter().find(|(known, _)| *known == number as u64) {
        Some((_, name)) => (*name).to_owned(),
        None if (33..=64).contains(&number) => format!("SIGRT_{}", number - 32),
        None => number.to_string(),
    }
}

/// Bytes in quotes, as C writes them: what has no letter in octal, as short as what follows allows.
pub fn quoted(bytes: &[u8]) -> String {
    let mut text = String::from("\"");
    for (index, &byte) in bytes.iter().enumerate() {
        let digit_follows = bytes.get(index + 1).is_some_and(|next| next.is_ascii_digit());
        let _ = match byte {
            b'"' | b'\\' => write!(text, "\\{}", char::from(byte)),
            b'\n' => write!(text, "\\n"),
            b'\t' => write!(text, "\\t"),
            b'\r' => write!(text, "\\r"),
            0x0b => write!(text, "\\v"),
            0x0c => write!(text, "\\f"),
            b' '..=b'~' => write!(text, "{}", char::from(byte)),
            _ if digit_follows => write!(text, "\\{byte:03o}"),
            _ => write!(text, "\\{byte:o}"),
        };
    }
    text.push('"');
    text
}

/// Bytes in quotes, all in hexadecimal.
pub fn quoted_hex(bytes: &[u8]) -> String {
    let texts: Vec<String> = bytes.iter().map(|byte| format!("\\x{byte:02x}")).collect();
    format!("\"{}\"", texts.concat())
}

/// A string of the guest, in quotes, whole: a path.
pub fn path(addr: u64) -> String {
    match read_string(addr, libc::PATH_MAX as usize) {
        _ if addr == 0 => "NULL".to_owned(),
        Ok(Some(bytes)) => quoted(&bytes),
        _ => number(addr),
    }
}

/// The start of a string of the guest.
pub fn string(addr: u64, shown: usize) -> String {
    match read_string(addr, libc::PATH_MAX as usize * 32) {
        _ if addr == 0 => "NULL".to_owned(),
        Ok(Some(bytes)) if bytes.len() > shown => format!("{}...", quoted(&bytes[..shown])),
        Ok(Some(bytes)) => quoted(&bytes),
        _ => number(addr),
    }
}

/// The start of a buffer, in quotes; its address where it cannot be read.
pub fn buffer(addr: u64, len: u64) -> String {
    written(addr, len, quoted)
}

pub fn buffer_hex(addr: u64, len: u64) -> String {
    written(addr, len, quoted_hex)
}

fn written(addr: u64, len: u64, quoted: fn(&[u8]) -> String) -> String {
    let mut bytes = [0; SHOWN];
    let want = usize::try_from(len).map_or(SHOWN, |len| len.min(SHOWN));
    let got = Memory.read_prefix(GuestAddr(addr), &mut bytes[..want]);
    if got < want || addr == 0 {
        return pointer(addr);
    }
    format!("{}{}", quoted(&bytes[..got]), if len > SHOWN as u64 { "..." } else { "" })
}

/// NULL-terminated pointers to strings.
pub fn strings(addr: u64) -> String {
    let mut texts = Vec::new();
    for index in 0..ELEMENTS {
        match read_word(addr.wrapping_add(8 * index)) {
            Ok(0) => return format!("[{}]", texts.join(", ")),
            Ok(pointer) => texts.push(string(pointer, SHOWN)),
            Err(_) => return number(addr),
        }
    }
    format!("[{}, ...]", texts.join(", "))
}

/// How many pointers there are before NULL.
pub fn variables(addr: u64) -> String {
    /// `MAX_ARG_STRINGS` is more; nobody has that many.
    const MOST: u64 = 1 << 20;
    let count = (0..MOST).find_map(|index| match read_word(addr.wrapping_add(8 * index)) {
        Ok(0) => Some(Some(index)),
        Ok(_) => None,
        Err(_) => Some(None),
    });
    match count.flatten() {
        Some(count) => format!("{addr:#x} /* {count} var{} */", if count == 1 { "" } else { "s" }),
        None => number(addr),
    }
}

/// Processor time in the unit of `times`: hundredths of a second.
pub fn ticks(ticks: i64) -> String {
    match ticks {
        0 => "0".to_owned(),
        _ => format!("{ticks} /* {}.{:02} s */", ticks / 100, ticks.rem_euclid(100)),
    }
}

/// A moment, to so many digits of a second.
pub fn moment(seconds: i64, fraction: i64, digits: usize) -> String {
    let (day, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, date) = civil(day);
    let rest = if fraction == 0 { String::new() } else { format!(".{fraction:0digits$}") };
    let (hour, minute) = (second / 3600, second / 60 % 60);
    format!("{year:04}-{month:02}-{date:02}T{hour:02}:{minute:02}:{:02}{rest}+0000", second % 60)
}

/// Year, month and day of a day counted from 1970: years are counted from March, so that leap days come last.
fn civil(day: i64) -> (i64, i64, i64) {
    let day = day + 719_468;
    let (era, of_era) = (day.div_euclid(146_097), day.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let date = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, date)
}

/// `FUTEX_WAKE_OP`'s third value: what is done to the second word, and what it is compared with
/// (include/uapi/linux/futex.h).
pub fn wake_operation(value: u32) -> String {
    const OPERATIONS: [&str; 5] = ["SET", "ADD", "OR", "ANDN", "XOR"];
    const COMPARISONS: [&str; 6] = ["EQ", "NE", "LT", "LE", "GT", "GE"];
    let named = |prefix: &str, names: &[&str], index: u32| {
        names.get(index as usize).map_or_else(|| format!("{index:#x}"), |name| format!("{prefix}{name}"))
    };
    let shift = if value >> 31 != 0 { "FUTEX_OP_OPARG_SHIFT<<28|" } else { "" };
    format!(
        "{shift}{}<<28|{}<<12|{}<<24|{}",
        named("FUTEX_OP_", &OPERATIONS, value >> 28 & 7),
        number(u64::from(value >> 12 & 0xfff)),
        named("FUTEX_OP_CMP_", &COMPARISONS, value >> 24 & 15),
        number(u64::from(value & 0xfff)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_named_and_the_rest_is_a_number() {
        assert_eq!(bits(n::PROTECTION, 3), "PROT_READ|PROT_WRITE");
        assert_eq!(bits(n::PROTECTION, 0), "PROT_NONE");
        assert_eq!(bits(n::WAIT, 0x81), "WNOHANG|0x80");
        assert_eq!(bits(n::MREMAP, 0), "0");
        assert_eq!(bits(n::UNSHARE, 0x8000_0000), "0x80000000 /* CLONE_??? */");
    }

    #[test]
    fn a_value_may_have_flags_beside_it() {
        assert_eq!(choice(n::MAP_TYPE, n::MAP, 0x22), "MAP_PRIVATE|MAP_ANONYMOUS");
        assert_eq!(
            choice(n::SOCKET_TYPE, n::SOCKET_FLAGS, 0x80801),
            "SOCK_STREAM|SOCK_CLOEXEC|SOCK_NONBLOCK"
        );
        assert_eq!(choice(&[], n::IPC, 0o1666), "IPC_CREAT|0666");
    }

    #[test]
    fn negative_values_are_of_32_bits() {
        assert_eq!(one_of(n::RUSAGE, u64::MAX), "RUSAGE_CHILDREN");
        assert_eq!(one_of(n::SIGNAL_CODE, 0xffff_fffa), "SI_TKILL");
    }

    #[test]
    fn values_without_a_name_say_what_they_would_be() {
        assert_eq!(one_of(n::ADVICE, 99), "0x63 /* MADV_??? */");
        assert_eq!(one_of(n::MEMBARRIER, 99), "0x63 /* MEMBARRIER_CMD_??? */");
        assert_eq!(one_of(n::FUTEX_ANY, 3), "0x3");
    }

    #[test]
    fn realtime_signals_count_from_32() {
        assert_eq!((signal(11), signal(34), signal(99)), ("SIGSEGV".into(), "SIGRT_2".into(), "99".into()));
        assert_eq!(signal(32), "SIGRTMIN");
    }

    #[test]
    fn bytes_without_a_letter_are_octal() {
        assert_eq!(quoted(b"\x7fELF\x02\x01\0\0"), r#""\177ELF\2\1\0\0""#);
        assert_eq!(quoted(b"\x01\x7f2\0a\"\\\n"), r#""\1\1772\0a\"\\\n""#);
    }

    #[test]
    fn moments_are_dates() {
        assert_eq!(moment(1_000_000_000, 5, 9), "2001-09-09T01:46:40.000000005+0000");
        assert_eq!(moment(0, 0, 9), "1970-01-01T00:00:00+0000");
        assert_eq!(moment(951_782_400, 0, 6), "2000-02-29T00:00:00+0000");
        assert_eq!(moment(-1, 0, 6), "1969-12-31T23:59:59+0000");
    }

    #[test]
    fn an_operation_has_four_parts() {
        assert_eq!(wake_operation(0x1234_5001), "FUTEX_OP_ADD<<28|0x345<<12|FUTEX_OP_CMP_LT<<24|0x1");
    }
}
