#include "daemon/cache/warmer.hpp"

#include <algorithm>
#include <exception>
#include <utility>

namespace authcached {

namespace shm = authcache::shm;

void Warmer::start(Ended ended) {
  ended_ = std::move(ended);
  for (const auto& profile : profiles_) {
    if (profile->config.warm == 0 || profile->upstream->session_lister() == nullptr) continue;
    auto run = std::make_shared<Run>();
    run->progress.profile = profile->config.name;
    run->progress.wanted = profile->config.warm;
    run->profile = profile;
    run->began_ns = clock_.boot_ns();
    // What was made earlier is over, or would be refused for its length.
    const auto life =
        std::chrono::nanoseconds(profile->config.max_token_lifetime + profile->config.leeway).count();
    run->query.created_from_wall_ns = wall_.now_ns() - life;
    runs_.push_back(run);
    next(run);
  }
}

bool Warmer::is_full() const {
  const shm::TableWriter& writer = tables_.newest().writer;
  return writer.live() >= writer.view().geometry.capacity;
}

void Warmer::next(const std::shared_ptr<Run>& run) {
  const std::uint64_t left = run->progress.wanted - run->progress.warmed - run->progress.known;
  run->query.at_most = std::min<std::uint64_t>(kSlice, left);
  // The epoch is that of the question, as a flight's is: what is raised until the answer voids what it
  // brings.
  const auto landed = [this, run, epoch = tables_.epoch()](const shm::Result<RecentSessions>& listed) {
    const auto current = profile_named(profiles_, run->profile->config.name);
    if (current == nullptr || current->config != run->profile->config)
      return end(*run, "a reload changed the profile");
    run->profile = current;
    if (!listed) return end(*run, listed.error().message);
    take(*run, *listed, epoch);
    if (run->profile == nullptr) return;
    const Progress& progress = run->progress;
    if (listed->before == 0 || progress.warmed + progress.known >= progress.wanted) return end(*run, {});
    run->query.before = listed->before;
    next(run);
  };
  run->profile->upstream->session_lister()->list_recent(run->query, landed);
}

void Warmer::take(Run& run, const RecentSessions& listed, std::uint64_t epoch) {
  for (const NamedSession& session : listed.sessions) {
    shm::Found found;
    if (tables_.find(shm::key_of(session.digest), found)) {
      ++run.progress.known;
      continue;
    }
    if (is_full()) return end(run, "the table is full");
    const Candidate candidate{
        .profile = run.profile.get(), .digest = &session.digest, .token = &session.token, .epoch = epoch};
    // Nobody asked, so nobody needs to be told of one that is refused.
    if (admission_.denied(candidate, session.proof)) {
      ++run.progress.refused;
      continue;
    }
    try {
      const Admitted admitted = admission_.admit(candidate, session.proof);
      const bool stands = admitted.verdict == shm::Verdict::kValid && admitted.places.count > 0;
      ++(stands ? run.progress.warmed : run.progress.refused);
    } catch (const std::exception&) {
      return end(run, "the daemon has no memory for more");
    }
  }
}

void Warmer::end(Run& run, std::string stopped) {
  Progress& progress = run.progress;
  progress.done = true;
  progress.took_ns = clock_.boot_ns() - run.began_ns;
  progress.stopped = std::move(stopped);
  run.profile.reset();
  ended_(progress);
}

std::vector<Warmer::Progress> Warmer::progress() const {
  std::vector<Progress> all;
  for (const auto& run : runs_) {
    all.push_back(run->progress);
    if (!run->progress.done) all.back().took_ns = clock_.boot_ns() - run->began_ns;
  }
  return all;
}

}  // namespace authcached
