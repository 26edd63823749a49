//! `struct termios`, in short: without control characters.

use super::structures::value;
use super::values::{bits, name_of};
use crate::linux::table::kinds::Names;
use crate::linux::table::names as n;

/// Groups of output modes, of which each has one value: `NL0` and so on.
const DELAYS: &[(u64, Names)] = &[
    (0o400, n::NEW_LINE_DELAY),
    (0o3000, n::RETURN_DELAY),
    (0o14000, n::TAB_DELAY),
    (0o20000, n::BACKSPACE_DELAY),
    (0o40000, n::VERTICAL_TAB_DELAY),
    (0o100_000, n::FORM_FEED_DELAY),
];
const SPEED: u64 = 0o10017;
const SIZE: u64 = libc::CSIZE as u64;

pub fn modes(bytes: &[u8]) -> String {
    let word = |index: usize| value(bytes, 4 * index, 4);
    let named = |values: &[(u64, Names)], flags: Names, word: u64| {
        let mut texts: Vec<String> = values
            .iter()
            .map(|(mask, names)| name_of(names, word & mask).map_or_else(String::new, str::to_owned))
            .collect();
        let rest = values.iter().fold(word, |rest, (mask, _)| rest & !mask);
        texts.push(if rest == 0 { String::new() } else { bits(flags, rest) });
        texts.join("|")
    };
    let plain = |flags: Names, word: u64| if word == 0 { String::new() } else { bits(flags, word) };
    format!(
        "{{c_iflag={}, c_oflag={}, c_cflag={}, c_lflag={}, ...}}",
        plain(n::INPUT_MODES, word(0)),
        named(DELAYS, n::OUTPUT_MODES, word(1)),
        named(&[(SPEED, n::SPEED), (SIZE, n::CHARACTER_SIZE)], n::CONTROL_MODES, word(2)),
        plain(n::LOCAL_MODES, word(3)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_of_a_new_terminal_are_named() {
        let words: [u32; 4] = [0o2400, 0o5, 0o277, 0o105_073];
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let expected = "{c_iflag=ICRNL|IXON, c_oflag=NL0|CR0|TAB0|BS0|VT0|FF0|OPOST|ONLCR, \
            c_cflag=B38400|CS8|CREAD, c_lflag=ISIG|ICANON|ECHO|ECHOE|ECHOK|IEXTEN|ECHOCTL|ECHOKE, ...}";
        assert_eq!(modes(&bytes), expected);
    }
}
