-- http-request lua.authcache QUERY: asks authcache's HTTP face about the request's token and leaves the answer in
-- txn.auth_status, txn.auth_challenge and, if the token is good, txn.auth_subject, _scopes, _client and _issuer.
-- Without an answer the status is 503: nobody could tell.

local face = "unix@/run/authcache/http.sock" -- or, with listen = "127.0.0.1:8481": "ipv4@127.0.0.1:8481"
local kept = { subject = "x-auth-subject", scopes = "x-auth-scopes", client = "x-auth-client", issuer = "x-auth-issuer",
  challenge = "www-authenticate" }

core.register_action("authcache", { "http-req" }, function(txn, query)
  local sent = txn.http:req_get_headers()["authorization"]
  local authorization = {}
  -- All of them: a request with two is refused by authcache, not judged by one of them.
  for i = 0, 100 do
    if sent == nil or sent[i] == nil then break end
    authorization[i + 1] = sent[i]
  end
  local headers = { host = { "localhost" } }
  if #authorization > 0 then headers["authorization"] = authorization end
  local ok, answer = pcall(function()
    return core.httpclient():get { url = "http://localhost/auth?" .. query, headers = headers, dst = face, timeout = 5000 }
  end)
  if not ok or answer == nil or answer.status == nil or answer.status == 0 then
    txn:set_var("txn.auth_status", "503")
    return
  end
  txn:set_var("txn.auth_status", tostring(answer.status))
  for name, field in pairs(kept) do
    local values = answer.headers and answer.headers[field]
    if values and values[0] then txn:set_var("txn.auth_" .. name, values[0]) end
  end
end, 1)
