-- Each connection asks again after a tenth of a second, more or less.
function delay()
   return math.random(50, 150)
end
