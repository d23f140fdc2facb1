#!lua
-- Put bare rows into an epoch that nobody reads yet.
-- KEYS: meta. ARGV: epoch, page header, row size, slots of a page, {slot, row}... Replies status.
local meta = KEYS[1]
local epoch, header, row_size, k = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local stored = redis.call('HMGET', meta, 'filling', 'filling_slots')
if stored[1] ~= epoch then return { 'conflict' } end

local prefix, slots = string.sub(meta, 1, -5) .. epoch .. ':', tonumber(stored[2])
for at = 5, #ARGV, 2 do
  local n = tonumber(ARGV[at])
  local key = prefix .. 'page:' .. math.floor(n / k)
  if redis.call('EXISTS', key) == 0 then redis.call('SETRANGE', key, 0, header) end
  redis.call('SETRANGE', key, #header + (n % k) * row_size, ARGV[at + 1])
  slots = math.max(slots, n + 1)
end
redis.call('HSET', meta, 'filling_slots', slots)  -- whoever lets the epoch go must find its pages
return { 'filled' }
