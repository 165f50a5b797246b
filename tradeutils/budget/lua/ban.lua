-- Close the gate of a pool. KEYS: state   ARGV: milliseconds, reason   Returns for how long it is closed, and why.

local now = clock()
local ban = tonumber(redis.call('HGET', KEYS[1], 'ban') or 0)
if now + ARGV[1] > ban then
  ban = now + ARGV[1]
  redis.call('HSET', KEYS[1], 'ban', ban, 'reason', ARGV[2])
end
redis.call('PEXPIRE', KEYS[1], ban - now + 3600000)
return {ban - now, redis.call('HGET', KEYS[1], 'reason')}
