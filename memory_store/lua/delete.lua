#!lua flags=allow-oom
-- Erase everything of a tenant. Its keys follow from meta; no keyspace is searched.
-- KEYS: meta. ARGV: fingerprint, slots of a page. Replies status.
local meta = KEYS[1]
local fingerprint, k = ARGV[1], tonumber(ARGV[2])
local stored = redis.call('HMGET', meta, 'epoch', 'fingerprint', 'slots')
if not stored[1] then return { 'missing' } end
if stored[2] ~= fingerprint then return { 'checkpoint' } end

local prefix = string.sub(meta, 1, -5) .. stored[1] .. ':'
for page = 0, math.ceil(tonumber(stored[3]) / k) - 1 do
  redis.call('UNLINK', prefix .. 'page:' .. page, prefix .. 'rec:' .. page)
end
for _, name in ipairs({ 'ids', 'cues', 'docs', 'fixed', 'free', 'ttl', 'log', 'idem', 'idem:at' }) do
  redis.call('UNLINK', prefix .. name)
end
redis.call('UNLINK', meta)
return { 'deleted' }
