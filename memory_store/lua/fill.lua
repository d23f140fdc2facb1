#!lua
-- Put rows into an epoch that nobody reads yet.
-- KEYS: meta. ARGV: epoch, page header, row size, slots of a page, then
-- {slot, row, record, id, entry, cue digest, expires_at}... Replies status.
local meta = KEYS[1]
local epoch, header, row_size, k = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
if redis.call('HGET', meta, 'filling') ~= epoch then return { 'conflict' } end

local prefix = string.sub(meta, 1, -5) .. epoch .. ':'
for at = 5, #ARGV, 7 do
  local slot, row, record, id, entry, cue, expires = unpack(ARGV, at, at + 6)
  local n = tonumber(slot)
  local page = math.floor(n / k)
  local key = prefix .. 'page:' .. page
  if redis.call('EXISTS', key) == 0 then redis.call('SETRANGE', key, 0, header) end
  redis.call('SETRANGE', key, #header + (n % k) * row_size, row)
  redis.call('HSET', prefix .. 'rec:' .. page, slot, record)
  redis.call('HSET', prefix .. 'ids', id, entry)
  if cue ~= '' then redis.call('HSET', prefix .. 'cues', cue, id) end
  if expires ~= '' then redis.call('ZADD', prefix .. 'ttl', expires, id) end
end
return { 'filled' }
