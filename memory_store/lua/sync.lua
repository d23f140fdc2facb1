#!lua flags=no-writes
-- What changed since a cached version, in one step.
-- KEYS: meta. ARGV: epoch, version, change of the cache, most slots to send, header size,
-- row size, slots of a page, '1' for the records of the rows too.
-- Replies {} (no tenant) | meta, 'current' | meta, 'reload'
-- | meta, 'behind', {slot, row, ...}, state of policy fixed, {record or false, ...}
local meta = KEYS[1]
local all = redis.call('HGETALL', meta)
if #all == 0 then return {} end
local stored = redis.call('HMGET', meta, 'epoch', 'version', 'change')
local k, reload = tonumber(ARGV[7]), { all, 'reload' }

if stored[1] ~= ARGV[1] then return reload end
local behind = tonumber(stored[2]) - tonumber(ARGV[2])
if behind == 0 then
  if stored[3] == ARGV[3] then return { all, 'current' } end
  return reload
end

local prefix = string.sub(meta, 1, -5) .. ARGV[1] .. ':'
if behind < 0 or behind > redis.call('LLEN', prefix .. 'log') then return reload end
local most, header, row_size = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local log = redis.call('LRANGE', prefix .. 'log', -behind, -1)
if string.match(log[1], '^%S+') ~= ARGV[3] then return reload end

local rows, records, seen, count = {}, {}, {}, 0
for _, entry in ipairs(log) do
  for slot in string.gmatch(string.match(entry, '^%S+ (.*)$'), '%d+') do
    if not seen[slot] then
      seen[slot] = true
      count = count + 1
      if count > most then return reload end
      local n = tonumber(slot)
      local start = header + (n % k) * row_size
      rows[#rows + 1] = slot
      rows[#rows + 1] = redis.call(
        'GETRANGE', prefix .. 'page:' .. math.floor(n / k), start, start + row_size - 1)
      if ARGV[8] == '1' then
        records[count] = redis.call('HGET', prefix .. 'rec:' .. math.floor(n / k), slot)
      end
    end
  end
end
return { all, 'behind', rows, redis.call('GET', prefix .. 'fixed'), records }
