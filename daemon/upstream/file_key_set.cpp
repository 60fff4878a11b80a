#include "daemon/upstream/file_key_set.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <cerrno>
#include <new>
#include <utility>

#include "shm/coarse_clock.hpp"
#include "shm/unique_fd.hpp"

namespace authcached {

namespace shm = authcache::shm;

namespace {

// One more byte than a key set may have tells that it is too long without reading it all.
constexpr std::size_t kFileBytesMax = 512 * 1024;

// The time of a file has the grain of a clock tick, some coarse file systems' of two seconds: a set written again within
// it would go unseen.
constexpr std::int64_t kYoungNs = 2 * static_cast<std::int64_t>(shm::kNsPerSecond);

}  // namespace

FileKeySet::FileKeySet(const std::filesystem::path& file, Executor& reader, Executor& loop, const Clock& clock)
    : file_(file), reader_(reader), loop_(loop), clock_(clock), keys_(std::make_shared<const KeySet>()) {}

shm::Result<std::shared_ptr<FileKeySet>> FileKeySet::open(const std::filesystem::path& file, Executor& reader, Executor& loop,
                                                          const Clock& clock) {
  std::shared_ptr<FileKeySet> source(new FileKeySet(file, reader, loop, clock));
  (void)source->take(read(source->file_));
  if (!source->last_error_.empty()) return shm::fail(shm::ErrorCode::kRefused, source->last_error_);
  return source;
}

FileKeySet::FileMark FileKeySet::mark_of(const struct stat& inode) {
  return {inode.st_dev, inode.st_ino, static_cast<std::uint64_t>(inode.st_size),
          inode.st_mtim.tv_sec * static_cast<std::int64_t>(shm::kNsPerSecond) + inode.st_mtim.tv_nsec};
}

shm::Result<std::string> FileKeySet::read_file(const std::string& file, FileMark& mark) {
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

FileKeySet::Reading FileKeySet::read(const std::string& file) {
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

bool FileKeySet::fails(std::string sentence) {
  if (last_error_ == sentence) return false;
  last_error_ = std::move(sentence);
  return true;
}

KeySetChange FileKeySet::take(Reading reading) {
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
  return compare_sets(*before, *keys_);
}

void FileKeySet::poll(Changed changed) {
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

void FileKeySet::seek(const KeySet* seen, uid_t, std::uint64_t, Found found) {
  const Sought sought = seen == keys_.get() ? Sought::kNotThere : Sought::kChanged;
  loop_.post([sought, found = std::move(found)]() mutable { found(sought, INT64_MAX); });
}

std::string FileKeySet::complaint() const {
  return last_error_.empty() ? std::string() : "goes on with its last good key set: " + last_error_;
}

std::string FileKeySet::state_json() const {
  boost::json::object state;
  state["file"] = file_;
  state["keys"] = keys_->keys().size();
  state["skipped"] = keys_->skipped().size();
  state["loaded_wall_ns"] = loaded_wall_ns_;
  state["reads"] = reads_;
  state["error"] = last_error_;
  return boost::json::serialize(state);
}

}  // namespace authcached
