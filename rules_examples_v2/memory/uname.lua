-- Memory: lets the real uname fill the guest's buffer, then changes the node name in it.
-- struct utsname: six fields of 65 bytes (sysname, nodename, release, version, machine, domainname).
local FIELD = 65
local node = "ruled-by-lua"

function do_syscall(num, buf)
  local result = c_do_syscall(num, buf)
  if result < 0 then
    return result
  end
  local system, rc = c_read_guest_string(buf, FIELD)
  local machine = c_read_guest_string(buf + 4 * FIELD, FIELD)
  local word = c_read_guest_u32(buf)
  c_log(string.format("uname: %s on %s (rc %d, first word %#x)", system, machine, rc, word))
  local written, write_rc = c_write_guest_bytes(buf + FIELD, node .. "\0")
  if write_rc ~= 0 then
    c_log(string.format("uname: only %d bytes written (%d)", written, write_rc))
  end
  return result
end
