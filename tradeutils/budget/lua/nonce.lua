-- The next number of a key. KEYS: key   ARGV: at least this   Returns it; a decimal, above what a reply's int holds.

local time = redis.call('TIME')
local number = math.max(time[1] * 1000000 + time[2], tonumber(ARGV[1]), tonumber(redis.call('GET', KEYS[1]) or 0) + 1)
redis.call('SET', KEYS[1], text(number), 'PX', 86400000)
return text(number)
