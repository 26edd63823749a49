-- Monitor: logs what is written where, and lets every call through.
local PREVIEW = 40

function do_syscall(num, fd, buf, count, arg4, arg5, arg6, arg7, arg8)
  local length = math.max(0, math.min(count, PREVIEW))
  local data, rc = c_read_guest_bytes(buf, length)
  local result = c_do_syscall(num, fd, buf, count, arg4, arg5, arg6, arg7, arg8)
  if rc == 0 then
    c_log(string.format("write(fd=%d, count=%d) = %d: %q", fd, count, result, data))
  else
    c_log(string.format("write(fd=%d, count=%d) = %d: unreadable buffer (%d)", fd, count, result, rc))
  end
  return result
end

c_log("Loaded")
