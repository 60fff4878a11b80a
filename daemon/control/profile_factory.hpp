// Turns configured profiles into working ones. A reload keeps the upstream of every profile whose configuration did not
// change, with its key set and its prepared statements. Loop thread only.
#pragma once

#include <memory>
#include <vector>

#include "daemon/base/clock.hpp"
#include "daemon/base/config.hpp"
#include "daemon/cache/profile.hpp"
#include "daemon/io/loop.hpp"
#include "daemon/io/worker.hpp"
#include "daemon/upstream/key_set_source.hpp"
#include "shm/profile_directory.hpp"
#include "shm/result.hpp"

namespace authcached {

class ProfileFactory {
 public:
  ProfileFactory(Loop& loop, const Clock& clock);

  [[nodiscard]] authcache::shm::Result<Profiles> make(const Config& config, const Profiles& before);
  // The threads that check signatures; they live as long as this.
  [[nodiscard]] std::vector<Executor*> verifiers() const;

 private:
  authcache::shm::Result<std::shared_ptr<KeySetSource>> make_key_set(const ProfileConfig& profile);
  authcache::shm::Result<std::shared_ptr<KeySetSource>> make_https_key_set(const ProfileConfig& profile);
  authcache::shm::Result<std::shared_ptr<Upstream>> make_issuer_upstream(const ProfileConfig& profile);
  authcache::shm::Result<std::shared_ptr<Upstream>> make_postgres_upstream(const ProfileConfig& profile);
  authcache::shm::Result<std::shared_ptr<Upstream>> make_upstream(const ProfileConfig& profile, const Config& config);

  Loop& loop_;
  const Clock& clock_;
  std::vector<std::unique_ptr<Worker>> pool_;      // signature checks
  Worker reader_{"keys"};                          // key sets, credentials
  Worker resolver_{"resolve"};                     // names of hosts
  struct SharedKeySet {
    std::string issuer, url;
    std::filesystem::path ca_file;
    std::chrono::seconds max_stale;
    std::weak_ptr<KeySetSource> source;
  };
  std::vector<SharedKeySet> key_sets_;
  // One thread for each session store, as SQLite blocks, and as connecting to PostgreSQL does. The upstream posts to it, so it must outlive that.
  struct SessionThread {
    std::unique_ptr<Worker> worker;
    std::weak_ptr<Upstream> upstream;
  };
  std::vector<SessionThread> databases_;
};

// What clients read of these profiles in the table.
[[nodiscard]] std::vector<authcache::shm::ProfileDescription> describe_profiles(const Profiles& profiles);

}  // namespace authcached
