#include "daemon/control/replacement.hpp"

#include <algorithm>

#include "shm/boot_id.hpp"

namespace authcached {

namespace shm = authcache::shm;

namespace {

// About a microsecond a copied record: 2 000 keep a slice under the 5 ms that other work may be kept waiting.
constexpr std::uint64_t kCopySlice = 2'000;
// A failed attempt reserves a whole file before it learns that there is no room for it: not every second.
constexpr std::int64_t kRetryAfterNs = std::int64_t{60} * 1'000'000'000;

}  // namespace

void Replacement::begin(const Config& config, const Uuid& database, gid_t group, Done done) {
  if (running_ || clock_.monotonic_ns() < not_before_ns_) return;
  const std::uint64_t number = std::max(static_cast<std::uint64_t>(clock_.boot_ns()), tables_.newest().writer.view().generation + 1);
  running_ = true;
  worker_.post([this, config, database, number, group, done = std::move(done)]() mutable {
    loop_.post([this, made = make_generation(config, database, number, group), done = std::move(done)]() mutable {
      if (!made) return give_up(made.error(), done);
      list(std::move(*made), std::move(done));
    });
  });
}

// Listed before anybody can map it: a later daemon must know of every file that may be in use.
void Replacement::list(std::unique_ptr<Generation> successor, Done done) {
  const auto boot = shm::current_boot_id();
  if (!boot) return give_up(boot.error(), done);
  const shm::TableView& view = successor->writer.view();
  const KnownGeneration known{view.generation, static_cast<std::int64_t>(view.heartbeat_timeout_ns), shm::boot_id_text(*boot)};
  auto holder = std::make_shared<std::unique_ptr<Generation>>(std::move(successor));
  state_.put_generation(known, [this, holder, done](shm::Result<void> listed) {
    if (listed) return start(std::move(*holder), done);
    give_up(listed.error(), done);
  });
}

void Replacement::give_up(const shm::Error& error, const Done& done) {
  running_ = false;
  last_error_ = error.message;
  not_before_ns_ = clock_.monotonic_ns() + kRetryAfterNs;
  done(std::unexpected(error));
}

void Replacement::start(std::unique_ptr<Generation> successor, Done done) {
  tables_.begin_replacement(std::move(successor));
  copy_next(std::move(done));
}

void Replacement::copy_next(Done done) {
  const auto now = static_cast<std::uint64_t>(clock_.monotonic_ns());
  tables_.beat(now);
  const shm::TableView& source = tables_.current().writer.view();
  const auto admit = [&](const shm::HotRecord& hot, const shm::ColdRecord& cold, std::string_view text, std::vector<std::string>& role_grants) {
    return admission_.may_copy(source, profiles_, hot, cold, text, role_grants);
  };
  if (!tables_.copy_slice(kCopySlice, now, admit)) {
    return loop_.post([this, done = std::move(done)]() mutable { copy_next(std::move(done)); });
  }
  if (auto named = tables_.name_successor(); !named) {
    state_.remove_generation(tables_.abandon_successor());
    return give_up(named.error(), done);
  }
  const auto wait = std::chrono::nanoseconds(source.heartbeat_timeout_ns);
  loop_.after(wait, [this, done = std::move(done)]() mutable { finish(std::move(done)); });
}

void Replacement::finish(Done done) {
  state_.remove_generation(tables_.retire_predecessor());
  running_ = false;
  last_error_.clear();
  done({});
}

}  // namespace authcached
