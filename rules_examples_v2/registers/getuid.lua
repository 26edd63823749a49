-- Registers: logs where the guest is and what its registers hold, each place once.
local seen = {}

local function show(register)
  local value, size, rc = c_get_reg(register.num)
  if rc ~= 0 then
    return register.name .. "=?"
  elseif size <= 8 then
    return string.format("%s=%#x", register.name, value)
  end
  return register.name .. "=" .. value:reverse():gsub(".", function(c) return string.format("%02x", c:byte()) end)
end

function do_syscall(num)
  local pc = c_get_reg("pc") -- after the system call instruction
  if not seen[pc] then
    seen[pc] = true
    c_log(string.format("getuid: pc=%#x sp=%#x", pc, (c_get_reg("sp"))))
    local line, feature = {}, nil
    for _, register in ipairs(c_list_regs()) do
      if register.feature:find("core", 1, true) then
        feature = register.feature
        line[#line + 1] = show(register)
      end
    end
    c_log(tostring(feature) .. ": " .. table.concat(line, " "))
  end
  return c_do_syscall(num)
end
