-- Error injection: the disk is full after LIMIT bytes. Standard output and error are left alone.
local LIMIT = 1 << 20
local ENOSPC = 28
local written = 0

function do_syscall(num, fd, buf, count)
  if fd > 2 and written + count > LIMIT then
    c_log(string.format("write(fd=%d, count=%d): injected ENOSPC after %d bytes", fd, count, written))
    return -ENOSPC
  end
  local result = c_do_syscall(num, fd, buf, count)
  if fd > 2 and result > 0 then
    written = written + result
  end
  return result
end
