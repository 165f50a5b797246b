-- A process says that it lives, and learns how the pool stands.
--
-- KEYS: state, members, windows...
-- ARGV: a new epoch, the epoch it knows, who, milliseconds it was away (-1: it was not), how many members it knows,
--       then for each window: description, limit, keep, step
-- Returns {now, epoch, members, ban left, ban reason, sums...}.
--
-- Where the server lost its data, or nobody was served for a while, the others have spent what the server does not
-- know of: data is held for 1.5 s, in which all come back and tell. Where this process alone was away, nobody waits.
-- A process that knows nothing may be the first to come to a server that was restarted, and would take all at once:
-- where there is no data and the server has been up for less than 2 s, it waits 0.3 s for those who know more.

local now = clock()
local epoch = redis.call('HGET', KEYS[1], 'epoch')
if not epoch then
  epoch = ARGV[1]
  redis.call('HSET', KEYS[1], 'epoch', epoch)
  local info = redis.pcall('INFO', 'server') -- a table where it is not permitted
  local uptime = type(info) == 'string' and string.match(info, 'uptime_in_seconds:(%d+)')
  if uptime and tonumber(uptime) < 2 then redis.call('HSET', KEYS[1], 'hold', now + 300) end
end
local away, known = tonumber(ARGV[4]), tonumber(ARGV[5])
if known > 1 then
  local latest = redis.call('ZREVRANGE', KEYS[2], 0, 0, 'WITHSCORES')[2]
  if ARGV[2] ~= '' and ARGV[2] ~= epoch then
    if redis.call('HSETNX', KEYS[1], 'reunion', now) == 1 then redis.call('HSET', KEYS[1], 'hold', now + 1500) end
  elseif away >= 0 and (not latest or now - latest >= away - 1500) then
    redis.call('HSET', KEYS[1], 'hold', now + 1500)
  end
end
redis.call('ZADD', KEYS[2], now, ARGV[3])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now - 30000)
redis.call('PEXPIRE', KEYS[2], 60000)

local state = redis.call('HMGET', KEYS[1], 'ban', 'reason')
local ban = math.max(0, tonumber(state[1] or 0) - now)
redis.call('PEXPIRE', KEYS[1], math.max(3600000, ban + 60000))
local reply = {now, epoch, redis.call('ZCARD', KEYS[2]), ban, ban > 0 and state[2] or ''}
local described = {}
for i = 1, #KEYS - 2 do
  local at = 2 + i * 4
  described[#described + 1] = 'window ' .. ARGV[at]
  described[#described + 1] = ARGV[at + 1]
  reply[i + 5] = open(KEYS[i + 2], now, tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])).sum
end
if #described > 0 then redis.call('HSET', KEYS[1], unpack(described)) end
return reply
