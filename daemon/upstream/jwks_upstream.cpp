#include "daemon/upstream/jwks_upstream.hpp"

#include <fcntl.h>
#include <openssl/crypto.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <cerrno>
#include <exception>
#include <new>
#include <utility>

#include "shm/coarse_clock.hpp"
#include "shm/unique_fd.hpp"

namespace authcached {

namespace shm = authcache::shm;

namespace {

// One more byte than a key set may have tells that it is too long without reading it all.
constexpr std::size_t kFileBytesMax = 512 * 1024;
// At 15 to 90 us a check, this much waiting is a second's work: more would only be answered too late.
constexpr std::size_t kInPoolMax = 16 * 1024;

// The time of a file has the grain of a clock tick, some coarse file systems' of two seconds: a set written again within
// it would go unseen.
constexpr std::int64_t kYoungNs = 2 * static_cast<std::int64_t>(shm::kNsPerSecond);

Proof unavailable(shm::Reason reason) {
  Proof proof;
  proof.reason = reason;
  return proof;
}

void wipe(std::string& token) {
  OPENSSL_cleanse(token.data(), token.size());
  token.clear();
}

}  // namespace

JwksUpstream::JwksUpstream(const ProfileConfig& profile, std::vector<Executor*> pool, Executor& reader, Executor& loop, const Clock& clock)
    : file_(profile.jwks_file), pool_(std::move(pool)), reader_(reader), loop_(loop), clock_(clock) {
  policy_.issuer = profile.issuer;
  policy_.algorithms = profile.algorithms;
  policy_.token_type = profile.token_type;
  policy_.leeway_ns = std::chrono::nanoseconds(profile.leeway).count();
  policy_.max_lifetime_ns = std::chrono::nanoseconds(profile.max_token_lifetime).count();
}

shm::Result<std::shared_ptr<JwksUpstream>> JwksUpstream::open(const ProfileConfig& profile, std::vector<Executor*> pool,
                                                              Executor& reader, Executor& loop, const Clock& clock) {
  std::shared_ptr<JwksUpstream> upstream(new JwksUpstream(profile, std::move(pool), reader, loop, clock));
  upstream->keys_ = std::make_shared<const KeySet>();
  (void)upstream->take(read(upstream->file_));
  if (!upstream->last_error_.empty()) return shm::fail(shm::ErrorCode::kRefused, upstream->last_error_);
  return upstream;
}

JwksUpstream::FileMark JwksUpstream::mark_of(const struct stat& inode) {
  return {inode.st_dev, inode.st_ino, static_cast<std::uint64_t>(inode.st_size),
          inode.st_mtim.tv_sec * static_cast<std::int64_t>(shm::kNsPerSecond) + inode.st_mtim.tv_nsec};
}

shm::Result<std::string> JwksUpstream::read_file(const std::string& file, FileMark& mark) {
  const shm::UniqueFd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd) return shm::system_error("cannot open the key set " + file, errno);
  struct stat inode;
  if (::fstat(fd.get(), &inode) != 0) return shm::system_error("cannot stat the key set " + file, errno);
  mark = mark_of(inode);
  std::string text(kFileBytesMax + 1, '\0');
  std::size_t used = 0;
  for (ssize_t got = 1; got > 0 && used < text.size(); used += static_cast<std::size_t>(got)) {
    got = ::read(fd.get(), text.data() + used, text.size() - used);
    if (got < 0) return shm::system_error("cannot read the key set " + file, errno);
  }
  if (used > kFileBytesMax) return shm::fail(shm::ErrorCode::kRefused, "the key set " + file + " is longer than 512 KiB");
  text.resize(used);
  return text;
}

JwksUpstream::Reading JwksUpstream::read(const std::string& file) {
  FileMark mark;
  try {
    const auto text = read_file(file, mark);
    if (!text) return {mark, std::unexpected(text.error())};
    auto parsed = KeySet::parse(*text);
    if (!parsed) return {mark, shm::fail(parsed.error().code, file + ": " + parsed.error().message)};
    return {mark, std::move(parsed)};
  } catch (const std::bad_alloc&) {
    // An empty mark: it is read again at the next look.
    return {FileMark{}, shm::fail(shm::ErrorCode::kUnavailable, "no memory is left to read the key set")};
  }
}

