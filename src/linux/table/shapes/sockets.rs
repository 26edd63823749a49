//! Values of socket options.

use super::Field::{Bits16, I32, Inet, Inet6, SocketAddress, Text, U32};
use super::{Member, Shape, same};
use crate::linux::table::names as n;

pub const LINGER: Shape = same("struct linger", 8, &[("l_onoff", 0, I32), ("l_linger", 4, I32)]);
pub const CREDENTIALS: Shape = same("struct ucred", 12, &[("pid", 0, I32), ("uid", 4, U32), ("gid", 8, U32)]);
pub const MEMBERSHIP: Shape =
    same("struct ip_mreq", 8, &[("imr_multiaddr", 0, Inet), ("imr_interface", 4, Inet)]);
pub const MEMBERSHIP6: Shape =
    same("struct ipv6_mreq", 20, &[("ipv6mr_multiaddr", 0, Inet6), ("ipv6mr_interface", 16, I32)]);

/// `struct ifreq`: an interface's name, and what the request is about.
const fn interface(fields: &'static [Member]) -> Shape {
    same("struct ifreq", 40, fields)
}
pub const INTERFACE_FLAGS: Shape =
    interface(&[("ifr_name", 0, Text(16)), ("ifr_flags", 16, Bits16(n::INTERFACE_FLAGS))]);
pub const INTERFACE_INDEX: Shape = interface(&[("ifr_name", 0, Text(16)), ("ifr_ifindex", 16, I32)]);
pub const INTERFACE_OF_INDEX: Shape = interface(&[("ifr_ifindex", 16, I32), ("ifr_name", 0, Text(16))]);
pub const INTERFACE_MTU: Shape = interface(&[("ifr_name", 0, Text(16)), ("ifr_mtu", 16, I32)]);
pub const INTERFACE_QUEUE: Shape = interface(&[("ifr_name", 0, Text(16)), ("ifr_qlen", 16, I32)]);
pub const INTERFACE_ADDRESS: Shape = interface(&[("ifr_name", 0, Text(16)), ("ifr_addr", 16, SocketAddress)]);
pub const INTERFACE_MASK: Shape = interface(&[("ifr_name", 0, Text(16)), ("ifr_netmask", 16, SocketAddress)]);
pub const INTERFACE_BROADCAST: Shape =
    interface(&[("ifr_name", 0, Text(16)), ("ifr_broadaddr", 16, SocketAddress)]);
