//! Listeners (`SECCOMP_FILTER_FLAG_NEW_LISTENER`): another process decides on a guest's call.
//!
//! The descriptor is a real one, which may be passed on, waited for, and outlive execve: the host gets a filter that reports
//! only numbers which are no system calls, and a guest's call that its filter reports is made under such a number. A
//! supervisor that is a guest too has the number and the architecture put right when it receives the report
//! (the pc is not told), and its "let it be made", which the host's kernel would do to no call, is sent as a value.

use super::{FLAG_NEW_LISTENER, FLAG_TSYNC, FLAG_TSYNC_ESRCH, FLAG_WAIT_KILLABLE};
use crate::host::sys;
use crate::linux::table::Done;
use crate::linux::thread::Thread;
use crate::linux::{read_guest, write_guest};
use guest::linux::SyscallRequest;

/// First number of the reports, and the first behind them: in them lie the machine (8 bits) and the guest's number (16).
const FIRST: u32 = 0x1000_0000;
const END: u32 = 0x1100_0000;
/// `audit_arch` of 64-bit little-endian machines, without the machine.
const AUDIT_64_LE: u32 = 0xc000_0000;
/// What "let it be made" is sent as.
const CONTINUE: i64 = 0x7165_6d75_6c75_6131;
/// `SECCOMP_USER_NOTIF_FLAG_CONTINUE`.
const FLAG_CONTINUE: u32 = 1;

const NOTIF_RECV: u32 = 0xc050_2100;
const NOTIF_SEND: u32 = 0xc018_2101;

/// Gives the host's thread a filter with a listener: its descriptor, or an errno.
pub fn install(flags: u64) -> Result<u64, i32> {
    #[repr(C)]
    struct Program {
        len: u16,
        insns: *const [u8; 8],
    }
    let insn = |code: u16, jt: u8, jf: u8, k: u32| super::Insn { code, jt, jf, k }.to_bytes();
    let insns = [
        insn(0x20, 0, 0, 0),
        insn(0x35, 0, 2, FIRST),
        insn(0x35, 1, 0, END),
        insn(0x06, 0, 0, super::USER_NOTIF),
        insn(0x06, 0, 0, super::ALLOW),
    ];
    let program = Program { len: insns.len() as u16, insns: insns.as_ptr() };
    let flags = flags & (FLAG_NEW_LISTENER | FLAG_TSYNC | FLAG_TSYNC_ESRCH | FLAG_WAIT_KILLABLE);
    sys::check(sys::syscall(libc::SYS_seccomp, [1, flags, &raw const program as u64, 0, 0, 0]))
}

/// Reports the call and waits for the answer; `None` where it is to be made.
pub fn ask(thread: &Thread, request: &SyscallRequest) -> Option<Done> {
    let machine = thread.vcpu.env.arch.linux().audit_arch() & 0xff;
    let Ok(number) = u16::try_from(request.number) else { return Some(Done::errno(libc::ENOSYS)) };
    let number = FIRST | machine << 16 | u32::from(number);
    match sys::interruptible(i64::from(number), request.args, &thread.vcpu.port.poll) {
        CONTINUE => None,
        answer => Some(Done::raw(answer)),
    }
}

/// `ioctl` on a listener; `None` for other requests.
pub fn ioctl(thread: &Thread, args: &[u64; 6]) -> Option<Done> {
    match args[1] as u32 {
        NOTIF_RECV => {
            let result = sys::interruptible(libc::SYS_ioctl, *args, &thread.vcpu.port.poll);
            Some(if result == 0 { received(args[2]).into() } else { Done::raw(result) })
        }
        NOTIF_SEND => Some(send(args).into()),
        _ => None,
    }
}

/// `struct seccomp_notif`: id, pid, flags, then number, architecture, pc and arguments of the call.
fn received(addr: u64) -> Result<u64, i32> {
    const DATA: u64 = 16;
    let number = u32::from_le_bytes(read_guest(addr + DATA)?);
    if (FIRST..END).contains(&number) {
        let (arch, number) = (AUDIT_64_LE | number >> 16 & 0xff, number & 0xffff);
        let mut head = [0; 16];
        head[..4].copy_from_slice(&number.to_le_bytes());
        head[4..8].copy_from_slice(&arch.to_le_bytes());
        write_guest(addr + DATA, &head)?;
    }
    Ok(0)
}

/// `struct seccomp_notif_resp`: id, value, error, flags.
fn send(args: &[u64; 6]) -> Result<u64, i32> {
    let mut answer: [u8; 24] = read_guest(args[2])?;
    let flags = u32::from_le_bytes([answer[20], answer[21], answer[22], answer[23]]);
    if flags == FLAG_CONTINUE && answer[8..20] == [0; 12] {
        answer[8..16].copy_from_slice(&CONTINUE.to_le_bytes());
        answer[20..].fill(0);
    }
    let args = [args[0], args[1], answer.as_ptr() as u64, 0, 0, 0];
    sys::check(sys::syscall(libc::SYS_ioctl, args))
}
