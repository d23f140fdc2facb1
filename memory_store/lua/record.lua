#!lua flags=no-writes
-- The record of one id. KEYS: meta. ARGV: id, slots of a page.
-- Replies {} (no tenant) | fingerprint | fingerprint, record
local meta = KEYS[1]
local stored = redis.call('HMGET', meta, 'epoch', 'fingerprint')
if not stored[1] then return {} end
local prefix = string.sub(meta, 1, -5) .. stored[1] .. ':'
local entry = redis.call('HGET', prefix .. 'ids', ARGV[1])
if not entry then return { stored[2] } end
local slot = string.match(entry, '^%d+')
local page = math.floor(tonumber(slot) / tonumber(ARGV[2]))
return { stored[2], redis.call('HGET', prefix .. 'rec:' .. page, slot) }
