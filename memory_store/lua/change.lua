-- Carry out a planned change if the tenant is still as it was planned for: whole or not at all.
-- Everything is checked first, for Lua does not roll back.
-- KEYS: meta
-- ARGV: epoch, version, change id, digest, outcome, seconds to remember it, fingerprint,
--       slots, stamp, growth of fact, suppression and chunk counts, page header, row size,
--       slots of a page, length of the log, document id, document ('' none, '-' gone),
--       state of policy fixed ('' as it is), then
--       n removed, {id, slot, cue digest}..., n freed, {slot}...,
--       n puts, {slot, row, record, id, entry, cue digest, expires_at}...
-- Replies 'applied', version | 'replayed', outcome | 'conflict' | 'missing'
local meta = KEYS[1]
local at = 0
local function take()
  at = at + 1
  return ARGV[at]
end
local epoch, version, change, digest, outcome, remember = take(), take(), take(), take(), take(), take()
local fingerprint, slots, stamp = take(), take(), take()
local growth = { fact = take(), suppression = take(), chunk = take() }
local header = take()
local row_size, k, log_length = tonumber(take()), tonumber(take()), tonumber(take())
local document_id, document, fixed = take(), take(), take()

local stored = redis.call('HMGET', meta, 'epoch', 'version', 'change', 'fingerprint', 'fence')
if not stored[1] then return { 'missing' } end
if stored[1] ~= epoch or stored[4] ~= fingerprint then return { 'conflict' } end
local prefix = string.sub(meta, 1, -5) .. epoch .. ':'
local before = redis.call('HGET', prefix .. 'idem', change)
if before then return { 'replayed', before } end
local now = tonumber(redis.call('TIME')[1])
local fenced = stored[5] and now < tonumber(stored[5])
if fenced or stored[2] ~= version then return { 'conflict' } end

local touched, bytes = {}, 0
local function page_of(slot) return math.floor(slot / k) end
local function row_at(slot, row)
  local key = prefix .. 'page:' .. page_of(slot)
  if redis.call('EXISTS', key) == 0 then redis.call('SETRANGE', key, 0, header) end
  redis.call('SETRANGE', key, #header + (slot % k) * row_size, row)
  touched[#touched + 1] = slot
end
local function drop_record(slot)
  local key = prefix .. 'rec:' .. page_of(slot)
  bytes = bytes - redis.call('HSTRLEN', key, slot) - row_size
  redis.call('HDEL', key, slot)
end

for _ = 1, tonumber(take()) do
  local id, slot, cue = take(), tonumber(take()), take()
  redis.call('HDEL', prefix .. 'ids', id)
  redis.call('ZREM', prefix .. 'ttl', id)
  if cue ~= '' then redis.call('HDEL', prefix .. 'cues', cue) end
  drop_record(slot)
end
local empty = string.rep('\0', row_size)
for _ = 1, tonumber(take()) do
  local slot = tonumber(take())
  row_at(slot, empty)
  redis.call('ZADD', prefix .. 'free', slot, slot)
end
for _ = 1, tonumber(take()) do
  local slot, row, record, id, entry, cue, expires =
    tonumber(take()), take(), take(), take(), take(), take(), take()
  row_at(slot, row)
  redis.call('HSET', prefix .. 'rec:' .. page_of(slot), slot, record)
  redis.call('HSET', prefix .. 'ids', id, entry)
  if cue ~= '' then redis.call('HSET', prefix .. 'cues', cue, id) end
  if expires ~= '' then redis.call('ZADD', prefix .. 'ttl', expires, id) end
  redis.call('ZREM', prefix .. 'free', slot)
  bytes = bytes + #record + row_size
end

if document == '-' then
  redis.call('HDEL', prefix .. 'docs', document_id)
elseif document ~= '' then
  redis.call('HSET', prefix .. 'docs', document_id, document)
end

if fixed ~= '' then redis.call('SET', prefix .. 'fixed', fixed) end
redis.call('HSET', meta, 'version', version + 1, 'change', change, 'slots', slots, 'stamp', stamp)
redis.call('HINCRBY', meta, 'bytes', bytes)
for kind, n in pairs(growth) do redis.call('HINCRBY', meta, kind, n) end
redis.call('RPUSH', prefix .. 'log', stored[3] .. ' ' .. table.concat(touched, ','))
redis.call('LTRIM', prefix .. 'log', -log_length, -1)
drop_outcomes(prefix, now, 100)
redis.call('HSET', prefix .. 'idem', change, digest .. ' ' .. (version + 1) .. ' ' .. outcome)
redis.call('ZADD', prefix .. 'idem:at', now + remember, change)
return { 'applied', version + 1 }
