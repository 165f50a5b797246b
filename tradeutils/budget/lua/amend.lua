-- Correct what was counted: give back, carry a charge to now, or add what the venue has counted and we have not.
--
-- KEYS: state, windows...   ARGV: epoch, then in fives and sixes: window, keep, step, kind, amount, at
-- Kinds: back (spent at `at`, never sent), carry (spent at `at`, arrived as late as now), used (the venue's count of
-- a window that began `at` milliseconds ago; 0: it slides). Returns {0, now} or {4}.

local now = clock()
if redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[1] then return {4} end
for at = 2, #ARGV, 6 do
  local key, kind = KEYS[tonumber(ARGV[at])], ARGV[at + 3]
  local amount, when = tonumber(ARGV[at + 4]), tonumber(ARGV[at + 5])
  local window = open(key, now, tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]))
  if kind == 'used' then
    backdate(key, window, amount - window.sum, now - when)
  else
    take_back(key, window, amount, when)
    if kind == 'carry' then spend(key, window, amount) end
  end
end
return {0, now}
