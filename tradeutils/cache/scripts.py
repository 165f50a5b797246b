"""What the cache has Redis do in one step, as Lua; each says its KEYS and ARGV."""

from __future__ import annotations

from typing import Final

__all__ = [
    "ABANDON", "ACQUIRE_FENCED", "COMMIT", "DROP", "EXTEND", "FINISH", "FINISH_ONE", "HOLD", "INVALIDATE", "PUT_BACK",
    "RELEASE", "REMOVE", "REVOKE", "TAKE_HOLD",
]  # fmt: skip

# Whoever waits for a fetch watches the value, not the lease: a lease changes when it is granted too, and would wake
# those who have just been refused it. So a fetch that ends without a value must make the value's key look changed: by
# a mark that reads as missing, for a millisecond, or by the ttl that it has already.
_WAKE: Final = r"""
local function wake(key)
  local left = redis.call('PTTL', key)
  if left == -2 then redis.pcall('SET', key, '\254tu\000', 'PX', 1)
  elseif left > 0 then redis.call('PEXPIRE', key, left) end
end
"""

COMMIT: Final = f"""{_WAKE}
local held = redis.call('MGET', KEYS[1], KEYS[3])
if held[1] ~= ARGV[1] then wake(KEYS[2]) return 0 end
redis.call('DEL', KEYS[1])
if (held[2] or '') ~= ARGV[2] then wake(KEYS[2]) return 0 end
if ARGV[4] == '' then redis.call('SET', KEYS[2], ARGV[3])
else redis.call('SET', KEYS[2], ARGV[3], 'PX', ARGV[4]) end
return 1"""
"""KEYS: lease, value, epoch. ARGV: token, epoch, data, milliseconds to keep it or ''. Returns whether it was stored."""

ABANDON: Final = f"""{_WAKE}
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
wake(KEYS[2])"""
"""KEYS: lease, value. ARGV: token."""

# By the clock, so that the numbers go on rising where the counter was evicted or flushed; by the counter, so that they
# rise where the clock is set back.
ACQUIRE_FENCED: Final = """
if redis.call('EXISTS', KEYS[1]) == 1 then return {0, redis.call('PTTL', KEYS[1])} end
local fence = math.max((tonumber(redis.call('GET', KEYS[2])) or 0) + 1, tonumber(ARGV[3]))
redis.call('SET', KEYS[2], string.format('%.0f', fence), 'PX', ARGV[4])
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return {fence, 0}"""
"""KEYS: lock, counter. ARGV: token, ttl, lowest number, milliseconds to keep the counter. Returns number, PTTL."""

EXTEND: Final = (
    "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end return 0"
)
"""KEYS: lock or lease. ARGV: token, milliseconds. Returns whether it was still held."""

RELEASE: Final = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"
"""KEYS: lock or lease. ARGV: token. Returns whether it was still held."""

# Notes that are not there have been evicted: what the caller knows of them stands for them, and where there have been
# later ones, all is taken for dead.
_NOTED: Final = r"""
local function is_number(number) return type(number) == 'number' and number > 0 and number < 9007199254740992 end
local function noted(name, fallback, last_name, epoch_name)
  local sweeps, highest, raw = {}, 0, redis.pcall('GET', name)
  local known, found = pcall(cjson.decode, raw or fallback)
  if known and type(found) == 'table' then
    for prefix, number in pairs(found) do
      if type(prefix) == 'string' and is_number(number) then
        sweeps[prefix] = number
        highest = math.max(highest, number)
      end
    end
  end
  local known_to = highest
  for _, other in ipairs({last_name, highest > 0 and epoch_name or nil}) do
    local last = tonumber(redis.pcall('GET', other))
    if is_number(last) then highest = math.max(highest, last) end
  end
  if not raw and highest > known_to then sweeps[''] = highest end
  return sweeps, highest
end
"""

# A server that is full refuses a script whose first write takes room, and lets one go on that has begun: so what there
# is goes first. The notes are small, and without them nothing could be thrown out.
INVALIDATE: Final = rf"""{_NOTED}
local sweeps, number = noted(KEYS[2], ARGV[3], KEYS[3], KEYS[1])
local before = redis.pcall('GET', KEYS[1])
if type(before) == 'string' and #before < 16 and string.match(before, '^%d+$') then
  number = math.max(number, tonumber(before))
end
number = math.max(number + 1, tonumber(ARGV[2]))
for prefix in pairs(sweeps) do
  if string.sub(prefix, 1, #ARGV[1]) == ARGV[1] then sweeps[prefix] = nil end
end
sweeps[ARGV[1]] = number
local notes = cjson.encode(sweeps)
redis.call('DEL', KEYS[1], KEYS[2], KEYS[3])
redis.call('SET', KEYS[1], string.format('%.0f', number))
redis.call('SET', KEYS[2], notes)
redis.call('SET', KEYS[3], string.format('%.0f', number))
return {{string.format('%.0f', number), notes}}
"""
"""KEYS: epoch, sweeps, unswept. ARGV: prefix, milliseconds of the clock, notes. Returns the number, and the notes as
they are now."""

