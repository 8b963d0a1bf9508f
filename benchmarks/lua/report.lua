-- Says how many requests were answered, in how many microseconds, and how many wrongly or not.
function done(summary)
   local errors = summary.errors
   print("bench", summary.requests, summary.duration, errors.connect + errors.read +
         errors.write + errors.status + errors.timeout)
end
