//! Waiting for descriptors, and sockets.

use super::kinds::Kind::*;
use super::{commands as c, names as n, rows, shapes as s};
use crate::linux::{epoll, net, time};

rows! { WAITING:
    block poll(ufds: Polled, nfds: Size, timeout_msecs: Int) -> Polled;
    /// The mask is the guest's, see rt_sigprocmask.
    translate(time::ppoll) ppoll(ufds: Polled, nfds: Size, tsp: Timeout(s::TIMESPEC), sigmask: Takes(s::SIGNAL_SET), sigsetsize: Size) -> Polled;
    block select(n: Int, inp: FdSet, outp: FdSet, exp: FdSet, tvp: Timeout(s::TIMEVAL)) -> Selected;
    /// As ppoll.
    translate(time::pselect6) pselect6(n: Int, inp: FdSet, outp: FdSet, exp: FdSet, tsp: Timeout(s::TIMESPEC), sig: Takes(s::MASK_AND_SIZE)) -> Selected;
    pass epoll_create(size: Int) -> Descriptor;
    pass epoll_create1(flags: Bits(n::EPOLL_CREATE)) -> Descriptor;
    /// `struct epoll_event` of AArch64 has another layout.
    translate(epoll::epoll_ctl) epoll_ctl(epfd: Fd, op: By(&c::EPOLL_OP), fd: Fd, event: Takes(s::Shape::EpollEvent));
    /// As epoll_ctl.
    translate(epoll::epoll_wait) epoll_wait(epfd: Fd, events: GivesEach(s::Shape::EpollEvent), maxevents: Int, timeout: Int);
    /// As epoll_ctl and ppoll.
    translate(epoll::epoll_pwait) epoll_pwait(epfd: Fd, events: GivesEach(s::Shape::EpollEvent), maxevents: Int, timeout: Int, sigmask: Takes(s::SIGNAL_SET), sigsetsize: Size);
    /// As epoll_ctl and ppoll.
    translate(epoll::epoll_pwait2) epoll_pwait2(epfd: Fd, events: GivesEach(s::Shape::EpollEvent), maxevents: Int, timeout: Takes(s::TIMESPEC), sigmask: Takes(s::SIGNAL_SET), sigsetsize: Size);
    pass eventfd(count: Int) -> Descriptor;
    pass eventfd2(count: Int, flags: Bits(n::EVENTFD)) -> Descriptor;
    /// Never more than a name in the table of x86-64.
    refuse(ENOSYS) epoll_ctl_old(a: Hex, b: Hex, c: Hex, d: Hex);
    /// Never more than a name in the table of x86-64.
    refuse(ENOSYS) epoll_wait_old(a: Hex, b: Hex, c: Hex, d: Hex);
}

rows! { SOCKETS:
    pass socket(family: OneOf(n::DOMAIN), kind: Choice(n::SOCKET_TYPE, n::SOCKET_FLAGS), protocol: Protocol) -> Descriptor;
    /// Our own descriptors move out of the way of the guest's.
    translate(net::socketpair) socketpair(family: OneOf(n::DOMAIN), kind: Choice(n::SOCKET_TYPE, n::SOCKET_FLAGS), protocol: Protocol, usockvec: Gives(s::TWO_INTS));
    pass bind(fd: Fd, umyaddr: TakesAddress, addrlen: Size);
    pass listen(fd: Fd, backlog: Int);
    block accept(fd: Fd, upeer_sockaddr: GivesAddress, upeer_addrlen: Length) -> Descriptor;
    block accept4(fd: Fd, upeer_sockaddr: GivesAddress, upeer_addrlen: Length, flags: Bits(n::SOCKET_FLAGS)) -> Descriptor;
    block connect(fd: Fd, uservaddr: TakesAddress, addrlen: Size);
    pass getsockname(fd: Fd, usockaddr: GivesAddress, usockaddr_len: Length);
    pass getpeername(fd: Fd, usockaddr: GivesAddress, usockaddr_len: Length);
    block sendto(fd: Fd, buff: In, len: Size, flags: Bits(n::MESSAGE), addr: TakesAddress, addr_len: Size);
    block recvfrom(fd: Fd, ubuf: Out, size: Size, flags: Bits(n::MESSAGE), addr: GivesAddress, addr_len: Length);
    block sendmsg(fd: Fd, msg: Takes(s::Shape::Message), flags: Bits(n::MESSAGE));
    /// Translations of the pages it writes are dropped first.
    translate(net::recvmsg) recvmsg(fd: Fd, msg: Gives(s::Shape::Message), flags: Bits(n::MESSAGE));
    block sendmmsg(fd: Fd, mmsg: BothEach(s::Shape::MessageOfMany), vlen: Size, flags: Bits(n::MESSAGE));
    /// As recvmsg.
    translate(net::recvmmsg) recvmmsg(fd: Fd, mmsg: BothEach(s::Shape::MessageOfMany), vlen: Size, flags: Bits(n::MESSAGE), timeout: Timeout(s::TIMESPEC)) -> TimeLeft;
    pass shutdown(fd: Fd, how: OneOf(n::SHUTDOWN));
    pass setsockopt(fd: Fd, level: By(&c::LEVEL), optname: Int, optval: TakesMeasured(s::Shape::Option), optlen: Size);
    pass getsockopt(fd: Fd, level: By(&c::LEVEL), optname: Int, optval: GivesMeasured(s::Shape::Option), optlen: Length);
}
