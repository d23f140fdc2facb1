-- Make a filled epoch the tenant's, in one step, and let the old one go.
-- KEYS: meta. ARGV: epoch, fingerprint of its rows, expected version or '', change id, digest,
-- outcome, seconds to remember it, slots of a page, slots, bytes, policy, counts of facts, suppressions and chunks,
-- state of policy fixed, {document id, document}...
-- Replies 'swapped', version | 'conflict' | 'missing'. Sent again, it does nothing and answers the same.
local meta = KEYS[1]
local epoch, fingerprint, expected, change, digest, outcome, remember, k, slots, bytes, policy,
  facts, suppressions, chunks, fixed = unpack(ARGV, 1, 15)
local stored = redis.call('HMGET', meta, 'epoch', 'version', 'slots', 'filling', 'fingerprint')
if not stored[1] then return { 'missing' } end
local root = string.sub(meta, 1, -5)
if stored[4] ~= epoch then
  local done = redis.call('HGET', root .. stored[1] .. ':idem', change)
  return done and { 'swapped', string.match(done, ' (%d+) ') } or { 'conflict' }
end
if stored[5] ~= fingerprint then return { 'conflict' } end
if expected ~= '' and expected ~= stored[2] then return { 'conflict' } end

local old, new = root .. stored[1] .. ':', root .. epoch .. ':'
for _, name in ipairs({ 'idem', 'idem:at' }) do  -- a resend finds its outcome across the swap
  if redis.call('EXISTS', old .. name) == 1 then redis.call('RENAME', old .. name, new .. name) end
end
unlink_epoch(old, stored[3], tonumber(k))
if fixed ~= '' then redis.call('SET', new .. 'fixed', fixed) end
for at = 16, #ARGV, 2 do redis.call('HSET', new .. 'docs', ARGV[at], ARGV[at + 1]) end
local version = stored[2] + 1
redis.call('HSET', new .. 'idem', change, digest .. ' ' .. version .. ' ' .. outcome)
redis.call('ZADD', new .. 'idem:at', redis.call('TIME')[1] + remember, change)
redis.call('HSET', meta,
  'epoch', epoch, 'version', version, 'change', change, 'policy', policy, 'slots', slots,
  'stamp', slots, 'bytes', bytes, 'fact', facts, 'suppression', suppressions, 'chunk', chunks)
redis.call('HDEL', meta, 'filling', 'filling_slots')
return { 'swapped', version }
