//! Disassembly, by an independent decoder.

use guest::arch::Disassembly;
use yaxpeax_arch::{Decoder, U8Reader};
use yaxpeax_arm::armv8::a64::InstDecoder;

/// One instruction as text; what is none reads as data.
pub fn disassemble(bytes: &[u8]) -> Disassembly {
    let Some(&[a, b, c, d]) = bytes.first_chunk::<4>() else {
        let text = bytes.iter().map(|byte| format!("{byte:#04x}")).collect::<Vec<_>>().join(", ");
        return Disassembly { text: format!(".byte {text}"), len: bytes.len().max(1) };
    };
    let word = u32::from_le_bytes([a, b, c, d]);
    let text = match InstDecoder::default().decode(&mut U8Reader::new(&[a, b, c, d])) {
        Ok(instruction) => instruction.to_string(),
        Err(_) => format!(".word {word:#010x}"),
    };
    Disassembly { text, len: 4 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instructions_read_as_text_and_others_as_data() {
        assert_eq!(disassemble(&0xd65f_03c0u32.to_le_bytes()).text, "ret");
        assert_eq!(disassemble(&[0; 4]).text, "udf #0x0");
        assert_eq!(disassemble(&[0xff; 4]).text, ".word 0xffffffff");
        assert_eq!(disassemble(&[1, 2]).len, 2);
    }
}
