-- Conditional forwarding: no internet and no raw sockets; local ones pass.
local AF_INET, AF_INET6, AF_NETLINK, AF_PACKET = 2, 10, 16, 17
local SOCK_RAW, SOCK_TYPE_MASK = 3, 0xf -- the type argument carries SOCK_CLOEXEC and SOCK_NONBLOCK too
local EACCES = 13

local blocked = { [AF_INET] = "AF_INET", [AF_INET6] = "AF_INET6", [AF_PACKET] = "AF_PACKET" }

function do_syscall(num, domain, kind, protocol)
  local family = domain & 0xffffffff
  local reason = blocked[family]
  -- Netlink sockets are called raw, but they only ask the kernel questions.
  if not reason and kind & SOCK_TYPE_MASK == SOCK_RAW and family ~= AF_NETLINK then
    reason = "SOCK_RAW"
  end
  if reason then
    c_log("socket: " .. reason .. " is blocked")
    return -EACCES
  end
  return c_do_syscall(num, domain, kind, protocol)
end
