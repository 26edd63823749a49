//! `io_submit`: requests whose pointers have tags (AArch64).
//!
//! The host knows no tags, and what it says at the end of a request names the guest's `struct iocb`, so no copy of it can
//! be submitted: tags are taken off in the guest's structure, and put back when the kernel has read it.

use super::table::Done;
use super::tags;
use super::thread::Thread;
use super::{read_guest, read_word, write_guest};
use crate::host::sys;

// Offsets in `struct iocb`.
const OPCODE: u64 = 16;
const BUFFER: u64 = 24;
const COUNT: u64 = 32;

const PREAD: u16 = 0;
const PWRITE: u16 = 1;
const PREADV: u16 = 7;
const PWRITEV: u16 = 8;

/// Pointers without tags, and what was changed for that.
#[derive(Default)]
struct Requests {
    pointers: Vec<u64>,
    /// Words of the guest's, as they were.
    changed: Vec<(u64, u64)>,
    vectors: Vec<Vec<u64>>,
}

impl Requests {
    fn add(&mut self, pointer: u64) -> Result<(), i32> {
        let iocb = tags::plain(pointer);
        self.pointers.push(iocb);
        let opcode = u16::from_le_bytes(read_guest(iocb + OPCODE)?);
        let buffer = read_word(iocb + BUFFER)?;
        let plain = match opcode {
            PREAD | PWRITE => tags::plain(buffer),
            PREADV | PWRITEV => self.vector(tags::plain(buffer), read_word(iocb + COUNT)?),
            _ => buffer,
        };
        if plain != buffer {
            write_guest(iocb + BUFFER, &plain.to_le_bytes())?;
            self.changed.push((iocb + BUFFER, buffer));
        }
        Ok(())
    }

    /// An array of `struct iovec` without tags: the guest's own, if it has none.
    fn vector(&mut self, addr: u64, count: u64) -> u64 {
        match tags::plain_vector(addr, count) {
            Some(words) => {
                let place = words.as_ptr() as u64;
                self.vectors.push(words);
                place
            }
            None => addr,
        }
    }
}

pub fn io_submit(thread: &mut Thread, args: &[u64; 6]) -> Done {
    let mut requests = Requests::default();
    if tags::are_taken() && args[1] as i64 > 0 {
        for index in 0..args[1] {
            // What cannot be read the kernel finds out when it gets there.
            let Ok(pointer) = read_word(args[2].wrapping_add(8 * index)) else { break };
            if requests.add(pointer).is_err() {
                break;
            }
        }
    }
    let mut host = *args;
    if requests.pointers.len() as u64 == args[1] && args[1] != 0 {
        host[2] = requests.pointers.as_ptr() as u64;
    }
    let result = sys::interruptible(libc::SYS_io_submit, host, &thread.vcpu.port.poll);
    for (addr, word) in requests.changed {
        // It was written a moment ago; where it cannot be any more, the guest has taken it away itself.
        let _ = write_guest(addr, &word.to_le_bytes());
    }
    Done::raw(result)
}
