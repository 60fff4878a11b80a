// A gateway's decision about requests with DPoP (RFC 9449): one request a line on standard input, its method,
// URL, access token and proof; one verdict a line on standard output.
//
//   c++ -std=c++17 dpop.cpp $(pkg-config --cflags --libs authcache) -o dpop
//   ./dpop PROFILE < requests
#include <pwd.h>

#include <authcache/authcache.hpp>
#include <chrono>
#include <iostream>
#include <sstream>
#include <string>

namespace {

constexpr std::chrono::seconds kTimeout(2);

std::string decide(authcache::Client& client, const authcache::Requirement& needs,
                   const authcache::DpopProof& shown) {
  authcache::Identity who;
  // The token alone, from shared memory: who has no good one shall not cost a signature check.
  authcache::Verdict verdict = client.validate(shown.token, needs, kTimeout, &who);
  if (verdict == authcache::Verdict::kValid) return "401 invalid_token (bound to no key)";
  if (verdict == authcache::Verdict::kUnavailable) return std::string("503 (") + who.reason_name() + ")";
  if (who.reason() != AUTHCACHE_REASON_CONFIRMATION_REQUIRED)
    return std::string("401 invalid_token (") + who.reason_name() + ")";

  authcache_reason reason = AUTHCACHE_REASON_NONE;
  const auto key = client.verify_dpop(shown, kTimeout, &verdict, &reason);
  if (verdict == authcache::Verdict::kInvalid)
    return std::string("401 invalid_dpop_proof (") + authcache_reason_name(reason) + ")";
  if (!key) return std::string("503 (") + authcache_reason_name(reason) + ")";

  // Whether that key is the token's is decided here.
  const authcache::BoundRequirement bound(needs, *key);
  verdict = client.validate(shown.token, bound, kTimeout, &who);
  if (verdict == authcache::Verdict::kUnavailable) return std::string("503 (") + who.reason_name() + ")";
  if (verdict != authcache::Verdict::kValid)
    return std::string("401 invalid_token (") + who.reason_name() + ")";
  return "200 " + client.text(who, AUTHCACHE_FIELD_SUBJECT).value_or("(gone: validate again)");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: dpop PROFILE < requests\n";
    return 2;
  }
  authcache::Options options;
  if (const passwd* daemon = ::getpwnam("authcache")) options.daemon_uid = daemon->pw_uid;
  std::string error;
  auto client = authcache::Client::open(options, &error);
  if (!client) {
    std::cerr << "dpop: " << error << '\n';
    return 3;
  }
  const authcache::Requirement needs = client->requirement(argv[1]);
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream words(line);
    std::string method, url, token, proof;
    words >> method >> url >> token >> proof;
    authcache::DpopProof shown;
    shown.method = method;
    shown.url = url;
    shown.token = token;
    shown.proof = proof;
    std::cout << decide(*client, needs, shown) << '\n';
  }
  return 0;
}
