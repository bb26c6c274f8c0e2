-- The load that load_wrk.go has wrk send: GET requests that differ in their
-- token. They are made once and sent in turn, so that the load itself is cheap.
-- Arguments: the path, and how many tokens.
local messages, turn = {}, 0

local function token()
   local digits = {}
   for i = 1, 8 do
      digits[i] = string.format("%04x", math.random(0, 0xffff))
   end
   return table.concat(digits)
end

function init(args)
   math.randomseed(1)
   for i = 1, tonumber(args[2]) do
      messages[i] = wrk.format("GET", args[1] .. "?token=" .. token())
   end
end

function request()
   turn = turn % #messages + 1
   return messages[turn]
end

function done(summary)
   local e = summary.errors
   io.write(string.format('{"requests":%d,"connect":%d,"read":%d,"write":%d,"status":%d,"timeout":%d}\n',
      summary.requests, e.connect, e.read, e.write, e.status, e.timeout))
end
