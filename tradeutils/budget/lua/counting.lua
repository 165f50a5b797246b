-- Before every other script: the server's clock, and windows as hashes of the amounts spent in parts of it.
--
-- A window's hash: s sum; o, n oldest and newest part; NUMBER what was spent in that part; q who waits.
-- Amounts are whole millionths, times whole milliseconds; both are exact in a double.

local function clock()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function text(number)
  return string.format('%.0f', number) -- tostring() rounds to 14 digits
end

-- The clock was set back. A little: time stands still. By more: what was spent in what is now the future is kept, as
-- spent now.
local function rebase(key, window)
  if window.newest - window.part <= 8 then
    window.part = window.newest
    window.here = tonumber(redis.call('HGET', key, text(window.part)) or 0)
    return
  end
  redis.call('DEL', key)
  redis.call('HSET', key, 's', window.sum, 'o', window.part, 'n', window.part, window.part, window.sum, 'q', window.queue)
  redis.call('PEXPIRE', key, window.keep * 2 + 60000)
  window.oldest, window.newest, window.here = window.part, window.part, window.sum
end

-- Part by part, so that each is looked at once in its life, however many windows nobody asked for in between.
local function forget(key, window)
  if window.newest <= window.dead then
    redis.call('DEL', key)
    window.sum, window.here = 0, 0
    if window.queue ~= '' then
      redis.call('HSET', key, 'q', window.queue)
      redis.call('PEXPIRE', key, 60000)
    end
    return
  end
  local names, gone = {}, {}
  for part = window.oldest, window.dead do names[#names + 1] = text(part) end
  local amounts = redis.call('HMGET', key, unpack(names))
  for i, amount in ipairs(amounts) do
    if amount then
      window.sum = window.sum - amount
      gone[#gone + 1] = names[i]
    end
  end
  window.oldest = window.dead + 1
  if #gone > 0 then
    redis.call('HDEL', key, unpack(gone))
    redis.call('HSET', key, 's', window.sum, 'o', window.oldest)
  end
end

-- Read a window and forget what no longer counts. `keep`: how long a charge counts; `step`: the length of a part.
local function open(key, now, keep, step)
  local part = math.floor(now / step)
  local got = redis.call('HMGET', key, 's', 'o', 'n', 'q', part)
  local window = {
    sum = tonumber(got[1] or 0), oldest = tonumber(got[2] or part), newest = tonumber(got[3] or part),
    queue = got[4] or '', here = tonumber(got[5] or 0), part = part, keep = keep, step = step, dated = got[3],
  }
  if window.sum > 0 and window.newest > part then rebase(key, window) end
  window.dead = math.floor((now - keep) / step) - 1
  if window.sum > 0 and window.oldest <= window.dead then forget(key, window) end
  if window.sum <= 0 then window.oldest, window.newest, window.dated = part, part, nil end
  return window
end

-- Count `amount` as spent now; `queue`: who waits from now on, if that has changed.
local function spend(key, window, amount, queue)
  if amount == 0 then
    if queue then redis.call('HSET', key, 'q', queue) end
    return
  end
  window.sum, window.here = window.sum + amount, window.here + amount
  if queue then redis.call('HSET', key, 'q', queue) end
  if window.dated and window.newest == window.part then
    redis.call('HSET', key, 's', window.sum, window.part, window.here)
  else
    redis.call('HSET', key, 's', window.sum, window.part, window.here, 'o', window.oldest, 'n', window.part)
    redis.call('PEXPIRE', key, window.keep * 2 + 60000)
    window.newest, window.dated = window.part, true
  end
end

-- Count `amount` as spent at `at`; what has expired since is left out.
local function backdate(key, window, amount, at)
  local part = math.min(math.floor(at / window.step), window.part)
  if amount <= 0 or part <= window.dead then return end
  window.sum, window.oldest = window.sum + amount, math.min(window.oldest, part)
  window.newest = math.max(window.newest, part)
  redis.call('HINCRBY', key, text(part), amount)
  redis.call('HSET', key, 's', window.sum, 'o', window.oldest, 'n', window.newest)
  redis.call('PEXPIRE', key, window.keep * 2 + 60000)
  if part == window.part then window.here = window.here + amount end
end

-- Take back up to `amount` of what was spent at `at`.
local function take_back(key, window, amount, at)
  local part = math.floor(at / window.step)
  local there = tonumber(redis.call('HGET', key, text(part)) or 0)
  local taken = math.min(there, amount)
  if taken > 0 then
    window.sum = window.sum - taken
    redis.call('HSET', key, 's', window.sum)
    redis.call('HINCRBY', key, text(part), -taken)
    if there == taken then redis.call('HDEL', key, text(part)) end
    if part == window.part then window.here = there - taken end
  end
end
