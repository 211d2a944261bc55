-- Requests of one scenario, for wrk: `wrk -t1 -s requests.lua URL -- scenario key shelf items tag run pause`.
-- `items` is a file with an id and a version in each line; `tag` is what follows the version in an entity tag; each
-- connection pauses for `pause` milliseconds before each request.
local COUNT = 0 -- of items, whose ids are in `ids` and next entity tags in `tags`
local ids, tags = {}, {}
local json, conditional, written = {}, {}, 0
local threads = {}
sent, answered, busy, bare, refused = -1, 0, 0, 0, 0 -- wrk asks for one request that it does not send. Globals: `done` reads those of each thread

function setup(thread) table.insert(threads, thread) end

function init(arguments)
  scenario, key, shelf, run = arguments[1], arguments[2], arguments[3], arguments[6]
  for line in io.lines(arguments[4]) do
    local id, version = line:match("^(%S+) (%d+)$")
    COUNT = COUNT + 1
    ids[COUNT], tags[id] = id, '"' .. version .. arguments[5] .. '"'
  end
  math.randomseed(os.time())
  json = { ["Authorization"] = "Bearer " .. key, ["Content-Type"] = "application/json" }
  conditional = { ["Authorization"] = "Bearer " .. key, ["If-None-Match"] = "*" }
  if scenario == "read" or scenario == "list" or scenario == "cached" or scenario == "unchanged" then response = nil end
  local pause = tonumber(arguments[7])
  if pause > 0 then delay = function() return pause end end
end

local function auth() return { ["Authorization"] = "Bearer " .. key } end

-- The probability of rank r is proportional to 1 / r.
local function zipf() return ids[math.min(COUNT, math.floor(COUNT ^ math.random()))] end

local made = {}

function made.read() return wrk.format("GET", "/api/v1/articles/" .. ids[math.random(COUNT)], auth()) end

function made.cached() return wrk.format("GET", "/api/v1/shelves/" .. shelf, auth()) end

function made.unchanged() return wrk.format("GET", "/api/v1/shelves/" .. shelf, conditional) end

function made.list() return wrk.format("GET", "/api/v1/articles?status=active&sort=price&limit=50", auth()) end

function made.create()
  written = written + 1
  local sku = run .. "-" .. written
  json["If-Match"], json["Idempotency-Key"] = nil, sku
  return wrk.format("POST", "/api/v1/articles", json,
    '{"sku":"' .. sku .. '","name":"Brass desk lamp","price":"49.90","stock":3,"shelf_id":"' .. shelf .. '"}')
end

-- Each item again only after all others: its answer, with the next tag, has come by then.
function made.update()
  written = written + 1
  local id = ids[written % COUNT + 1]
  json["If-Match"], json["Idempotency-Key"] = tags[id], nil
  return wrk.format("PATCH", "/api/v1/articles/" .. id, json, '{"stock":' .. written .. '}')
end

function made.mix()
  local dice = math.random(100)
  if dice <= 75 then return wrk.format("GET", "/api/v1/articles/" .. zipf(), auth()) end
  if dice <= 90 then return made.update() end
  if dice <= 95 then return made.list() end
  return made.create()
end

function request()
  sent = sent + 1
  return made[scenario]()
end

function response(status, headers, body)
  if status < 400 then
    answered = answered + 1
    local id, tag = body:match('^{"id":"([^"]+)"'), headers["etag"] or headers["ETag"] or headers["Etag"]
    if id and tag and tags[id] then tags[id] = tag end
  elseif status == 503 or status == 429 then
    busy = busy + 1
    if not (headers["retry-after"] or headers["Retry-After"]) then bare = bare + 1 end
  else
    refused = refused + 1
    io.write("answer " .. status .. ": " .. body .. "\n")
  end
end

function done(summary, latency, requests)
  local errors = summary.errors
  -- `sent` includes the requests that wrk no longer waited for.
  local told = { completed = summary.requests, microseconds = summary.duration, refused = errors.status,
    broken = errors.connect + errors.read + errors.write + errors.timeout,
    median = latency:percentile(50), slow = latency:percentile(99) }
  for _, name in ipairs({ "sent", "answered", "busy", "bare" }) do
    told[name] = 0
    for _, thread in ipairs(threads) do told[name] = told[name] + thread:get(name) end
  end
  io.write("\nRESULT")
  for name, value in pairs(told) do io.write(string.format(" %s=%d", name, value)) end
  io.write("\n")
end
