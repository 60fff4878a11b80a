// A record as the facts that it was made from, ready to be laid out again: in another table, or with other grants of its
// roles. What roles grant is no fact and is not among them. Pure; the record's text must outlive what was read from it.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "shm/table_reader.hpp"
#include "shm/table_writer.hpp"

namespace authcached {

// spec.text, role_grants and text_too_large are left for the caller: they depend on the roles and on where the text lies.
struct Reread {
  authcache::shm::RecordSpec spec;
  std::vector<std::string> scopes, permissions, audience;
  std::string text;                     // without what roles grant
  std::vector<std::string> told_grants;  // what stood in the text of them
};

void reread(const authcache::shm::TableView& view, const authcache::shm::HotRecord& hot, const authcache::shm::ColdRecord& cold,
            std::string_view text, Reread& out);

// The text with grants of roles that have no bit; nothing if it does not fit.
[[nodiscard]] std::optional<std::string> with_grants(std::string_view text, std::span<const std::string> grants, std::size_t bytes_max);

}  // namespace authcached
