#include "libclient/attachment.hpp"

#include <fcntl.h>
#include <unistd.h>

#include "shm/coarse_clock.hpp"
#include "shm/table_reader.hpp"

namespace authcache::client {
namespace {

using A = shm::StdAtomics;

}  // namespace

Attacher::Attacher(std::filesystem::path dir, uid_t daemon_uid, ForkGuard& guard, LastError& last_error)
    : dir_(std::move(dir)), daemon_uid_(daemon_uid), guard_(guard), last_error_(last_error) {}

Attacher::~Attacher() {
  for (Attachment* table = current_.load(); table != nullptr;) {
    Attachment* const older = table->older;
    delete table;
    table = older;
  }
}

const Attachment* Attacher::of_generation(std::uint64_t generation) const noexcept {
  const Attachment* table = current();
  while (table != nullptr && table->view.generation != generation) table = table->older;
  return table;
}

bool Attacher::try_lock() noexcept {
  const std::uint64_t mine = guard_.owner();
  std::uint64_t holder = lock_.load(std::memory_order_relaxed);
  // A holder of another name is a parent's thread that does not exist here.
  if (holder == mine) return false;
  return lock_.compare_exchange_strong(holder, mine, std::memory_order_acquire, std::memory_order_relaxed);
}

shm::Result<Attacher::Outcome> Attacher::attach() {
  if (!try_lock()) return Outcome::kBusy;
  struct Unlock {
    std::atomic<std::uint64_t>& lock;
    ~Unlock() { lock.store(0, std::memory_order_release); }
  } const unlock{lock_};
  auto outcome = attach_locked();
  if (!outcome) last_error_.set(outcome.error().message);
  return outcome;
}

shm::Result<Attacher::Outcome> Attacher::attach_locked() {
  if (auto checked = shm::check_directory(dir_, daemon_uid_); !checked)
    return std::unexpected(checked.error());
  const std::filesystem::path name = dir_ / shm::kTableName;
  auto file = shm::open_table(name, {.expected_owner = daemon_uid_});
  if (!file) return std::unexpected(file.error());
  Attachment* const before = current_.load(std::memory_order_relaxed);
  if (before != nullptr && before->view.generation == file->view.generation) return Outcome::kSame;
  if (auto serving = check_serving(name, file->view); !serving) return std::unexpected(serving.error());
  const std::uint64_t ordinal = before == nullptr ? 1 : before->ordinal + 1;
  auto next = std::make_unique<Attachment>(std::move(file->mapping), file->view, ordinal, before);
  current_.store(next.release(),
                 std::memory_order_release);  // pairs with current(): the mapping and its checks
  if (before != nullptr) {
    before->mapping.give_up();
    before->recency.give_up();
  }
  return Outcome::kNew;
}

bool Attacher::attach_if_due() noexcept {
  const std::uint64_t now_ns = shm::coarse_now_ns();
  std::uint64_t due_ns = next_try_ns_.load(std::memory_order_relaxed);
  if (now_ns < due_ns) return false;
  // One thread wins the turn; a stale value read here costs nothing but the turn.
  if (!next_try_ns_.compare_exchange_strong(due_ns, now_ns + kAttachIntervalNs, std::memory_order_relaxed))
    return false;
  try {
    const auto outcome = attach();
    return outcome && *outcome == Outcome::kNew;
  } catch (...) {
    last_error_.set("out of memory while attaching to the table");
    return false;
  }
}

void Attacher::adopt_recency(const shm::UniqueFd& file, const shm::wire::HelloReply& hello) {
  Attachment* const table = current_.load(std::memory_order_acquire);
  if (table == nullptr || table->view.generation != hello.generation) return;
  if (auto adopted = table->recency.adopt(file, hello); !adopted) last_error_.set(adopted.error().message);
}

shm::Result<void> check_serving(const std::filesystem::path& file, const shm::TableView& view) {
  if (!shm::still_serving(view)) {
    return shm::fail(
        shm::ErrorCode::kNotFound,
        file.string() + " is retired and has no successor yet; see whether authcached is running");
  }
  const std::uint64_t heartbeat_ns = A::load_acquire(view.header().heartbeat_ns);
  if (shm::liveness(view, heartbeat_ns, shm::coarse_now_ns()) == shm::Reason::kTimeNamespace) {
    return shm::fail(
        shm::ErrorCode::kRefused,
        file.string() + " has a heartbeat later than this process's clock; run both in one time namespace");
  }
  return {};
}

std::uint32_t peek_format(const std::filesystem::path& file) noexcept {
  const int fd = ::open(file.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return 0;
  std::uint64_t words[2] = {};  // magic, version: the first two of every format
  const ssize_t got = ::pread(fd, words, sizeof words, 0);
  ::close(fd);
  const bool ours = got == static_cast<ssize_t>(sizeof words) && words[0] == shm::kMagic;
  return ours ? static_cast<std::uint32_t>(words[1]) : 0;
}

}  // namespace authcache::client
