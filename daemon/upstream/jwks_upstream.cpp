#include "daemon/upstream/jwks_upstream.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <cerrno>

#include "shm/coarse_clock.hpp"
#include "shm/unique_fd.hpp"

namespace authcached {

namespace shm = authcache::shm;

namespace {

// One more byte than a key set may have tells that it is too long without reading it all.
constexpr std::size_t kFileBytesMax = 512 * 1024;
// At 15 to 90 us a check, this much waiting is a second's work: more would only be answered too late.
constexpr std::size_t kInPoolMax = 16 * 1024;

Proof unavailable(shm::Reason reason) {
  Proof proof;
  proof.reason = reason;
  return proof;
}

}  // namespace

JwksUpstream::JwksUpstream(const ProfileConfig& profile, std::vector<Executor*> pool, Executor& loop, const Clock& clock)
    : file_(profile.jwks_file), pool_(std::move(pool)), loop_(loop), clock_(clock) {
  policy_.issuer = profile.issuer;
  policy_.algorithms = profile.algorithms;
  policy_.token_type = profile.token_type;
  policy_.leeway_ns = std::chrono::nanoseconds(profile.leeway).count();
  policy_.max_lifetime_ns = std::chrono::nanoseconds(profile.max_token_lifetime).count();
}

shm::Result<std::shared_ptr<JwksUpstream>> JwksUpstream::open(const ProfileConfig& profile, std::vector<Executor*> pool,
                                                              Executor& loop, const Clock& clock) {
  std::shared_ptr<JwksUpstream> upstream(new JwksUpstream(profile, std::move(pool), loop, clock));
  if (auto loaded = upstream->load(); !loaded) return std::unexpected(loaded.error());
  return upstream;
}

shm::Result<std::string> JwksUpstream::read_file(FileMark& mark) const {
  const shm::UniqueFd fd(::open(file_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd) return shm::system_error("cannot open the key set " + file_, errno);
  struct stat inode;
  if (::fstat(fd.get(), &inode) != 0) return shm::system_error("cannot stat the key set " + file_, errno);
  mark = {inode.st_dev, inode.st_ino, static_cast<std::uint64_t>(inode.st_size),
          inode.st_mtim.tv_sec * static_cast<std::int64_t>(shm::kNsPerSecond) + inode.st_mtim.tv_nsec};
  std::string text(kFileBytesMax + 1, '\0');
  std::size_t used = 0;
  for (ssize_t got = 1; got > 0 && used < text.size(); used += static_cast<std::size_t>(got)) {
    got = ::read(fd.get(), text.data() + used, text.size() - used);
    if (got < 0) return shm::system_error("cannot read the key set " + file_, errno);
  }
  if (used > kFileBytesMax) return shm::fail(shm::ErrorCode::kRefused, "the key set " + file_ + " is longer than 512 KiB");
  text.resize(used);
  return text;
}

shm::Result<void> JwksUpstream::load() {
  FileMark mark;
  auto text = read_file(mark);
  if (!text) return std::unexpected(text.error());
  mark_ = mark;  // also of a file that does not parse: it is read again when it changes
  auto parsed = KeySet::parse(*text);
  if (!parsed) return shm::fail(parsed.error().code, file_ + ": " + parsed.error().message);
  keys_ = std::make_shared<const KeySet>(std::move(*parsed));
  loaded_wall_ns_ = clock_.wall_ns();
  ++reads_;
  return {};
}

bool JwksUpstream::has_key(const Sha256& thumbprint) const {
  return std::ranges::any_of(keys_->keys(), [&](const VerificationKey& key) { return key.thumbprint == thumbprint; });
}

KeySetChange JwksUpstream::poll() {
  struct stat inode;
  KeySetChange change;
  if (::stat(file_.c_str(), &inode) != 0) {
    last_error_ = "cannot stat the key set " + file_ + "; the last good one stays in use";
    return change;
  }
  const FileMark mark{inode.st_dev, inode.st_ino, static_cast<std::uint64_t>(inode.st_size),
                      inode.st_mtim.tv_sec * static_cast<std::int64_t>(shm::kNsPerSecond) + inode.st_mtim.tv_nsec};
  if (mark == mark_) return change;
  const auto before = keys_;
  if (auto loaded = load(); !loaded) {
    last_error_ = loaded.error().message;
    return change;
  }
  last_error_.clear();
  for (const VerificationKey& key : before->keys()) {
    if (!has_key(key.thumbprint)) change.removed.push_back(key.thumbprint);
  }
  change.added = std::ranges::any_of(keys_->keys(), [&](const VerificationKey& key) {
    return std::ranges::none_of(before->keys(), [&](const VerificationKey& old) { return old.thumbprint == key.thumbprint; });
  });
  return change;
}

void JwksUpstream::resolve(Query query, Answer answer) {
  ++questions_;
  if (in_pool_ >= kInPoolMax) {
    return loop_.post([answer = std::move(answer)]() mutable { answer(unavailable(shm::Reason::kOverloaded)); });
  }
  ++in_pool_;
  Executor& worker = *pool_[next_++ % pool_.size()];
  worker.post([self = shared_from_this(), keys = keys_, query = std::move(query), answer = std::move(answer)]() mutable {
    Proof proof = static_cast<std::uint64_t>(self->clock_.monotonic_ns()) > query.deadline_ns
                      ? unavailable(shm::Reason::kTimeout)
                      : verify_jwt(query.token, self->policy_, *keys, self->clock_.wall_ns());
    Executor& loop = self->loop_;
    loop.post([self = std::move(self), proof = std::move(proof), answer = std::move(answer)]() mutable {
      --self->in_pool_;
      answer(std::move(proof));
    });
  });
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
