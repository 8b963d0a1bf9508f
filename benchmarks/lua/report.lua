-- Reports the number of requests, the time in microseconds, and the number of errors.
function done(summary)
   local errors = summary.errors
   print("bench", summary.requests, summary.duration, errors.connect + errors.read +
         errors.write + errors.status + errors.timeout)
end
