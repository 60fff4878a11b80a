// The tables that this process has mapped, one for each generation met since the client was opened.
//
// Invariants
// 1. An Attachment never changes but for its hints, and lives until the client is closed: lookups that run
// when a newer
//    one comes go on reading the old range. It is given up then (zeros, which read as RETIRED), never
//    unmapped.
// 2. current() is the newest; it is published by one store after everything in it is.
// 3. Attaching is under a try-lock that nobody waits for. The lock names its process, so a child that was
// forked while
//    another thread held it takes it over.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <memory>

#include "libclient/fork_guard.hpp"
#include "libclient/last_error.hpp"
#include "libclient/recency.hpp"
#include "shm/result.hpp"
#include "shm/table_file.hpp"

namespace authcache::client {

struct Attachment {
  Attachment(shm::Mapping range, const shm::TableView& table, std::uint64_t number, Attachment* before)
      : mapping(std::move(range)),
        view(table),
        ordinal(number),
        older(before),
        recency(table.geometry.slots) {}

  shm::Mapping mapping;
  const shm::TableView view;
  const std::uint64_t ordinal;  // rising within the client; what compiled terms are tagged with
  Attachment* const older;
  Recency recency;
};

// A lookup tries a new table this often at most: it costs some ten system calls.
inline constexpr std::uint64_t kAttachIntervalNs = 1'000'000'000;

class Attacher {
 public:
  enum class Outcome : std::uint8_t {
    kNew,   // current() changed
    kSame,  // the table in the directory is the one attached
    kBusy,  // another thread is at it
  };

  Attacher(std::filesystem::path dir, uid_t daemon_uid, ForkGuard& guard, LastError& last_error);
  Attacher(const Attacher&) = delete;
  Attacher& operator=(const Attacher&) = delete;
  ~Attacher();

  [[nodiscard]] const Attachment* current() const noexcept {
    return current_.load(std::memory_order_acquire);
  }
  [[nodiscard]] const Attachment* of_generation(std::uint64_t generation) const noexcept;

  // Attaches to the table now in the directory. An error is also the client's last sentence. May throw
  // bad_alloc.
  shm::Result<Outcome> attach();
  // The same, not more often than every kAttachIntervalNs. True if current() changed.
  bool attach_if_due() noexcept;

  // The recency bytes that came over a connection.
  void adopt_recency(const shm::UniqueFd& file, const shm::wire::HelloReply& hello);

  [[nodiscard]] const std::filesystem::path& dir() const { return dir_; }
  [[nodiscard]] uid_t daemon_uid() const { return daemon_uid_; }

 private:
  bool try_lock() noexcept;
  shm::Result<Outcome> attach_locked();

  const std::filesystem::path dir_;
  const uid_t daemon_uid_;
  ForkGuard& guard_;
  LastError& last_error_;
  std::atomic<Attachment*> current_{nullptr};
  std::atomic<std::uint64_t> lock_{0};  // 0, or the owner that holds it
  std::atomic<std::uint64_t> next_try_ns_{0};
};

// What keeps a table that opened from being read: RETIRED, or a heartbeat later than this process's clock.
[[nodiscard]] shm::Result<void> check_serving(const std::filesystem::path& file, const shm::TableView& view);

// The format version of the file, 0 if it can't be read: for telling a layout skew, believed for nothing
// else.
[[nodiscard]] std::uint32_t peek_format(const std::filesystem::path& file) noexcept;

}  // namespace authcache::client
