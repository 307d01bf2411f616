-- Agrees on the generation. While it stays the same, no entry that a node has read is lost, so no id is given twice.
--
-- KEYS: stream, state
-- ARGV: the server's run id, 1 if a restart of this server loses nothing (else 0), the id of the last entry that the
--       node has (0-0: none), the generation that it knows ('': none), a name for a new generation
-- Answers the generation, the id after which it began, and the id of the stream's last entry (0-0 if there is none).

local stream, state = KEYS[1], KEYS[2]
local run, keeps, position, known, candidate = ARGV[1], ARGV[2] == '1', ARGV[3], ARGV[4], ARGV[5]

local function is_after(one, other)
    local ms, seq = string.match(one, '^(%d+)-(%d+)$')
    local other_ms, other_seq = string.match(other, '^(%d+)-(%d+)$')
    ms, seq, other_ms, other_seq = tonumber(ms), tonumber(seq), tonumber(other_ms), tonumber(other_seq)
    return ms > other_ms or (ms == other_ms and seq > other_seq)
end

-- The last id that was given, even if its entry is deleted; and the last entry that is there.
local given, tail = '0-0', '0-0'
if redis.call('EXISTS', stream) == 1 then
    local about = redis.call('XINFO', 'STREAM', stream)
    for i = 1, #about, 2 do
        if about[i] == 'last-generated-id' then
            given = about[i + 1]
        end
    end
    local last = redis.call('XREVRANGE', stream, '+', '-', 'COUNT', 1)[1]
    tail = last and last[1] or tail
end

local generation, start, ran = unpack(redis.call('HMGET', state, 'generation', 'start', 'run'))
-- A node that is ahead has read what this server does not have any more.
local is_behind = generation and known == generation and is_after(position, given)
local may_be_behind = ran ~= run and not keeps
if not generation or is_behind or may_be_behind then
    generation, start = candidate, given
end
start = start or '0-0'
redis.call('HSET', state, 'generation', generation, 'start', start, 'run', run)
return {generation, start, tail}
