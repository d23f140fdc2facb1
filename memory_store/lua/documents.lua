#!lua flags=no-writes
-- All documents of a tenant. KEYS: meta. Replies {} (no tenant) | fingerprint, {document, ...}
local stored = redis.call('HMGET', KEYS[1], 'epoch', 'fingerprint')
if not stored[1] then return {} end
return { stored[2], redis.call('HVALS', string.sub(KEYS[1], 1, -5) .. stored[1] .. ':docs') }
