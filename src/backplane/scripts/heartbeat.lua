-- Says that a node lives, by the server's clock, and tells which others do.
--
-- KEYS: nodes, the node's counts of listeners
-- ARGV: node, after how many milliseconds without a heartbeat a node counts as dead
-- Answers the names of the other nodes.

local nodes, here = KEYS[1], KEYS[2]
local node, patience = ARGV[1], tonumber(ARGV[2])

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
redis.call('ZADD', nodes, string.format('%.0f', now), node)
redis.call('ZREMRANGEBYSCORE', nodes, '-inf', string.format('(%.0f', now - patience))
redis.call('PEXPIRE', here, patience)

local others = {}
for _, other in ipairs(redis.call('ZRANGE', nodes, 0, -1)) do
    if other ~= node then
        others[#others + 1] = other
    end
end
return others
