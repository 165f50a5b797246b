-- A process tells what it has spent that the server does not know of.
--
-- KEYS: state, windows...
-- ARGV: epoch, ban left, ban reason, trading, then for each window:
--       keep, step, seen, age of seen, alone, how many pairs follow, and pairs of age and amount
-- Returns {0, now}, or {4} where the epoch is another one by now.
--
-- `seen` is the most the process knows to have been spent by all, from the server or from the venue, before it went on
-- alone; `alone` is what it has spent since. What is missing to the greatest that was seen was spent by processes that
-- have died, and is counted too. As those who live tell what they spent, less is missing (fields f, p, x, a: seen,
-- told, missing, when). What is seen after the hold is too old to compare.

local now = clock()
local state = redis.call('HMGET', KEYS[1], 'epoch', 'ban', 'hold')
if state[1] ~= ARGV[1] then return {4} end
if now + ARGV[2] > tonumber(state[2] or 0) and tonumber(ARGV[2]) > 0 then
  redis.call('HSET', KEYS[1], 'ban', now + ARGV[2], 'reason', ARGV[3])
  redis.call('PEXPIRE', KEYS[1], ARGV[2] + 3600000)
end
if ARGV[4] == '1' then redis.call('HSET', KEYS[1], 'trading', now + 600000) end
local held = tonumber(state[3] or math.huge) > now
local at = 5
for i = 2, #KEYS do
  local key = KEYS[i]
  local window = open(key, now, tonumber(ARGV[at]), tonumber(ARGV[at + 1]))
  local seen, age, count = tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3]), tonumber(ARGV[at + 5])
  local told = -ARGV[at + 4]
  at = at + 6
  for _ = 1, count do
    backdate(key, window, tonumber(ARGV[at + 1]), now - ARGV[at])
    told = told + ARGV[at + 1]
    at = at + 2
  end
  local had = redis.call('HMGET', key, 'f', 'p', 'x', 'a')
  if seen > 0 or had[1] then
    local most, before = tonumber(had[1] or 0), math.max(0, told) + (had[2] or 0)
    local missing, when = tonumber(had[3] or 0), tonumber(had[4] or 0)
    take_back(key, window, missing, when)
    if held then
      if seen > most then most, when = seen, now - age end
      missing = math.max(0, most - before)
    else
      missing = math.max(0, missing - math.max(0, told))
    end
    backdate(key, window, missing, when)
    redis.call('HSET', key, 'f', most, 'p', before, 'x', missing, 'a', when)
    redis.call('PEXPIRE', key, window.keep * 2 + 60000)
  end
end
return {0, now}
