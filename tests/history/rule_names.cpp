#include "tests/history/rule_names.hpp"

#include <openssl/evp.h>

#include <array>
#include <stdexcept>

namespace authcache_test {

namespace {

// Rules name a token by the first 192 bits of its SHA-256, followed by zeros.
constexpr std::size_t kHashBytes = 24, kRuleBytes = 32;

std::string rule_value(std::string_view text) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  if (EVP_Digest(text.data(), text.size(), digest.data(), nullptr, EVP_sha256(), nullptr) != 1)
    throw std::runtime_error("cannot hash");
  constexpr char kDigits[] = "0123456789abcdef";
  std::string hex;
  for (std::size_t i = 0; i < kRuleBytes; ++i) {
    const unsigned char byte = i < kHashBytes ? digest[i] : 0;
    hex.push_back(kDigits[byte >> 4]);
    hex.push_back(kDigits[byte & 0xf]);
  }
  return hex;
}

std::optional<MarkKind> kind_of(std::string_view name) {
  for (std::size_t kind = 0; kind < kMarkKinds; ++kind) {
    if (mark_kind_name(static_cast<MarkKind>(kind)) == name) return static_cast<MarkKind>(kind);
  }
  return std::nullopt;
}

}  // namespace

RuleNames::RuleNames(const Plan& plan, const Board& board,
                     const std::map<std::string, std::string>& thumbprints)
    : plan_(plan), board_(board) {
  for (const auto& [kid, thumbprint] : thumbprints) kids_[thumbprint] = kid;
  for (std::uint32_t mark = 0; mark < plan.marks().size(); ++mark) {
    if (plan.marks()[mark].kind != MarkKind::kToken) continue;
    for (const std::uint32_t credential : plan.named_by(mark)) {
      const std::string& token = plan.presented(credential).token;
      if (token.empty()) continue;
      tokens_[rule_value(token)] = mark;
      tokens_[rule_value(token.substr(0, token.rfind('.')))] = mark;
    }
  }
}

void RuleNames::learn_sessions() {
  for (const std::uint32_t made = board_.sessions_made(); sessions_known_ < made; ++sessions_known_) {
    const SessionSlot& slot = board_.sessions[sessions_known_];
    if (!slot.ready.load(std::memory_order_acquire)) continue;
    const std::string name = "session#" + std::to_string(sessions_known_);
    tokens_[rule_value(slot.token.data())] = plan_.mark(MarkKind::kToken, "", name);
    sids_[slot.sid.data()] = plan_.mark(MarkKind::kSid, "", name);
  }
}

std::optional<std::uint32_t> RuleNames::mark_of(const boost::json::object& rule) {
  sessions_known_ -= std::min(sessions_known_, 20U);  // one that was being made at the last look
  learn_sessions();
  const std::string kind_name(rule.at("kind").as_string()), scope(rule.at("scope").as_string());
  std::string value(rule.at("value").as_string());
  if (kind_name == "token" || kind_name == "signing_input") {
    const auto found = tokens_.find(value);
    return found == tokens_.end() ? std::nullopt : std::optional(found->second);
  }
  const auto kind = kind_of(kind_name);
  if (!kind) return std::nullopt;
  if (*kind == MarkKind::kKey) {
    const auto found = kids_.find(value);
    if (found == kids_.end()) return std::nullopt;
    value = found->second;
  }
  if (const auto found = sids_.find(value); *kind == MarkKind::kSid && found != sids_.end())
    return found->second;
  return plan_.find_mark(*kind, scope, value);
}

}  // namespace authcache_test
