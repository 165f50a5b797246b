-- How a pool stands. KEYS: state, members, windows...   ARGV: for each window: keep, step
-- Returns {ban left, ban reason, members, waiters, sums...}.

local now = clock()
local state = redis.call('HMGET', KEYS[1], 'ban', 'reason')
local ban = math.max(0, tonumber(state[1] or 0) - now)
local waiting, waiters = {}, 0
local reply = {ban, ban > 0 and state[2] or '', redis.call('ZCOUNT', KEYS[2], now - 5000, '+inf'), 0}
for i = 1, #KEYS - 2 do
  local window = open(KEYS[i + 2], now, tonumber(ARGV[i * 2 - 1]), tonumber(ARGV[i * 2]))
  for who, due in string.gmatch(window.queue, '(%S+) %S+ %S+ (%S+) %S+ %S+ %S+;') do
    if tonumber(due) >= now and not waiting[who] and string.sub(who, -2) ~= ':~' then
      waiting[who], waiters = true, waiters + 1
    end
  end
  reply[i + 4] = window.sum
end
reply[4] = waiters
return reply
