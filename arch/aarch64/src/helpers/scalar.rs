//! Helpers on integers and on the bits of floats.

use crate::fpenv;

/// `CRC32*` (`kind` bit 2 clear, polynomial 0x04C11DB7) and `CRC32C*` (set, 0x1EDC6F41), of the
/// `1 << (kind & 3)` low bytes of `data`.
pub fn crc32(crc: u64, data: u64, kind: u64) -> u64 {
    let polynomial: u32 = if kind & 4 != 0 { 0x82f6_3b78 } else { 0xedb8_8320 };
    let mut crc = crc as u32;
    for byte in data.to_le_bytes().into_iter().take(1 << (kind & 3)) {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = crc >> 1 ^ if crc & 1 != 0 { polynomial } else { 0 };
        }
    }
    u64::from(crc)
}

/// FPSR as the environment and QC have it.
pub fn fpsr_read(environment: u64, qc: u64, _: u64) -> u64 {
    fpenv::sticky(environment as u32) | if qc != 0 { 1 << 27 } else { 0 }
}

pub fn fpsr_to_environment(fpsr: u64, fpcr: u64, _: u64) -> u64 {
    u64::from(fpenv::environment(fpcr, fpsr))
}

pub fn fpcr_to_environment(environment: u64, fpcr: u64, _: u64) -> u64 {
    u64::from(fpenv::with_fpcr(environment as u32, fpcr))
}

/// The double's integer part modulo 2^32 (`FPToFixedJS`); 0 for what is no number.
pub fn to_int32_modulo(value: u64, _: u64, _: u64) -> u64 {
    let exponent = (value >> 52 & 0x7ff) as i64 - 1023;
    if !(0..=1023).contains(&exponent) {
        return 0;
    }
    let significand = 1 << 52 | value & ((1 << 52) - 1);
    let magnitude = match exponent - 52 {
        32.. => 0,
        shift @ 0.. => (significand as u32) << shift,
        shift => (significand >> -shift) as u32,
    };
    u64::from(if value >> 63 != 0 { magnitude.wrapping_neg() } else { magnitude })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crc32_of_the_check_string() {
        let sum = |kind: u64| !b"123456789".iter().fold(0xffff_ffff, |c, b| crc32(c, u64::from(*b), kind));
        assert_eq!(sum(0) as u32, 0xcbf4_3926);
        assert_eq!(sum(4) as u32, 0xe306_9283);
    }
}
