//! Bit patterns, written as in the manual's encoding diagrams and parsed by the compiler.
//!
//! `"sf:1 00 100110 N:1 immr:6 imms:6 Rn:5 Rd:5 ; sf=0 N=1"` lists the bits from 31 down: literal bits
//! (`x` is free), fields as `name:width`, then after each `;` a combination of field values that is not
//! allocated. A malformed row does not compile.

/// Which words an encoding covers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pattern {
    pub mask: u32,
    pub value: u32,
    /// Unallocated combinations as (mask, value); mask 0 ends the list.
    pub except: [(u32, u32); MAX_EXCEPT],
}

const MAX_EXCEPT: usize = 4;

impl Pattern {
    #[inline]
    pub const fn matches(&self, word: u32) -> bool {
        if word & self.mask != self.value {
            return false;
        }
        let mut i = 0;
        while i < MAX_EXCEPT && self.except[i].0 != 0 {
            if word & self.except[i].0 == self.except[i].1 {
                return false;
            }
            i += 1;
        }
        true
    }

    pub const fn parse(text: &str) -> Self {
        let text = text.as_bytes();
        let mut pattern = Self { mask: 0, value: 0, except: [(0, 0); MAX_EXCEPT] };
        let mut pos = 0;
        let mut bit = 32;
        while let Some((start, end)) = word(text, pos) {
            pos = end;
            if text[start] == b';' {
                break;
            }
            match find(text, start, end, b':') {
                Some(colon) => bit -= number(text, colon + 1, end),
                None => {
                    let width = (end - start) as u32;
                    let (mask, value) = bits(text, start, end);
                    bit -= width;
                    pattern.mask |= mask << bit;
                    pattern.value |= value << bit;
                }
            }
        }
        assert!(bit == 0, "a pattern must have 32 bits");
        parse_exceptions(text, pos, pattern)
    }
}

const fn parse_exceptions(text: &[u8], mut pos: usize, mut pattern: Pattern) -> Pattern {
    let mut count = 0;
    while let Some((start, end)) = word(text, pos) {
        pos = end;
        if text[start] == b';' {
            count += 1;
            continue;
        }
        let Some(equals) = find(text, start, end, b'=') else { panic!("expected field=bits") };
        let (lsb, width) = field(text, start, equals);
        assert!(end - equals - 1 == width as usize, "the bits must fill the field");
        let (mask, value) = bits(text, equals + 1, end);
        pattern.except[count].0 |= mask << lsb;
        pattern.except[count].1 |= value << lsb;
    }
    pattern
}

/// The next blank-separated word from `pos`, as (start, end).
const fn word(text: &[u8], mut pos: usize) -> Option<(usize, usize)> {
    while pos < text.len() && text[pos] == b' ' {
        pos += 1;
    }
    let start = pos;
    while pos < text.len() && text[pos] != b' ' {
        pos += 1;
    }
    if start == pos { None } else { Some((start, pos)) }
}

const fn find(text: &[u8], start: usize, end: usize, byte: u8) -> Option<usize> {
    let mut i = start;
    while i < end {
        if text[i] == byte {
            return Some(i);
        }
        i += 1;
    }
    None
}

const fn number(text: &[u8], start: usize, end: usize) -> u32 {
    let mut value = 0;
    let mut i = start;
    while i < end {
        assert!(text[i].is_ascii_digit(), "expected a field width");
        value = value * 10 + (text[i] - b'0') as u32;
        i += 1;
    }
    value
}

/// Literal bits as (mask, value).
const fn bits(text: &[u8], start: usize, end: usize) -> (u32, u32) {
    let (mut mask, mut value) = (0, 0);
    let mut i = start;
    while i < end {
        let (m, v) = match text[i] {
            b'0' => (1, 0),
            b'1' => (1, 1),
            b'x' => (0, 0),
            _ => panic!("expected 0, 1 or x"),
        };
        mask = mask << 1 | m;
        value = value << 1 | v;
        i += 1;
    }
    (mask, value)
}

/// Position and width of the field whose name is `text[start..end]`.
const fn field(text: &[u8], start: usize, end: usize) -> (u32, u32) {
    let mut pos = 0;
    let mut bit = 32;
    while let Some((s, e)) = word(text, pos) {
        assert!(text[s] != b';', "no such field");
        pos = e;
        let Some(colon) = find(text, s, e, b':') else {
            bit -= (e - s) as u32;
            continue;
        };
        let width = number(text, colon + 1, e);
        bit -= width;
        if same(text, s, colon, start, end) {
            return (bit, width);
        }
    }
    panic!("no such field");
}

const fn same(text: &[u8], a: usize, a_end: usize, b: usize, b_end: usize) -> bool {
    if a_end - a != b_end - b {
        return false;
    }
    let mut i = 0;
    while a + i < a_end {
        if text[a + i] != text[b + i] {
            return false;
        }
        i += 1;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    #[test]
    fn fields_are_free_and_exceptions_are_not_matched() {
        let pattern = Pattern::parse("sf:1 10 100110 N:1 immr:6 imms:6 Rn:5 Rd:5 ; sf=0 N=1 ; sf=1 N=0");
        assert_eq!((pattern.mask, pattern.value), (0x7f80_0000, 0x5300_0000));
        assert!(pattern.matches(0x5300_0000));
        assert!(!pattern.matches(0x5340_0000));
        assert!(!pattern.matches(0xd300_0000));
    }
}
