-- Timing: makes every write take DELAY_MS longer, and tells of those that were slow by themselves.
local DELAY_MS = 2
local SLOW_MS = 50

-- The numbers differ between architectures; their registers tell which one this is.
local is_x86_64 = select(3, c_get_reg("rax")) == 0
local NANOSLEEP = is_x86_64 and 35 or 101

local function milliseconds()
  local seconds, nanoseconds = c_get_timestamp()
  return seconds * 1000 + nanoseconds // 1000000
end

-- The guest's stack below its stack pointer and red zone is free while it waits for us.
local function delay(ms)
  local timespec = (c_get_reg("sp") - 512) & ~15
  local saved, rc = c_read_guest_bytes(timespec, 16)
  if rc ~= 0 then
    return
  end
  c_write_guest_u64(timespec, ms // 1000)
  c_write_guest_u64(timespec + 8, ms % 1000 * 1000000)
  c_do_syscall(NANOSLEEP, timespec, 0)
  c_write_guest_bytes(timespec, saved)
end

function do_syscall(num, fd, buf, count)
  delay(DELAY_MS)
  local before = milliseconds()
  local result = c_do_syscall(num, fd, buf, count)
  local took = milliseconds() - before
  if took >= SLOW_MS then
    c_log(string.format("write(fd=%d, count=%d) took %d ms", fd, count, took))
  end
  return result
end
