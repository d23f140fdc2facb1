-- Let go of an epoch that will not be finished. KEYS: meta. ARGV: epoch, slots of a page.
local meta = KEYS[1]
local stored = redis.call('HMGET', meta, 'filling', 'filling_slots')
if stored[1] ~= ARGV[1] then return { 'conflict' } end
unlink_epoch(string.sub(meta, 1, -5) .. ARGV[1] .. ':', stored[2], tonumber(ARGV[2]))
redis.call('HDEL', meta, 'filling', 'filling_slots', 'fence')
return { 'abandoned' }
