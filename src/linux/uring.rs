//! `io_uring`: the host's, unless rules are there, which its queue would go past.
//!
//! What the kernel writes on behalf of the queue, it writes to guest memory at a time of its own: buffers must not lie
//! in pages with translated code (such a page is write-protected, and the request would end with EFAULT).

use super::table::Done;
use super::thread::Thread;
use crate::host::{files, sys};

/// `--io-uring`: whether guests have it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum IoUring {
    /// Where there are no rules.
    #[default]
    Auto,
    On,
    Off,
}

impl std::str::FromStr for IoUring {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Ok(match text {
            "auto" => Self::Auto,
            "on" => Self::On,
            "off" => Self::Off,
            _ => return Err(()),
        })
    }
}

/// Makes the call, if guests may.
fn allowed(thread: &Thread, number: i64, args: &[u64; 6]) -> Done {
    let has_it = match thread.process.options.io_uring {
        IoUring::Auto => thread.process.rules.is_none(),
        IoUring::On => true,
        IoUring::Off => false,
    };
    if !has_it {
        crate::log::once("io_uring", || {
            "io_uring is not available where rules are (they would not see its requests): ENOSYS; -io-uring on gives it"
                .to_owned()
        });
        return Done::errno(libc::ENOSYS);
    }
    if number != libc::SYS_io_uring_setup && files::is_ours(args[0] as i32) {
        return Done::errno(libc::EBADF);
    }
    Done::raw(sys::interruptible(number, *args, &thread.vcpu.port.poll))
}

pub fn setup(thread: &mut Thread, args: &[u64; 6]) -> Done {
    allowed(thread, libc::SYS_io_uring_setup, args)
}

pub fn enter(thread: &mut Thread, args: &[u64; 6]) -> Done {
    allowed(thread, libc::SYS_io_uring_enter, args)
}

pub fn register(thread: &mut Thread, args: &[u64; 6]) -> Done {
    allowed(thread, libc::SYS_io_uring_register, args)
}
