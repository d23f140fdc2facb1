#!lua
-- Make changes wait for the last step of a re-encoding, for as long as it may take and no longer.
-- KEYS: meta. ARGV: epoch that is being filled, seconds. Replies status.
local meta = KEYS[1]
if redis.call('HGET', meta, 'filling') ~= ARGV[1] then return { 'conflict' } end
redis.call('HSET', meta, 'fence', redis.call('TIME')[1] + ARGV[2])
return { 'fenced' }
