-- Announce a new epoch that is going to be filled, and let go of one that was never finished.
-- KEYS: meta. ARGV: new epoch, its slots, slots of a page. Replies status.
local meta = KEYS[1]
local stored = redis.call('HMGET', meta, 'epoch', 'filling', 'filling_slots')
if not stored[1] then return { 'missing' } end
if stored[1] == ARGV[1] or stored[2] == ARGV[1] then return { 'begun' } end  -- sent twice
if stored[2] then
  unlink_epoch(string.sub(meta, 1, -5) .. stored[2] .. ':', stored[3], tonumber(ARGV[3]))
end
redis.call('HSET', meta, 'filling', ARGV[1], 'filling_slots', ARGV[2])
return { 'begun' }
