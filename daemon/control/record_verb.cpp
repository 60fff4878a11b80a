#include <boost/json/array.hpp>
#include <cstring>

#include "daemon/control/control_handler.hpp"
#include "daemon/control/request_members.hpp"
#include "shm/digest.hpp"
#include "shm/role_granted.hpp"

namespace authcached {

namespace json = boost::json;
namespace shm = authcache::shm;

namespace {

constexpr std::size_t kKeyHexDigits = 2 * sizeof(shm::Key);

std::optional<shm::Key> key_from_hex(std::string_view text) {
  if (text.size() < kKeyHexDigits || text.size() > 2 * sizeof(shm::Digest)) return std::nullopt;
  std::array<std::uint8_t, sizeof(shm::Key)> bytes;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const auto digit = [](char c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1; };
    const int high = digit(text[2 * i]);
    const int low = digit(text[2 * i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    bytes[i] = static_cast<std::uint8_t>(high * 16 + low);
  }
  shm::Key key;
  std::memcpy(key.data(), bytes.data(), sizeof key);
  return key;
}

shm::Result<shm::Key> key_asked_for(const Services& services, const json::object& members) {
  if (members.contains("digest")) {
    const auto digest = string_member(members, "digest");
    const auto key = digest ? key_from_hex(*digest) : std::nullopt;
    if (!key) return shm::fail(shm::ErrorCode::kUsage, "\"digest\" must be 48 to 64 lower-case hex digits");
    return *key;
  }
  const auto token = string_member(members, "token");
  if (!token) return std::unexpected(token.error());
  const auto name = string_member(members, "profile");
  if (!name) return std::unexpected(name.error());
  const auto profile = profile_named(services.profiles, *name);
  if (!profile) return shm::fail(shm::ErrorCode::kNotFound, "there is no profile of that name; see authctl stats");
  return shm::key_of(shm::token_digest(profile->id, *token));
}

json::object text_members(std::string_view text) {
  json::object identity;
  json::array scopes, permissions, audience;
  shm::TextCursor cursor(text);
  while (const auto item = cursor.next()) {
    switch (item->field) {
      case shm::TextField::kSubject: identity["subject"] = item->value; break;
      case shm::TextField::kIssuer: identity["issuer"] = item->value; break;
      case shm::TextField::kClientId: identity["client_id"] = item->value; break;
      case shm::TextField::kSid: identity["sid"] = item->value; break;
      case shm::TextField::kJti: identity["jti"] = item->value; break;
      case shm::TextField::kScopes: scopes.emplace_back(item->value); break;
      case shm::TextField::kPermissions: permissions.emplace_back(item->value); break;
      case shm::TextField::kAudience: audience.emplace_back(item->value); break;
      case shm::TextField::kClaims: identity["claims"] = item->value; break;
      case shm::TextField::kConfirmation: identity["confirmation"] = hex(item->value); break;
      case shm::TextField::kRoleGrant: break;  // told with those that have bits
    }
  }
  identity["scopes"] = std::move(scopes);
  identity["permissions"] = std::move(permissions);
  identity["audience"] = std::move(audience);
  return identity;
}

}  // namespace

void record_verb(Services& services, const ControlRequest& request, ControlReply reply) {
  const auto key = key_asked_for(services, request.members);
  if (!key) return reply(control_error(key.error()));
  const shm::TableView& view = services.tables.newest().writer.view();
  shm::Found found;
  if (!services.tables.find(*key, found)) return reply(control_error("not_found", "no live record has this digest"));
  alignas(8) std::uint64_t buffer[shm::kTextMax / 8];
  shm::ColdRecord cold;
  const auto text = shm::read_text(view, found.slot, found.record.control, buffer, cold);
  const shm::Facts facts = shm::unpack_facts(found.record.facts);
  const auto now = static_cast<std::uint64_t>(services.clock.monotonic_ns());
  const bool elsewhere = (facts.flags & shm::kTextOnSocket) != 0;
  json::array role_grants;
  const std::uint64_t dictionary = shm::StdAtomics::load_relaxed(view.header().dictionary);
  const std::string_view oversize = services.texts.get({view.generation, found.slot, found.record.sequence()});
  const std::string_view known = elsewhere ? oversize : text.value_or(std::string_view{});
  shm::each_role_grant(view, dictionary, found.record.grants, known, [&](std::string_view grant) { role_grants.emplace_back(grant); });
  reply({{"digest", hex({reinterpret_cast<const char*>(key->data()), sizeof(shm::Key)})},
         {"generation", view.generation},
         {"slot", found.slot},
         {"sequence", found.record.sequence()},
         {"verdict", shm::verdict_name(facts.verdict)},
         {"reason", shm::reason_name(facts.reason)},
         {"current", shm::is_current(view, found.record, now)},
         {"epoch", facts.epoch},
         {"remaining_ns", static_cast<std::int64_t>(found.record.deadline - now)},
         {"expires_wall_ns", cold.expires_wall_ns},
         {"issued_wall_ns", cold.issued_wall_ns},
         {"text_on_socket", elsewhere},
         {"role_grants", std::move(role_grants)},
         {"identity", text_members(known)}});
}

}  // namespace authcached