bool JwksUpstream::fails(std::string sentence) {
  if (last_error_ == sentence) return false;
  last_error_ = std::move(sentence);
  return true;
}

KeySetChange JwksUpstream::take(Reading reading) {
  KeySetChange change;
  mark_ = reading.mark;
  const std::int64_t age_ns = clock_.wall_ns() - mark_.changed_ns;
  young_ = age_ns >= 0 && age_ns < kYoungNs;
  if (!reading.keys) {
    change.failed = fails(reading.keys.error().message);
    return change;
  }
  const auto before = std::exchange(keys_, std::make_shared<const KeySet>(std::move(*reading.keys)));
  loaded_wall_ns_ = clock_.wall_ns();
  ++reads_;
  last_error_.clear();
  for (const VerificationKey& key : before->keys()) {
    if (!has_key(key.thumbprint)) change.removed.push_back(key.thumbprint);
  }
  change.added = std::ranges::any_of(keys_->keys(), [&](const VerificationKey& key) {
    return std::ranges::none_of(before->keys(), [&](const VerificationKey& old) { return old.thumbprint == key.thumbprint; });
  });
  return change;
}

bool JwksUpstream::has_key(const Sha256& thumbprint) const {
  return std::ranges::any_of(keys_->keys(), [&](const VerificationKey& key) { return key.thumbprint == thumbprint; });
}

void JwksUpstream::poll(Changed changed) {
  if (reading_) return;
  struct stat inode;
  if (::stat(file_.c_str(), &inode) != 0) {
    mark_ = {};  // should the same file come back, reading it ends the error
    KeySetChange change;
    change.failed = fails("cannot stat the key set " + file_ + "; the last good one stays in use");
    if (change.failed) changed(change);
    return;
  }
  if (mark_of(inode) == mark_ && !young_) return;
  reading_ = true;
  reader_.post([self = shared_from_this(), changed = std::move(changed)]() mutable {
    Reading reading = read(self->file_);
    Executor& loop = self->loop_;
    loop.post([self = std::move(self), reading = std::move(reading), changed = std::move(changed)]() mutable {
      self->reading_ = false;
      const KeySetChange change = self->take(std::move(reading));
      if (change.added || change.failed || !change.removed.empty()) changed(change);
    });
  });
}

void JwksUpstream::resolve(Query query, Answer answer) {
  ++questions_;
  if (in_pool_ >= kInPoolMax) {
    wipe(query.token);
    return loop_.post([answer = std::move(answer)]() mutable { answer(unavailable(shm::Reason::kOverloaded)); });
  }
  Executor& worker = *pool_[next_++ % pool_.size()];
  worker.post([self = shared_from_this(), keys = keys_, query = std::move(query), answer = std::move(answer)]() mutable {
    Proof proof = self->prove(query, *keys);
    wipe(query.token);
    Executor& loop = self->loop_;
    loop.post([self = std::move(self), proof = std::move(proof), answer = std::move(answer)]() mutable {
      --self->in_pool_;
      answer(std::move(proof));
    });
  });
  ++in_pool_;
}

// On a thread of the pool.
Proof JwksUpstream::prove(const Query& query, const KeySet& keys) const {
  if (static_cast<std::uint64_t>(clock_.monotonic_ns()) > query.deadline_ns) return unavailable(shm::Reason::kTimeout);
  try {
    return verify_jwt(query.token, policy_, keys, clock_.wall_ns());
  } catch (const std::exception&) {  // no memory is left: nothing is known about the token
    return unavailable(shm::Reason::kOverloaded);
  }
}

std::string JwksUpstream::state_json() const {
  boost::json::object state;
  state["file"] = file_;
  state["keys"] = keys_->keys().size();
  state["skipped"] = keys_->skipped().size();
  state["loaded_wall_ns"] = loaded_wall_ns_;
  state["reads"] = reads_;
  state["error"] = last_error_;
  state["questions"] = questions_;
  state["in_flight"] = in_pool_;
  return boost::json::serialize(state);
}

}  // namespace authcached
