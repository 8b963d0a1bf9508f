-- What an echo server sends back is an answer: 64 bytes.  wrk tries its first request out as one.
require "report"

local message = "HTTP/1.1 200 OK\r\nContent-Length: 25\r\n\r\n" .. string.rep("!", 25)
local first = true

function request()
   if first then
      first = false
      return wrk.format()
   end
   return message
end
