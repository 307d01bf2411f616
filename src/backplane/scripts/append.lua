-- Appends what one room of one node published in one turn, and numbers it. If it is sent again, the first answer is
-- given again.
--
-- KEYS: stream, state, room, node [, idempotency key]
-- ARGV: room name, node, counter, counter of the append before this one (0: none), count of messages, their text,
--       epoch for a room that has none, how many entries to keep
-- A count of 0 is a probe: an entry that belongs to no room.
-- Answers the epoch, the number of the last message, and the entry's id ('' where nothing was appended).
--
-- Everything is read before anything is written: a key of a wrong type must not leave half of the work behind.

local stream, state, room, node, key = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local name, origin, counter, text = ARGV[1], ARGV[2], ARGV[3], ARGV[6]
local previous, count = tonumber(ARGV[4]), tonumber(ARGV[5])
local candidate, entries = ARGV[7], ARGV[8]

local RING_LEN = 1024
local NODE_SECONDS = 3600
local ROOM_SECONDS = 7 * 24 * 3600
local KEY_SECONDS = 300

-- tostring would write a large number with an exponent.
local function digits(number)
    return string.format('%.0f', number)
end

local place = digits(tonumber(counter) % RING_LEN)
local noted, last = unpack(redis.call('HMGET', node, place, 'last'))
if noted then
    local before, epoch, head = string.match(noted, '^(%d+) (%w*) (%d+)$')
    if before == counter then
        return {epoch, head, ''}
    end
end

local generation = redis.call('HGET', state, 'generation')
if not generation then
    return redis.error_reply('UNSYNCED the state is gone')
end
-- A room's order is the order in which the node sent.
if last and tonumber(last) < previous then
    return redis.error_reply('EARLY an append before this one is missing')
end
-- It comes from a connection that its node gave up, behind what was sent since: it was given up, or appended so long ago
-- that this is forgotten.
if last and tonumber(counter) <= tonumber(last) then
    return redis.error_reply('LATE an append comes after those that followed it')
end

local function note(epoch, head)
    local greatest = math.max(tonumber(counter), tonumber(last or '0'))
    redis.call('HSET', node, place, counter .. ' ' .. epoch .. ' ' .. head, 'last', digits(greatest))
    redis.call('EXPIRE', node, NODE_SECONDS)
end

local by = origin .. ' ' .. counter
if count == 0 then
    local id = redis.call('XADD', stream, 'MAXLEN', '~', entries, '*', 'p', by)
    note('', '0')
    return {'', '0', id}
end

if key then
    local answer = redis.call('GET', key)
    if answer then
        local epoch, head = string.match(answer, '^(%w+)-(%d+)$')
        note(epoch, head)
        return {epoch, head, ''}
    end
end

local known, epoch, head = unpack(redis.call('HMGET', room, 'generation', 'epoch', 'head'))
if known ~= generation then
    epoch, head = candidate, '0'
end
local first = digits(tonumber(head) + 1)
head = digits(tonumber(head) + count)

local id = redis.call('XADD', stream, 'MAXLEN', '~', entries, '*',
    'r', name, 'e', epoch, 'f', first, 'c', digits(count), 'o', by, 't', text)
redis.call('HSET', room, 'generation', generation, 'epoch', epoch, 'head', head)
redis.call('EXPIRE', room, ROOM_SECONDS)
note(epoch, head)
if key then
    redis.call('SET', key, epoch .. '-' .. head, 'EX', KEY_SECONDS)
end
return {epoch, head, id}
