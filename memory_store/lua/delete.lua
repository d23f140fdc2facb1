-- Erase everything of a tenant. Its keys follow from meta; no keyspace is searched.
-- KEYS: meta. ARGV: when the tenant was made, fingerprint, slots of a page. Replies status.
-- Sent again it answers the same: the tenant that was made then is no more.
local meta = KEYS[1]
local made, fingerprint, k = ARGV[1], ARGV[2], tonumber(ARGV[3])
local stored = redis.call('HMGET', meta,
  'epoch', 'fingerprint', 'slots', 'filling', 'filling_slots', 'created_at')
if stored[6] ~= made then return { 'deleted' } end
if stored[2] ~= fingerprint then return { 'checkpoint' } end

local root = string.sub(meta, 1, -5)
unlink_epoch(root .. stored[1] .. ':', stored[3], k)
if stored[4] then unlink_epoch(root .. stored[4] .. ':', stored[5], k) end
redis.call('UNLINK', meta)
return { 'deleted' }
