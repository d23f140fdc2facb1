-- Shared by the scripts that let an epoch go: its keys follow from its number of slots.
local function unlink_epoch(prefix, slots, k)
  for page = 0, math.ceil(tonumber(slots) / k) - 1 do
    redis.call('UNLINK', prefix .. 'page:' .. page, prefix .. 'rec:' .. page)
  end
  for _, name in ipairs({
    'ids', 'cues', 'docs', 'fixed', 'free', 'ttl', 'log', 'idem', 'idem:at',
  }) do
    redis.call('UNLINK', prefix .. name)
  end
end
