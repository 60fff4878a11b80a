#include "daemon/control/face/form.hpp"

#include <openssl/crypto.h>

#include <algorithm>

namespace authcached {

namespace {

// A requirement of 16 audiences, 64 scopes and 64 permissions, one a member, is the longest that is of use.
constexpr std::size_t kMembersMax = 160;

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

std::optional<std::string> percent_decode(std::string_view text, Plus plus) {
  std::string decoded;
  decoded.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+' && plus == Plus::kIsBlank) {
      decoded.push_back(' ');
    } else if (text[i] != '%') {
      decoded.push_back(text[i]);
    } else {
      const int high = i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
      const int low = i + 2 < text.size() ? hex_digit(text[i + 2]) : -1;
      if (high < 0 || low < 0) return std::nullopt;
      decoded.push_back(static_cast<char>(high * 16 + low));
      i += 2;
    }
  }
  return decoded;
}

std::optional<std::string> bytes_of_hex(std::string_view text) {
  if (text.size() % 2 != 0) return std::nullopt;
  std::string bytes;
  for (std::size_t i = 0; i < text.size(); i += 2) {
    const int high = hex_digit(text[i]);
    const int low = hex_digit(text[i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    bytes.push_back(static_cast<char>(high * 16 + low));
  }
  return bytes;
}

std::optional<Form> Form::parse(std::string_view text, Plus plus) {
  Form form;
  while (!text.empty()) {
    const std::string_view member = text.substr(0, text.find('&'));
    text.remove_prefix(std::min(member.size() + 1, text.size()));
    if (member.empty()) continue;
    const std::size_t equals = member.find('=');
    if (equals == std::string_view::npos || form.members_.size() == kMembersMax) return std::nullopt;
    auto name = percent_decode(member.substr(0, equals), plus);
    auto value = percent_decode(member.substr(equals + 1), plus);
    if (!name || !value) return std::nullopt;
    form.members_.emplace_back(std::move(*name), std::move(*value));
  }
  return form;
}

Form::~Form() {
  for (auto& [name, value] : members_) OPENSSL_cleanse(value.data(), value.size());
}

std::size_t Form::count(std::string_view name) const {
  return static_cast<std::size_t>(
      std::ranges::count(members_, name, [](const auto& member) { return std::string_view(member.first); }));
}

std::string_view Form::first(std::string_view name) const {
  for (const auto& [each, value] : members_) {
    if (each == name) return value;
  }
  return {};
}

bool Form::has_duplicates() const {
  return std::ranges::any_of(members_, [&](const auto& member) { return count(member.first) > 1; });
}

}  // namespace authcached
