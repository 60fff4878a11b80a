#include "tests/history/plan.hpp"

#include <stdexcept>

namespace authcache_test {

namespace {

constexpr std::int64_t kNsPerSecond = 1'000'000'000;
constexpr const char* kAudience = "https://api.example";
constexpr std::uint64_t kClients = 5;
constexpr std::uint64_t kTokensPerSid = 6;
constexpr std::int64_t kAgeMaxSeconds = 90;  // how old a token may be when it first comes into use
constexpr std::uint64_t kTwinEvery = 5;      // of the ES256 tokens

std::string_view algorithm(std::size_t key) { return key == 0 ? "ES256" : "EdDSA"; }

Claims claims_of(std::size_t issuer, std::int64_t issued_seconds, std::int64_t expires_seconds) {
  Claims claims(Plan::issuer_name(issuer), kAudience, issued_seconds);
  claims.number("exp", expires_seconds);
  return claims;
}

std::string random_text(Random& random, std::size_t bytes) {
  std::string text;
  while (text.size() < bytes) text.push_back(static_cast<char>(random()));
  return base64url(text);
}

}  // namespace

Plan::Plan(std::uint64_t seed, std::int64_t start_wall_ns, std::chrono::nanoseconds duration)
    : random_(seed) {
  for (std::size_t i = 0; i < kIssuers * kKeys; ++i) {
    keys_.push_back(SigningKey::generate(i % kKeys == 0 ? KeyKind::kP256 : KeyKind::kEd25519));
  }
  for (std::size_t number = 0; number < kTokensPerIssuer; ++number) {
    const auto use_ns =
        duration.count() * static_cast<std::int64_t>(number) / static_cast<std::int64_t>(kTokensPerIssuer);
    for (std::size_t issuer = 0; issuer < kIssuers; ++issuer)
      add_good(issuer, number, start_wall_ns + use_ns, duration);
  }
  good_ = static_cast<std::uint32_t>(credentials_.size());
  add_bad(start_wall_ns);
  bad_ = static_cast<std::uint32_t>(credentials_.size()) - good_;
  add_sessions();
}

std::uint32_t Plan::make_mark(MarkKind kind, const std::string& scope, const std::string& value) {
  const auto [at, is_new] =
      mark_numbers_.try_emplace({kind, scope, value}, static_cast<std::uint32_t>(marks_.size()));
  if (is_new) marks_.push_back({kind, scope, value});
  return at->second;
}

std::optional<std::uint32_t> Plan::find_mark(MarkKind kind, std::string_view scope,
                                             std::string_view value) const {
  const auto found = mark_numbers_.find({kind, std::string(scope), std::string(value)});
  return found == mark_numbers_.end() ? std::nullopt : std::optional(found->second);
}

std::uint32_t Plan::mark(MarkKind kind, std::string_view scope, std::string_view value) const {
  const auto found = find_mark(kind, scope, value);
  if (!found) throw std::runtime_error("the plan has no such mark: " + std::string(value));
  return *found;
}

std::string Plan::logout_token(std::size_t issuer, std::string_view member, std::string_view value,
                               std::int64_t issued_seconds, std::string_view jti) const {
  Claims claims(issuer_name(issuer), kLogoutAudience, issued_seconds);
  claims.without("client_id").without("sub").text("jti", jti).text(member, value);
  claims.set("events", R"({"http://schemas.openid.net/event/backchannel-logout":{}})");
  const std::string header = R"({"alg":"ES256","typ":"logout+jwt","kid":")" + kid(issuer, 0) + "\"}";
  return mint(keys_[issuer * kKeys], "ES256", header, claims.json());
}

std::uint32_t Plan::key_set_mark(std::size_t issuer, std::size_t key) const {
  return mark(MarkKind::kKeySet, "", kid(issuer, key));
}

void Plan::add(Credential credential, std::string profile, std::string token) {
  for (const std::uint32_t each : credential.marks) {
    if (marks_[each].kind == MarkKind::kToken)
      named_[each].push_back(static_cast<std::uint32_t>(credentials_.size()));
  }
  credentials_.push_back(std::move(credential));
  presented_.push_back({std::move(profile), std::move(token)});
}

// Both issuers use the same subjects, clients, sids and jtis: what is limited to one must spare the other.
void Plan::add_good(std::size_t issuer, std::size_t number, std::int64_t use_wall_ns,
                    std::chrono::nanoseconds duration) {
  const std::string name = profile(issuer) + "#" + std::to_string(number), scope = issuer_name(issuer);
  const std::size_t key = below(random_, kKeys);
  const bool fresh = below(random_, 2) == 0;
  const auto age = static_cast<std::int64_t>(below(random_, fresh ? 2 : kAgeMaxSeconds));
  const std::int64_t issued = use_wall_ns / kNsPerSecond - age;
  // Some end while the run goes on: the daemon, the table and the checker then each tell the time.
  const bool ends = below(random_, 12) == 0;
  const std::int64_t lasts_ns =
      ends ? static_cast<std::int64_t>(below(random_, static_cast<std::uint64_t>(duration.count())))
           : 3600 * kNsPerSecond;
  const std::int64_t expires = (use_wall_ns + lasts_ns) / kNsPerSecond + 1;
  const std::string subject = "user-" + std::to_string(below(random_, kSubjects));
  const std::string client = "client-" + std::to_string(below(random_, kClients));
  const std::string sid = "sid-" + std::to_string(number / kTokensPerSid),
                    jti = "jti-" + std::to_string(number);

  Claims claims = claims_of(issuer, issued, expires);
  claims.text("sub", subject).text("client_id", client).text("sid", sid).text("jti", jti);
  Credential credential{.name = name,
                        .issued_from_wall_ns = issued * kNsPerSecond,
                        .issued_until_wall_ns = issued * kNsPerSecond,
                        .expires_wall_ns = expires * kNsPerSecond};
  credential.marks = {
      make_mark(MarkKind::kToken, "", name),      make_mark(MarkKind::kJti, scope, jti),
      make_mark(MarkKind::kSid, "", sid),         make_mark(MarkKind::kSid, scope, sid),
      make_mark(MarkKind::kSubject, "", subject), make_mark(MarkKind::kSubject, scope, subject),
      make_mark(MarkKind::kClient, "", client),   make_mark(MarkKind::kClient, scope, client),
      make_mark(MarkKind::kIssuer, "", scope),    make_mark(MarkKind::kKey, "", kid(issuer, key)),
      make_mark(MarkKind::kEverything, "", ""),   make_mark(MarkKind::kKeySet, "", kid(issuer, key))};
  const SigningKey& signer = keys_[issuer * kKeys + key];
  std::string token = mint_access_token(signer, algorithm(key), kid(issuer, key), claims.json());
  if (key == 0 && below(random_, kTwinEvery) == 0) {
    Credential twin = credential;
    twin.name += "-twin";
    add(std::move(twin), profile(issuer), malleated_twin(signer, token));
  }
  add(std::move(credential), profile(issuer), std::move(token));
}

void Plan::add_bad(std::int64_t start_wall_ns) {
  const std::int64_t now = start_wall_ns / kNsPerSecond;
  const auto bad = [&](const std::string& name, std::string profile, std::string token) {
    add({.name = name, .good = false}, std::move(profile), std::move(token));
  };
  for (std::size_t i = 0; i < 12; ++i) {
    const std::size_t issuer = i % kIssuers, other = 1 - issuer;
    const std::string number = std::to_string(i);
    const SigningKey& key = keys_[issuer * kKeys + 1];
    const std::string good = mint_access_token(
        key, "EdDSA", kid(issuer, 1), claims_of(issuer, now, now + 3600).text("jti", "bad-" + number).json());
    std::string tampered = good;
    char& changed = tampered[tampered.rfind('.') + 5];
    changed = changed == 'A' ? 'B' : 'A';
    bad("tampered-" + number, profile(issuer), tampered);
    bad("other-profile-" + number, profile(other), good);
    bad("other-issuer-" + number, profile(issuer),
        mint_access_token(key, "EdDSA", kid(issuer, 1), claims_of(other, now, now + 3600).json()));
    bad("other-key-" + number, profile(issuer),
        mint_access_token(keys_[issuer * kKeys + 2], "EdDSA", kid(issuer, 1),
                          claims_of(issuer, now, now + 3600).json()));
    bad("expired-" + number, profile(issuer),
        mint_access_token(key, "EdDSA", kid(issuer, 1), claims_of(issuer, now - 100, now - 2).json()));
    bad("no-session-" + number, "sessions", random_text(random_, 32));
    bad("no-jwt-" + number, "sessions", good);
  }
}

void Plan::add_sessions() {
  for (std::size_t slot = 0; slot < kSessions; ++slot) {
    const std::string name = "session#" + std::to_string(slot);
    const PlannedSession session{"user-" + std::to_string(below(random_, kSubjects)),
                                 "client-" + std::to_string(below(random_, kClients))};
    Credential credential{.name = name, .expires_wall_ns = kNever};
    credential.marks = {make_mark(MarkKind::kToken, "", name),
                        make_mark(MarkKind::kSession, "", name),
                        make_mark(MarkKind::kSid, "", name),
                        make_mark(MarkKind::kSubject, "", session.subject),
                        make_mark(MarkKind::kClient, "", session.client),
                        make_mark(MarkKind::kEverything, "", "")};
    add(std::move(credential), "sessions", "");
    sessions_.push_back(session);
  }
}

std::string Plan::key_set(std::size_t issuer, unsigned present) const {
  std::vector<std::string> keys;
  for (std::size_t key = 0; key < kKeys; ++key) {
    if ((present >> key & 1) != 0)
      keys.push_back(keys_[issuer * kKeys + key].public_jwk(kid(issuer, key), algorithm(key)));
  }
  return jwks(keys);
}

}  // namespace authcache_test
