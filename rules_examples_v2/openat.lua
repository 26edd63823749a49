-- Intercept: logs what is opened, and can refuse to open anything for writing.
local block_writes = false

local O_ACCMODE, O_CREAT, O_TRUNC = 0x3, 0x40, 0x200 -- the same on both architectures
local AT_FDCWD, EACCES = -100, 13

local function writes(flags)
  return flags & O_ACCMODE ~= 0 or flags & (O_CREAT | O_TRUNC) ~= 0
end

-- An int argument is the low half of its register.
local function to_int(value)
  return (value & 0xffffffff ~ 0x80000000) - 0x80000000
end

function do_syscall(num, dirfd, path, flags, mode)
  local name, rc = c_read_guest_string(path)
  if rc ~= 0 then
    return c_do_syscall(num, dirfd, path, flags, mode) -- the kernel knows the right error
  end
  local from = to_int(dirfd) == AT_FDCWD and "" or string.format(" from fd %d", to_int(dirfd))
  if block_writes and writes(flags) then
    c_log(string.format("openat(%q)%s for writing: refused", name, from))
    return -EACCES
  end
  local result = c_do_syscall(num, dirfd, path, flags, mode)
  c_log(string.format("openat(%q, flags=%#x)%s = %d", name, flags, from, result))
  return result
end
