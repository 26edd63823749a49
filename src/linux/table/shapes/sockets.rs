//! Values of socket options.

use super::Field::{I32, Inet, Inet6, U32};
use super::{Shape, same};

pub const LINGER: Shape = same("struct linger", 8, &[("l_onoff", 0, I32), ("l_linger", 4, I32)]);
pub const CREDENTIALS: Shape = same("struct ucred", 12, &[("pid", 0, I32), ("uid", 4, U32), ("gid", 8, U32)]);
pub const MEMBERSHIP: Shape =
    same("struct ip_mreq", 8, &[("imr_multiaddr", 0, Inet), ("imr_interface", 4, Inet)]);
pub const MEMBERSHIP6: Shape =
    same("struct ipv6_mreq", 20, &[("ipv6mr_multiaddr", 0, Inet6), ("ipv6mr_interface", 16, I32)]);
