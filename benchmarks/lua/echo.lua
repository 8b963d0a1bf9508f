-- The request is an HTTP response of 64 bytes, so that what an echo server returns is a response.
-- The first request must be an ordinary one: wrk checks it.
local message = "HTTP/1.1 200 OK\r\nContent-Length: 25\r\n\r\n" .. string.rep("!", 25)
local first = true

function request()
   if first then
      first = false
      return wrk.format()
   end
   return message
end
