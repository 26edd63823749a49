//! What `-d ir` prints, the parser reads back: logs of real programs can be replayed.
#![allow(clippy::unwrap_used)] // a test's own failures

use std::process::Command;

#[test]
fn printed_ir_of_a_real_program_reads_back() {
    let out = Command::new(env!("CARGO_BIN_EXE_qemu-lua-x86_64"))
        .args(["-tier", "interp", "-d", "ir", "/bin/busybox", "true"])
        .output()
        .unwrap();
    let log = String::from_utf8(out.stderr).unwrap();
    let mut blocks = 0;
    for text in log.split("block 0x").skip(1) {
        let text = format!("block 0x{text}");
        let block = guest::ir::parse_block(&text).unwrap_or_else(|error| panic!("{error}:\n{text}"));
        assert_eq!(block.to_string().trim(), text.trim());
        blocks += 1;
    }
    assert!(blocks > 100, "{blocks} blocks");
}
