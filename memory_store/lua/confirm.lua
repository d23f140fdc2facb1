#!lua flags=allow-oom
-- Write a remembered outcome again as it is: a resent change has nothing to do, but its sender
-- waits for copies, and Redis waits only for what a connection itself has written.
-- KEYS: meta. ARGV: change id.
local epoch = redis.call('HGET', KEYS[1], 'epoch')
if not epoch then return {} end
local idem = string.sub(KEYS[1], 1, -5) .. epoch .. ':idem'
local outcome = redis.call('HGET', idem, ARGV[1])
if outcome then redis.call('HSET', idem, ARGV[1], outcome) end
return {}
