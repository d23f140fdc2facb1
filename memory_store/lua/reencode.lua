-- Make re-encoded pages the tenant's, in one step. All that does not depend on a checkpoint
-- (records, ids, cues, expiries, documents, outcomes of changes) is kept by renaming it.
-- KEYS: meta. ARGV: new epoch, epoch, version and change that its rows stand for, change id,
-- slots of a page, bytes, fingerprint, d, C, state of policy fixed ('' none).
-- Replies 'swapped', version | 'conflict' | 'missing'
local meta = KEYS[1]
local epoch, from, version, last, change, k, bytes, fingerprint, d, c, fixed = unpack(ARGV)
local stored = redis.call('HMGET', meta, 'epoch', 'version', 'change', 'slots', 'filling')
if not stored[1] then return { 'missing' } end
if stored[1] == epoch then return { 'swapped', tonumber(stored[2]) } end  -- sent twice
if stored[5] ~= epoch or stored[1] ~= from or stored[2] ~= version or stored[3] ~= last then
  return { 'conflict' }
end

local root = string.sub(meta, 1, -5)
local old, new = root .. from .. ':', root .. epoch .. ':'
local function keep(name)
  if redis.call('EXISTS', old .. name) == 1 then redis.call('RENAME', old .. name, new .. name) end
end
for _, name in ipairs({ 'ids', 'cues', 'docs', 'free', 'ttl', 'idem', 'idem:at' }) do keep(name) end
for page = 0, math.ceil(tonumber(stored[4]) / tonumber(k)) - 1 do keep('rec:' .. page) end
unlink_epoch(old, stored[4], tonumber(k))
if fixed ~= '' then redis.call('SET', new .. 'fixed', fixed) end
-- A tenant that was never written to stays one: its policy may still be chosen.
local after = stored[2] == '0' and 0 or stored[2] + 1
redis.call('HSET', meta, 'epoch', epoch, 'version', after, 'change', change, 'bytes', bytes,
  'fingerprint', fingerprint, 'd', d, 'c', c)
redis.call('HDEL', meta, 'filling', 'filling_slots', 'fence')
return { 'swapped', after }
