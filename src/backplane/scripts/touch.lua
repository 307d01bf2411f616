-- Tells where the messages of a room end, and where the stream ends: up to there a node reads before it tells readers.
--
-- KEYS: stream, state, room
-- ARGV: epoch for a room that has none
-- Answers the epoch, the number of the last message, and the id of the stream's last entry (0-0 if there is none).

local stream, state, room = KEYS[1], KEYS[2], KEYS[3]

local ROOM_SECONDS = 24 * 3600

local generation = redis.call('HGET', state, 'generation')
if not generation then
    return redis.error_reply('UNSYNCED the state is gone')
end
local tail = redis.call('XREVRANGE', stream, '+', '-', 'COUNT', 1)[1]

local known, epoch, head = unpack(redis.call('HMGET', room, 'generation', 'epoch', 'head'))
if known ~= generation then
    epoch, head = ARGV[1], '0'
    redis.call('HSET', room, 'generation', generation, 'epoch', epoch, 'head', head)
end
-- A new room has no time yet, which is -1. An append gave it more, which stays.
if redis.call('TTL', room) < ROOM_SECONDS then
    redis.call('EXPIRE', room, ROOM_SECONDS)
end
return {epoch, head, tail and tail[1] or '0-0'}
