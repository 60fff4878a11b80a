// A real table file full of records, with its writer and its heartbeat, as authcached would keep it, and a
// client of libauthcache attached to it. One process may hold the table and many others attach: a client
// takes the directory.
//
// FilledTable is for the thread that made it; start_heart() moves the heartbeat to a thread of its own, after
// which nothing else may be written. After fork() exactly one process goes on writing.
#pragma once

#include <authcache/authcache.h>

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "bench/tokens.hpp"
#include "shm/digest.hpp"
#include "shm/table_writer.hpp"

namespace authcache_bench {

inline constexpr std::uint64_t kProfileId = 0x6265'6e63'6873'6573;
inline constexpr const char* kProfile = "bench";

[[nodiscard]] inline authcache::shm::Key key_for(std::string_view token) {
  return authcache::shm::key_of(authcache::shm::token_digest(kProfileId, token));
}

// What a record's text holds. All records hold the same bytes, each its own copy of them.
struct RecordText {
  std::string bytes;                    // shm/text.hpp
  std::uint64_t text_bytes_per_record;  // of the table's geometry: room for it in whole units
  std::vector<std::string> role_grants = {};  // bits, no text
};
[[nodiscard]] RecordText subject_and_scopes();  // a UUID and two scopes, as an access token has them
[[nodiscard]] RecordText claims_of_128_bytes();
inline constexpr std::size_t kPermissionsAsked = 16;
[[nodiscard]] std::vector<std::string> permissions_of_a_role();  // kPermissionsAsked of them

class FilledTable {
 public:
  FilledTable(const std::filesystem::path& directory, const Tokens& tokens, const RecordText& text);

  void start_heart();
  void beat();
  // Ends the record of this token and publishes another in its place, as a revalidation does that found a
  // change.
  void change(std::string_view token);
  [[nodiscard]] authcache::shm::TableWriter& writer() { return *writer_; }

 private:
  void insert(std::string_view token, std::uint64_t now_ns);

  RecordText text_;
  std::unique_ptr<authcache::shm::TableWriter> writer_;
  std::jthread heart_;
};

// One attached client with a requirement of the profile and nothing else.
class Client {
 public:
  explicit Client(const std::filesystem::path& directory);
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  ~Client();

  [[gnu::always_inline]] int lookup(std::string_view token, authcache_identity* identity) const {
    return authcache_lookup(client_, token.data(), token.size(), requirement_, identity);
  }
  // Every record once, so that every page is mapped before a time is taken.
  void touch_all(const Tokens& tokens) const;
  [[nodiscard]] authcache_client* get() const { return client_; }
  [[nodiscard]] const authcache_requirement* requirement() const { return requirement_; }

 private:
  authcache_client* client_ = nullptr;
  authcache_requirement* requirement_ = nullptr;
};

}  // namespace authcache_bench
