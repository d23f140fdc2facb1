-- Let go of outcomes whose time is over, in a tenant that no change comes to.
-- KEYS: meta. ARGV: most outcomes. Replies how many went.
local epoch = redis.call('HGET', KEYS[1], 'epoch')
if not epoch then return { 0 } end
local prefix = string.sub(KEYS[1], 1, -5) .. epoch .. ':'
return { drop_outcomes(prefix, redis.call('TIME')[1], tonumber(ARGV[1])) }
