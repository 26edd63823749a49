-- Intercept: logs what is opened, and can refuse to open anything for writing.
-- AArch64 has no open system call: there, openat.lua sees everything.
local block_writes = false

local O_ACCMODE, O_CREAT, O_TRUNC = 0x3, 0x40, 0x200 -- the same on both architectures
local EACCES = 13

local function writes(flags)
  return flags & O_ACCMODE ~= 0 or flags & (O_CREAT | O_TRUNC) ~= 0
end

function do_syscall(num, path, flags, mode)
  local name, rc = c_read_guest_string(path)
  if rc ~= 0 then
    return c_do_syscall(num, path, flags, mode) -- the kernel knows the right error
  end
  if block_writes and writes(flags) then
    c_log(string.format("open(%q) for writing: refused", name))
    return -EACCES
  end
  local result = c_do_syscall(num, path, flags, mode)
  c_log(string.format("open(%q, flags=%#x) = %d", name, flags, result))
  return result
end
