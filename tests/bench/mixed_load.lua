-- Load for redeploy_under_load.py: GET and POST in turn over kept-alive connections, each answer checked.
-- Arguments: path of the app, milliseconds between two requests of one connection.

local threads = {}

function setup(thread)
  table.insert(threads, thread)
end

function init(arguments)
  path, pause = arguments[1], tonumber(arguments[2])
  sent, wrong, gets, posts, first_wrong = 0, 0, 0, 0, ""
end

function delay()
  return pause
end

function request()
  sent = sent + 1
  if sent % 2 == 0 then
    return wrk.format("POST", path .. "echo", {["Content-Type"] = "text/plain"}, "echo-me")
  end
  return wrk.format("GET", path)
end

-- wrk does not say which request an answer belongs to: the echo is told by its body.
function response(status, headers, body)
  local echoed = string.find(body, "echo-me", 1, true) ~= nil
  -- HAProxy hands header names on in lower case; wrk keeps them as they come.
  local release = headers["x-demo-release"] or headers["X-Demo-Release"]
  if status ~= 200 or (not echoed and release == nil) then
    wrong = wrong + 1
    if first_wrong == "" then
      first_wrong = status .. " " .. string.sub(body, 1, 100)
    end
  elseif echoed then
    posts = posts + 1
  else
    gets = gets + 1
  end
end

function done(summary, latency, requests)
  local total = {wrong = 0, gets = 0, posts = 0}
  local said = ""
  for _, thread in ipairs(threads) do
    for name, value in pairs(total) do
      total[name] = value + thread:get(name)
    end
    said = said .. thread:get("first_wrong")
  end
  local errors = summary.errors
  io.write(string.format(
    "RESULT requests=%d gets=%d posts=%d wrong=%d status=%d connect=%d read=%d write=%d timeout=%d seconds=%.3f p50_ms=%.2f p99_ms=%.2f\n",
    summary.requests, total.gets, total.posts, total.wrong, errors.status, errors.connect,
    errors.read, errors.write, errors.timeout, summary.duration / 1e6,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
  if said ~= "" then
    io.write("WRONG " .. said .. "\n")
  end
end
