#!lua flags=no-writes
-- One page with its records, at one version. KEYS: meta. ARGV: epoch, page.
-- Replies {} (no tenant, or another epoch) | page or false, {slot, record, ...}
local meta = KEYS[1]
if redis.call('HGET', meta, 'epoch') ~= ARGV[1] then return {} end
local prefix = string.sub(meta, 1, -5) .. ARGV[1] .. ':'
return {
  redis.call('GET', prefix .. 'page:' .. ARGV[2]),
  redis.call('HGETALL', prefix .. 'rec:' .. ARGV[2]),
}
