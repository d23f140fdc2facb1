#!lua flags=no-writes
-- Records in the order of slots, from a cursor on.
-- KEYS: meta. ARGV: first slot, most records, most slots to look at, slots of a page.
-- Replies {} (no tenant) | fingerprint, next slot or false, {record, ...}
local meta = KEYS[1]
local stored = redis.call('HMGET', meta, 'epoch', 'fingerprint', 'slots')
if not stored[1] then return {} end
local prefix = string.sub(meta, 1, -5) .. stored[1] .. ':'
local slot, limit, most, k =
  tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local stop = math.min(tonumber(stored[3]), slot + most)

local found = {}
while slot < stop and #found < limit do
  local record = redis.call('HGET', prefix .. 'rec:' .. math.floor(slot / k), slot)
  if record then found[#found + 1] = record end
  slot = slot + 1
end
return { stored[2], slot < tonumber(stored[3]) and slot or false, found }
