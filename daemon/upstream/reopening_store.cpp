#include "daemon/upstream/reopening_store.hpp"

#include <algorithm>
#include <utility>

namespace authcached {

bool ReopeningStore::reopen() {
  const auto now = std::chrono::steady_clock::now();
  if (now < next_attempt_) return false;
  auto opened = SessionStore::open(profile_, default_file_);
  if (opened) {
    store_ = std::move(*opened);
    ++reopenings_;
    last_error_.clear();
    pause_ = kFirstPause;
  } else {
    // The old one may hold a file that is gone: better no answer than its.
    store_.reset();
    last_error_ = std::move(opened.error().message);
  }
  next_attempt_ = now + pause_;
  if (!store_) pause_ = std::min(pause_ * 2, kLongestPause);
  return store_.has_value();
}

SessionStore* ReopeningStore::get() {
  // A broken one is kept until the next attempt: a damaged page concerns few tokens, a moved file is seen by
  // resolve.
  if (!is_open()) (void)reopen();
  return store_ ? &*store_ : nullptr;
}

std::vector<Proof> ReopeningStore::resolve(std::span<const std::string_view> tokens,
                                           std::int64_t wall_now_ns) {
  SessionStore* store = get();
  if (store == nullptr) return std::vector<Proof>(tokens.size());  // kUnavailable, kUpstream
  std::vector<Proof> proofs = store->resolve(tokens, wall_now_ns);
  if (!store->broken()) return proofs;
  if (last_error_.empty()) last_error_ = "the session database failed, or its file was moved or removed";
  if (!reopen()) return proofs;
  return store_->resolve(tokens, wall_now_ns);
}

}  // namespace authcached
