-- Charge every window of a request, or none and say when to ask again.
--
-- KEYS: state, windows...
-- ARGV: epoch, who, urgent, trading, then for each window: cost, limit, keep, step, what this process has spent of it
-- Returns {0, now, sums...} granted; {1, sleep, wait} full; {2, left, reason} banned; {3, left} held;
-- {4} what the caller knows of this pool was lost.
--
-- Who is refused stands in the queue of each window that was full: `who score cost due own taken since;`. The score is
-- the share of its windows that the process has spent, so the one that has had least goes first, whatever it asks for
-- and however long its own queue; orders go before all. Whoever comes leaves room for those before it: for what they
-- ask, and where much has expired at once, for their equal part of it, or the first to wake would take it all. Who was
-- granted while others wait stands there for 0.1 s more as a ghost (`process:~`), for it is expected back; `taken`
-- since `since` tells its pace, and no more is left for it than it will take in 4 % of the window, because what is left
-- unspent for long is lost. That spreads a burst of those with many requests at once over the window, a little more each
-- time it expires, until who asks one by one has its part (measured: 80 % of it after 6 windows, nothing unspent; with
-- 1.5 % half of it after 16; with 10 % some is lost).
--
-- An entry is void once it is late by 0.1 s: its owner was killed, or gave up. Nor can one be due later than 1.1 s from
-- now, but where the clock was set back.

local me = ARGV[2]
local mine = string.match(me, '^[^:]+')
local windows, score = {}, 0
for i = 1, #KEYS - 1 do
  local at = i * 5
  local window = open(KEYS[i + 1], now, tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3]))
  window.cost, window.cap, window.own = tonumber(ARGV[at]), tonumber(ARGV[at + 1]), tonumber(ARGV[at + 4])
  score = math.max(score, window.own / window.cap)
  if trading > now and not urgent then window.cap = math.max(math.floor(window.cap * 0.95), window.cost) end
  windows[i] = window
end
if urgent then -- in the order in which they came: each who asks again would stand behind all, and none would go first
  score = now - 1e13
  for _, window in ipairs(windows) do
    local _, place = string.find(';' .. window.queue, ';' .. me .. ' ', 1, true)
    if place then score = math.min(score, tonumber(string.match(window.queue, '^%S+', place))) end
  end
else
  score = math.floor(score * 1e9)
end

local function read_queue(window)
  window.others, window.crowd, window.crowded = {}, {[mine] = window.own}, false
  for who, start, cost, due, own, taken, since in
      string.gmatch(window.queue, '(%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+);') do
    local process, lane = string.match(who, '^([^:]+):(.*)$')
    local other = {
      who = who, process = process, start = tonumber(start), cost = tonumber(cost), due = tonumber(due),
      own = tonumber(own), taken = tonumber(taken), since = tonumber(since), ghost = lane == '~',
    }
    other.before = other.start < score or (other.start == score and who < me)
    if who == me then
      window.stood = true
    elseif other.due >= now and other.due <= now + 1100 then
      if process == mine and other.ghost then
        window.trace = other
      else
        table.insert(window.others, other)
      end
      if process ~= mine and other.start >= 0 then
        window.crowd[process], window.crowded = math.max(window.crowd[process] or 0, other.own), true
      end
    end
  end
end

-- Up to what each of the crowd would come if the room that is left were given to those who have least.
local function level_of(window)
  local owns, room = {}, window.cap - window.sum
  for _, own in pairs(window.crowd) do owns[#owns + 1] = own end
  table.sort(owns)
  for i, own in ipairs(owns) do
    room = room + own
    if not owns[i + 1] or room / i <= owns[i + 1] then return room / i end
  end
end

-- What is to be left for those who go first, and until when a ghost among them may hold us up.
local function ahead_of_me(window)
  local level, costs, dues, total, ghosts = level_of(window), {}, {}, 0, math.huge
  for _, other in ipairs(window.others) do
    if other.before then
      local process, due = other.process, 0
      if other.ghost then
        due = math.min(level - other.own, other.taken * window.keep * 0.04 / math.max(100, now - other.since))
        ghosts = math.min(ghosts, other.due)
      end
      costs[process] = (costs[process] or 0) + other.cost
      dues[process] = math.max(dues[process] or 0, due)
    end
  end
  for process, cost in pairs(costs) do total = total + math.max(cost, math.floor(dues[process])) end
  return total, ghosts
end

-- Milliseconds until `over` of the window has expired.
local function wait_for(key, window, over)
  if window.sum <= 0 then return 50 end -- it is free, and those before us are about to take it
  local part = window.oldest
  while part <= window.newest do
    local names = {}
    for b = part, math.min(part + 31, window.newest) do names[#names + 1] = b end
    for _, amount in ipairs(redis.call('HMGET', key, unpack(names))) do
      over = over - (amount or 0)
      if over <= 0 then return (part + 1) * window.step + window.keep - now end
      part = part + 1
    end
  end
  return (window.newest + 1) * window.step + window.keep - now
end

-- The queue, with us in it where we are to come back after `sleep`.
local function written(window, sleep)
  local entries = {}
  local function write(entry)
    entries[#entries + 1] = string.format('%s %.0f %.0f %.0f %.0f %.0f %.0f;',
      entry.who, entry.start, entry.cost, entry.due, entry.own, entry.taken, entry.since)
  end
  for _, other in ipairs(window.others) do write(other) end
  if window.trace then write(window.trace) end
  if sleep then
    write({
      who = me, start = score, cost = window.cost, due = now + sleep + 100, own = window.own, taken = 0, since = now,
    })
  end
  return table.concat(entries)
end

-- Leave a ghost where others want the same.
local function haunt(window)
  if urgent or not window.crowded then return end
  local trace = window.trace or {who = mine .. ':~', cost = 0, taken = 0, since = now}
  if now - trace.since > 500 then trace.taken, trace.since = trace.taken / 2, now - 250 end
  trace.start, trace.own, trace.due = score, window.own + window.cost, now + 100
  trace.taken = trace.taken + window.cost
  window.trace = trace
end

local wait, sleep = 0, 1000 -- room may be given back before its time
for i, window in ipairs(windows) do
  read_queue(window)
  local ahead, ghosts = ahead_of_me(window)
  local over = window.sum + ahead + window.cost - window.cap
  if window.cost > 0 and over > 0 then
    window.full = true
    wait = math.max(wait, wait_for(KEYS[i + 1], window, over), 1)
    if window.sum + window.cost <= window.cap then sleep = math.min(sleep, ghosts - now + 1) end
  end
end

if wait > 0 then
  sleep = math.min(sleep, wait)
  for i, window in ipairs(windows) do
    if window.full or window.stood then
      redis.call('HSET', KEYS[i + 1], 'q', written(window, sleep))
      if not window.dated then redis.call('PEXPIRE', KEYS[i + 1], window.keep * 2 + 60000) end
    end
  end
  return {1, sleep, wait}
end

local reply = {0, now}
for i, window in ipairs(windows) do
  local queue
  if window.queue ~= '' then
    haunt(window)
    queue = written(window)
  end
  if window.cost > 0 or queue then spend(KEYS[i + 1], window, window.cost, queue) end
  reply[i + 2] = window.sum
end
return reply
