#!lua flags=no-writes
-- What a change needs to know, at one version: what is stored under its ids and cues, and the
-- lowest free slots.
-- KEYS: meta. ARGV: change id, free slots wanted, number of ids, number of cue digests,
-- expired ids wanted, document id, slots of a page (where ids are looked up), ids..., digests...
-- Replies meta, the change's stored outcome or false, {id, entry, bytes of its record, ...}, free
-- slots, document or false.
local meta = KEYS[1]
local epoch = redis.call('HGET', meta, 'epoch')
if not epoch then return {} end
local prefix = string.sub(meta, 1, -5) .. epoch .. ':'
local n_free, n_ids, n_cues, n_expired =
  tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])

local k, entries = tonumber(ARGV[7]), {}
local function look_up(id)
  local entry = id and redis.call('HGET', prefix .. 'ids', id)
  if entry then
    entries[#entries + 1] = id
    entries[#entries + 1] = entry
    local slot = tonumber(string.match(entry, '^%d+'))
    entries[#entries + 1] = redis.call('HSTRLEN', prefix .. 'rec:' .. math.floor(slot / k), slot)
  end
end
for i = 8, 7 + n_ids do look_up(ARGV[i]) end
for i = 8 + n_ids, 7 + n_ids + n_cues do
  look_up(redis.call('HGET', prefix .. 'cues', ARGV[i]))
end

if n_expired > 0 then
  local time = redis.call('TIME')
  local now = string.format('%d.%06d', time[1], time[2])
  local expired = redis.call('ZRANGEBYSCORE', prefix .. 'ttl', '-inf', now, 'LIMIT', 0, n_expired)
  for _, id in ipairs(expired) do look_up(id) end
end
local free = {}
if n_free > 0 then free = redis.call('ZRANGE', prefix .. 'free', 0, n_free - 1) end
return {
  redis.call('HGETALL', meta),
  redis.call('HGET', prefix .. 'idem', ARGV[1]),
  entries, free,
  ARGV[6] ~= '' and redis.call('HGET', prefix .. 'docs', ARGV[6]),
}
