"""What the cache has Redis do in one step, as Lua; each says its KEYS and ARGV."""

from __future__ import annotations

from typing import Final

__all__ = [
    "ABANDON", "ACQUIRE_FENCED", "COMMIT", "DROP", "EXTEND", "FINISH", "FINISH_ONE", "HOLD", "RELEASE",
    "REMOVE", "REVOKE",
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

# What has been invalidated is looked up again where it is acted upon, since it may have been swept, or invalidated
# anew, since whoever acts has read of it.
_WANTED: Final = r"""
local known, sweeps = pcall(cjson.decode, redis.pcall('GET', KEYS[1]))
if not known or type(sweeps) ~= 'table' then sweeps = {} end
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
"""KEYS: sweeps, values, some thousand at most. ARGV: for each, what it is of. Removes those that are dead; returns 1
for each that was there, and 0 for the others."""

# Also those of fetches that began since, for who holds one does not say when it was granted by a clock that all share:
# of a sweep of 10 s, a fetch of 0.1 s is met by one in a hundred, and is done once more.
REVOKE: Final = f"""{_WANTED}
for i = 2, #KEYS do
  if wanted(ARGV[i - 1]) > 0 then redis.call('UNLINK', KEYS[i]) end
end
return 0"""
"""KEYS: sweeps, leases. ARGV: for each, what it is of. Takes away those under what was invalidated."""

_TAKE_AWAY: Final = r"""
local known, sweeps = pcall(cjson.decode, redis.pcall('GET', KEYS[1]))
if not known or type(sweeps) ~= 'table' then sweeps = {} end
local function put(done)
  local left = 0
  for prefix, number in pairs(sweeps) do
    if done(prefix, number) then sweeps[prefix] = nil else left = left + 1 end
  end
  if left == 0 then redis.call('DEL', KEYS[1]) return 0, false end
  local noted = cjson.encode(sweeps)
  redis.call('SET', KEYS[1], noted)
  return left, noted
end
"""

FINISH_ONE: Final = f"""{_TAKE_AWAY}
local left, noted = put(function(prefix, number) return prefix == ARGV[1] and number == tonumber(ARGV[2]) end)
return noted"""
"""KEYS: sweeps. ARGV: prefix, number. Takes one note away; returns the rest."""

FINISH: Final = f"""{_TAKE_AWAY}
return (put(function(_, number) return number <= tonumber(ARGV[1]) end))"""
"""KEYS: sweeps. ARGV: number. Takes away the notes up to it; returns how many are left."""

HOLD: Final = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
local number = redis.call('GET', KEYS[4])
if not number or tonumber(number) == tonumber(ARGV[5]) then redis.call('SET', KEYS[2], ARGV[3], 'NX') end
redis.call('SET', KEYS[3], ARGV[4], 'PX', 86400000)
return 1"""
"""KEYS: sweeper, sweeps, swept, epoch. ARGV: token, milliseconds, notes, progress, number. Returns whether the sweep is
still ours; notes that were evicted meanwhile are put back, unless something was invalidated since."""

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
