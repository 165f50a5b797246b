"""What the cache has Redis do in one step, as Lua; each says its KEYS and ARGV."""

from __future__ import annotations

from typing import Final

__all__ = ["ABANDON", "ACQUIRE_FENCED", "COMMIT", "EXTEND", "RELEASE"]

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
