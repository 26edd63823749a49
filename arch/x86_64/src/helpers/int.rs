//! Integer helpers: rotates through the carry, CRC32.

/// Count and width, as the lifter packs them: the count modulo the bits that turn.
fn turns(how: u64) -> (u32, u32) {
    let (count, bits) = (how & 0xff, (how >> 8) as u32);
    ((count % u64::from(bits + 1)) as u32, bits)
}

/// The operand with the carry above it, as a number of `bits + 1` bits.
fn ring(a: u64, bits: u32, carry: u64) -> u128 {
    let mask = (1u128 << bits) - 1;
    (u128::from(a) & mask) | u128::from(carry & 1) << bits
}

fn turn_left(value: u128, by: u32, size: u32) -> u128 {
    let mask = (1u128 << size) - 1;
    (value << by | value >> (size - by)) & mask
}

fn rotated_left(a: u64, how: u64, carry: u64) -> u128 {
    let (count, bits) = turns(how);
    turn_left(ring(a, bits, carry), count, bits + 1)
}

fn rotated_right(a: u64, how: u64, carry: u64) -> u128 {
    let (count, bits) = turns(how);
    turn_left(ring(a, bits, carry), bits + 1 - count, bits + 1)
}

fn low(value: u128, how: u64) -> u64 {
    (value & ((1u128 << (how >> 8)) - 1)) as u64
}

pub(super) fn rcl(a: u64, how: u64, carry: u64) -> u64 {
    low(rotated_left(a, how, carry), how)
}

pub(super) fn rcl_carry(a: u64, how: u64, carry: u64) -> u64 {
    (rotated_left(a, how, carry) >> (how >> 8)) as u64 & 1
}

pub(super) fn rcr(a: u64, how: u64, carry: u64) -> u64 {
    low(rotated_right(a, how, carry), how)
}

pub(super) fn rcr_carry(a: u64, how: u64, carry: u64) -> u64 {
    (rotated_right(a, how, carry) >> (how >> 8)) as u64 & 1
}

/// `PDEP`: the low bits of `source` go where `mask` has ones.
pub(super) fn pdep(source: u64, mask: u64, _c: u64) -> u64 {
    let (mut left, mut result, mut from) = (mask, 0, source);
    while left != 0 {
        let bit = left & left.wrapping_neg();
        result |= if from & 1 != 0 { bit } else { 0 };
        (left, from) = (left ^ bit, from >> 1);
    }
    result
}

/// `PEXT`: the bits of `source` where `mask` has ones, packed.
pub(super) fn pext(source: u64, mask: u64, _c: u64) -> u64 {
    let (mut left, mut result, mut to) = (mask, 0, 1u64);
    while left != 0 {
        let bit = left & left.wrapping_neg();
        result |= if source & bit != 0 { to } else { 0 };
        (left, to) = (left ^ bit, to.wrapping_shl(1));
    }
    result
}

/// The Castagnoli polynomial, bits reversed.
const CASTAGNOLI: u32 = 0x82f6_3b78;

/// What a byte adds to the CRC, when `n` more bytes follow it.
const CRC_TABLES: [[u32; 256]; 8] = {
    let mut tables = [[0u32; 256]; 8];
    let mut index = 0;
    while index < 256 {
        let mut crc = index as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 != 0 { crc >> 1 ^ CASTAGNOLI } else { crc >> 1 };
            bit += 1;
        }
        tables[0][index] = crc;
        index += 1;
    }
    let mut following = 1;
    while following < 8 {
        let mut index = 0;
        while index < 256 {
            let crc = tables[following - 1][index];
            tables[following][index] = crc >> 8 ^ tables[0][(crc & 0xff) as usize];
            index += 1;
        }
        following += 1;
    }
    tables
};

/// `CRC32` of the low `bytes` bytes of `data`: each of them is looked up by itself.
pub(super) fn crc32c(crc: u64, data: u64, bytes: u64) -> u64 {
    let (crc, bytes) = (crc & 0xffff_ffff, bytes.min(8) as usize);
    let mixed = (crc ^ data).to_le_bytes();
    let rest = if bytes < 4 { crc >> (8 * bytes) } else { 0 };
    let added = (0..bytes).fold(0, |sum, i| sum ^ CRC_TABLES[bytes - 1 - i][usize::from(mixed[i])]);
    rest ^ u64::from(added)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rcl_takes_the_carry_in_below() {
        assert_eq!(rcl(0x80, 8 << 8 | 1, 1), 1);
        assert_eq!(rcl_carry(0x80, 8 << 8 | 1, 1), 1);
        assert_eq!(rcr(0x01, 64 << 8 | 1, 1), 1 << 63);
        assert_eq!(rcr_carry(0x01, 64 << 8 | 1, 1), 1);
    }

    #[test]
    fn crc32c_of_nine_digits() {
        let crc = b"123456789".iter().fold(0xffff_ffff, |crc, &b| crc32c(crc, u64::from(b), 1));
        assert_eq!(crc as u32 ^ 0xffff_ffff, 0xe306_9283);
    }
}
