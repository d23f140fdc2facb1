#!lua
-- Make a tenant, or change the policy or quota of one that exists.
-- KEYS: meta. ARGV: epoch, policy, default policy, quota, default quota, fingerprint, d, C.
-- An empty policy or quota keeps what is there. Replies status, meta. The epoch is drawn anew for
-- each call: where it is stored already, this call has made the tenant before.
local meta = KEYS[1]
local epoch, policy, default_policy, quota, default_quota, fingerprint, d, c = unpack(ARGV)

if redis.call('EXISTS', meta) == 0 then
  local now = redis.call('TIME')
  redis.call('HSET', meta,
    'epoch', epoch, 'version', 0, 'change', epoch, 'fingerprint', fingerprint, 'd', d, 'c', c,
    'policy', policy == '' and default_policy or policy,
    'quota', quota == '' and default_quota or quota,
    'fact', 0, 'suppression', 0, 'chunk', 0, 'bytes', 0, 'slots', 0, 'stamp', 0,
    'created_at', now[1])
  return { 'created', redis.call('HGETALL', meta) }
end
local stored = redis.call('HMGET', meta, 'fingerprint', 'policy', 'version', 'epoch')
if stored[1] ~= fingerprint then return { 'checkpoint' } end
if policy ~= '' and policy ~= stored[2] then
  if stored[3] ~= '0' then return { 'policy' } end
  redis.call('HSET', meta, 'policy', policy, 'change', epoch)
end
if quota ~= '' then redis.call('HSET', meta, 'quota', quota) end
return { stored[4] == epoch and 'created' or 'kept', redis.call('HGETALL', meta) }