# What has been invalidated is looked up again where it is acted upon, since it may have been swept, or invalidated
# anew, since whoever acts has read of it.
_WANTED: Final = rf"""{_NOTED}
local sweeps = noted(KEYS[1], ARGV[#ARGV])
local function wanted(key)
  local highest = 0
  for prefix, number in pairs(sweeps) do
    if string.sub(key, 1, #prefix) == prefix and number > highest then highest = number end
  end
  return highest
end
"""

REMOVE: Final = rf"""{_WANTED}
local gone, dead = {{}}, {{}}
for i = 2, #KEYS do
  local least, number = wanted(ARGV[i - 1]), 0
  gone[i - 1] = '0'
  if least > 0 then
    local head = redis.pcall('GETRANGE', KEYS[i], 0, 23)
    local is_text = type(head) == 'string'
    if is_text and #head == 24 and string.byte(head) == 254 and string.sub(head, 1, 4) == '\254tu\002' then
      number = struct.unpack('<i8', head, 17)
    end
    if number < least then
      dead[#dead + 1] = KEYS[i]
      if not is_text or head ~= '' then gone[i - 1] = '1' end
    end
  end
end
if #dead > 0 then redis.call('UNLINK', unpack(dead)) end
return table.concat(gone)"""
"""KEYS: sweeps, values, some thousand at most. ARGV: for each, what it is of; then notes. Removes those that are dead;
returns 1 for each that was there, and 0 for the others."""

# Also those of fetches that began since, for who holds one does not say when it was granted by a clock that all share:
# of a sweep of 10 s, a fetch of 0.1 s is met by one in a hundred, and is done once more.
REVOKE: Final = f"""{_WANTED}
for i = 2, #KEYS do
  if wanted(ARGV[i - 1]) > 0 then redis.call('UNLINK', KEYS[i]) end
end
return 0"""
"""KEYS: sweeps, leases. ARGV: for each, what it is of; then notes. Takes away those under what was invalidated."""

_TAKE_AWAY: Final = rf"""{_NOTED}
local function take_away(done, fallback)
  local sweeps, left = noted(KEYS[1], fallback, KEYS[2], KEYS[3]), 0
  for prefix, number in pairs(sweeps) do
    if done(prefix, number) then sweeps[prefix] = nil else left = left + 1 end
  end
  local notes = cjson.encode(sweeps)
  redis.call('DEL', KEYS[1])
  redis.call('SET', KEYS[1], notes)
  if left == 0 then redis.call('DEL', KEYS[2]) end
  return left, notes
end
"""

FINISH_ONE: Final = f"""{_TAKE_AWAY}
local function done(prefix, number) return prefix == ARGV[1] and number == tonumber(ARGV[2]) end
local _, notes = take_away(done, ARGV[3])
return notes"""
"""KEYS: sweeps, unswept, epoch. ARGV: prefix, number, notes. Takes one note away; returns the rest."""

FINISH: Final = f"""{_TAKE_AWAY}
return (take_away(function(_, number) return number <= tonumber(ARGV[1]) end, ARGV[2]))"""
"""KEYS: sweeps, unswept, epoch. ARGV: number, notes. Takes away the notes up to it; returns how many are left."""

_PUT_BACK: Final = rf"""{_NOTED}
local function put_back(name, fallback, last_name, epoch_name)
  if redis.call('EXISTS', name) == 1 then return end
  local sweeps, highest = noted(name, fallback, last_name, epoch_name)
  redis.call('SET', name, cjson.encode(sweeps))
  redis.call('SET', last_name, string.format('%.0f', highest))
end
"""

PUT_BACK: Final = f"""{_PUT_BACK}
put_back(KEYS[1], ARGV[1], KEYS[2], KEYS[3])"""
"""KEYS: sweeps, unswept, epoch. ARGV: notes. Puts notes back that were evicted."""

TAKE_HOLD: Final = """
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1])
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1"""
"""KEYS: sweeper. ARGV: token, milliseconds. Returns whether the sweep is ours."""

HOLD: Final = f"""{_PUT_BACK}
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
put_back(KEYS[2], ARGV[3], KEYS[4], KEYS[5])
redis.call('SET', KEYS[3], ARGV[4], 'PX', 86400000)
return 1"""
"""KEYS: sweeper, sweeps, swept, unswept, epoch. ARGV: token, milliseconds, notes, progress. Returns whether the sweep
is still ours; notes that were evicted meanwhile are put back."""

DROP: Final = """
local gone = 0
for i, key in ipairs(KEYS) do
  local head = redis.pcall('GETRANGE', key, 0, 87)
  if type(head) ~= 'string' then head = '' end
  local lasting = string.sub(ARGV[#KEYS + 1], i, i) ~= 't' or redis.call('PTTL', key) == -1
  if head == ARGV[i] and lasting then gone = gone + redis.call('UNLINK', key) end
end
return gone"""
"""KEYS: values. ARGV: for each, the first 88 bytes that were seen; then for each t where it must have no ttl. Removes
those that are so still; returns how many."""
