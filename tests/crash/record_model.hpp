// What a record of a token must say, as a function of the token's number and the record's version: whoever
// reads one can tell a mix of two records, or a part of one, from a whole one. The writer makes records by
// it, readers and the successor of a killed writer hold them against it. Stateless; any thread.
//
// Versions are given out once, in order, over the lives of all writers. A deadline is made of the version, so
// expiry comes in that order too, and of how often it was extended.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "shm/profile_directory.hpp"
#include "shm/table_writer.hpp"

namespace crash {

namespace shm = authcache::shm;

inline constexpr std::uint64_t kKeys =
    1'200;  // above the capacity of 1 000: moves and evictions belong to it
inline constexpr std::uint64_t kSeldomIssuers = 3'000;  // of 1 023 indices: they are reused
inline constexpr std::uint64_t kSeldomKeys = 9'000;     // of 4 095
inline constexpr std::uint64_t kOftenUsed = 6;          // issuers, and keys, that most records name
inline constexpr std::uint64_t kGrantNames = 90;        // of 64 bits
inline constexpr std::uint64_t kAudienceNames = 22;     // of 16 bits
inline constexpr std::uint64_t kExtensionsMax = 900;
inline constexpr std::uint64_t kVersionStepNs = 1'024;
// A record lives for about this many versions: far more than there are keys, so most die otherwise.
inline constexpr std::uint64_t kLifeVersions = 6'000;
inline constexpr std::uint64_t kProfileNames = 5;

// Flights of every so many tokens may land after a later one of the same token.
inline constexpr std::uint64_t kLateEvery = 8;
[[nodiscard]] constexpr bool lands_late(std::uint64_t number) { return number % kLateEvery == 0; }

[[nodiscard]] std::uint64_t mix(std::uint64_t a, std::uint64_t b);

[[nodiscard]] shm::Key key_of_token(std::uint64_t number);
[[nodiscard]] std::uint64_t deadline_of(std::uint64_t version, std::uint64_t extension);
[[nodiscard]] std::uint64_t version_of(std::uint64_t deadline);
// The time at which this version is given out.
[[nodiscard]] std::uint64_t time_of(std::uint64_t version);

[[nodiscard]] bool is_negative(std::uint64_t number, std::uint64_t version);
[[nodiscard]] std::uint64_t issuer_number(std::uint64_t number, std::uint64_t version);
[[nodiscard]] std::uint64_t key_number(std::uint64_t number, std::uint64_t version);
[[nodiscard]] shm::PrincipalId issuer_id(std::uint64_t issuer);
[[nodiscard]] shm::PrincipalId signing_key_id(std::uint64_t key);
[[nodiscard]] std::vector<std::string> grants_of(std::uint64_t number, std::uint64_t version);
[[nodiscard]] std::vector<std::string> audience_of(std::uint64_t number, std::uint64_t version);
[[nodiscard]] std::string text_of(std::uint64_t number, std::uint64_t version);

// One record as the writer takes it; views point into this object.
struct ModelRecord {
  ModelRecord(std::uint64_t number, std::uint64_t version, std::uint64_t epoch, std::uint64_t tick_ns);
  ModelRecord(const ModelRecord&) = delete;
  ModelRecord& operator=(const ModelRecord&) = delete;

  std::vector<std::string> grants, audience;
  std::string text;
  shm::RecordSpec spec;
};

// "" if the hot words are what the model says for this number; else what is wrong. The view's dictionary and
// principals are looked at, so the record must be current after the call as well: their indices may be
// reused.
[[nodiscard]] std::string hot_fault(const shm::TableView& view, std::uint64_t number,
                                    const shm::HotRecord& hot);
[[nodiscard]] std::string cold_fault(std::uint64_t number, const shm::HotRecord& hot,
                                     const shm::ColdRecord& cold, std::string_view text);

// The profile directory that has this number.
[[nodiscard]] std::vector<shm::ProfileDescription> profiles_of(std::uint64_t config);
// "" if every profile of the current directory is the model's; also if it changed meanwhile.
[[nodiscard]] std::string directory_fault(const shm::TableView& view);

}  // namespace crash
