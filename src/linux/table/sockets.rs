//! Waiting for descriptors, and sockets.

use super::kinds::Kind::*;
use super::{names as n, rows, shapes as s};
use crate::linux::{epoll, net, time};

rows! { WAITING:
    block poll(ufds: BothEach(s::POLLFD), nfds: Size, timeout_msecs: Int);
    /// The mask is the guest's, see rt_sigprocmask.
    translate(time::ppoll) ppoll(ufds: BothEach(s::POLLFD), nfds: Size, tsp: Both(s::TIMESPEC), sigmask: Takes(s::SIGNAL_SET), sigsetsize: Size);
    block select(n: Int, inp: Both(s::FD_SET), outp: Both(s::FD_SET), exp: Both(s::FD_SET), tvp: Both(s::TIMEVAL));
    /// As ppoll.
    translate(time::pselect6) pselect6(n: Int, inp: Both(s::FD_SET), outp: Both(s::FD_SET), exp: Both(s::FD_SET), tsp: Both(s::TIMESPEC), sig: Takes(s::MASK_AND_SIZE));
    pass epoll_create(size: Int);
    pass epoll_create1(flags: Bits(n::EPOLL_CREATE));
    /// `struct epoll_event` of AArch64 has another layout.
    translate(epoll::epoll_ctl) epoll_ctl(epfd: Fd, op: OneOf(n::EPOLL_OP), fd: Fd, event: Takes(s::Shape::EpollEvent));
    /// As epoll_ctl.
    translate(epoll::epoll_wait) epoll_wait(epfd: Fd, events: GivesEach(s::Shape::EpollEvent), maxevents: Int, timeout: Int);
    /// As epoll_ctl and ppoll.
    translate(epoll::epoll_pwait) epoll_pwait(epfd: Fd, events: GivesEach(s::Shape::EpollEvent), maxevents: Int, timeout: Int, sigmask: Takes(s::SIGNAL_SET), sigsetsize: Size);
    /// As epoll_ctl and ppoll.
    translate(epoll::epoll_pwait2) epoll_pwait2(epfd: Fd, events: GivesEach(s::Shape::EpollEvent), maxevents: Int, timeout: Takes(s::TIMESPEC), sigmask: Takes(s::SIGNAL_SET), sigsetsize: Size);
    pass eventfd(count: Int);
    pass eventfd2(count: Int, flags: Bits(n::EVENTFD));
    /// Never more than a name in the table of x86-64.
    refuse(ENOSYS) epoll_ctl_old(a: Hex, b: Hex, c: Hex, d: Hex);
    /// Never more than a name in the table of x86-64.
    refuse(ENOSYS) epoll_wait_old(a: Hex, b: Hex, c: Hex, d: Hex);
}

rows! { SOCKETS:
    pass socket(family: OneOf(n::DOMAIN), kind: Choice(n::SOCKET_TYPE, n::SOCKET_FLAGS), protocol: Int);
    pass socketpair(family: OneOf(n::DOMAIN), kind: Choice(n::SOCKET_TYPE, n::SOCKET_FLAGS), protocol: Int, usockvec: Gives(s::TWO_INTS));
    pass bind(fd: Fd, umyaddr: TakesAddress, addrlen: Size);
    pass listen(fd: Fd, backlog: Int);
    block accept(fd: Fd, upeer_sockaddr: GivesAddress, upeer_addrlen: Both(s::INT));
    block accept4(fd: Fd, upeer_sockaddr: GivesAddress, upeer_addrlen: Both(s::INT), flags: Bits(n::SOCKET_FLAGS));
    block connect(fd: Fd, uservaddr: TakesAddress, addrlen: Size);
    pass getsockname(fd: Fd, usockaddr: GivesAddress, usockaddr_len: Both(s::INT));
    pass getpeername(fd: Fd, usockaddr: GivesAddress, usockaddr_len: Both(s::INT));
    block sendto(fd: Fd, buff: In, len: Size, flags: Bits(n::MESSAGE), addr: TakesAddress, addr_len: Size);
    block recvfrom(fd: Fd, ubuf: Out, size: Size, flags: Bits(n::MESSAGE), addr: GivesAddress, addr_len: Both(s::INT));
    block sendmsg(fd: Fd, msg: Takes(s::Shape::Message), flags: Bits(n::MESSAGE));
    /// Translations of the pages it writes are dropped first.
    translate(net::recvmsg) recvmsg(fd: Fd, msg: Gives(s::Shape::Message), flags: Bits(n::MESSAGE));
    block sendmmsg(fd: Fd, mmsg: Each(s::Shape::MessageOfMany), vlen: Size, flags: Bits(n::MESSAGE));
    /// As recvmsg.
    translate(net::recvmmsg) recvmmsg(fd: Fd, mmsg: BothEach(s::Shape::MessageOfMany), vlen: Size, flags: Bits(n::MESSAGE), timeout: Both(s::TIMESPEC));
    pass shutdown(fd: Fd, how: OneOf(n::SHUTDOWN));
    pass setsockopt(fd: Fd, level: OneOf(n::LEVEL), optname: Int, optval: In, optlen: Size);
    pass getsockopt(fd: Fd, level: OneOf(n::LEVEL), optname: Int, optval: Gives(s::INT), optlen: Both(s::INT));
}
