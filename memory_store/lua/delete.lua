-- Erase everything of a tenant. Its keys follow from meta; no keyspace is searched.
-- KEYS: meta. ARGV: fingerprint, slots of a page. Replies status.
local meta = KEYS[1]
local fingerprint, k = ARGV[1], tonumber(ARGV[2])
local stored = redis.call('HMGET', meta, 'epoch', 'fingerprint', 'slots', 'filling', 'filling_slots')
if not stored[1] then return { 'missing' } end
if stored[2] ~= fingerprint then return { 'checkpoint' } end

local root = string.sub(meta, 1, -5)
unlink_epoch(root .. stored[1] .. ':', stored[3], k)
if stored[4] then unlink_epoch(root .. stored[4] .. ':', stored[5], k) end
redis.call('UNLINK', meta)
return { 'deleted' }
