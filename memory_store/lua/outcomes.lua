-- Shared by the scripts that let go of outcomes of changes which were kept long enough.
local function drop_outcomes(prefix, now, most)
  local old = redis.call('ZRANGEBYSCORE', prefix .. 'idem:at', '-inf', now, 'LIMIT', 0, most)
  for _, change in ipairs(old) do
    redis.call('HDEL', prefix .. 'idem', change)
    redis.call('ZREM', prefix .. 'idem:at', change)
  end
  return #old
end
