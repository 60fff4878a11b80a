// What the request handlers work with: references to the parts that the daemon owns. Loop thread only.
#pragma once

#include <boost/json/object.hpp>
#include <functional>
#include <string>

#include "daemon/base/config.hpp"
#include "daemon/cache/admission.hpp"
#include "daemon/cache/fleet.hpp"
#include "daemon/cache/oversize_texts.hpp"
#include "daemon/cache/proof_desk.hpp"
#include "daemon/cache/refresher.hpp"
#include "daemon/cache/resolver.hpp"
#include "daemon/cache/revoker.hpp"
#include "daemon/cache/rule_set.hpp"
#include "daemon/cache/tables.hpp"
#include "daemon/cache/use_writer.hpp"
#include "daemon/cache/warmer.hpp"
#include "daemon/cache/watch_list.hpp"
#include "daemon/control/change_watch.hpp"
#include "daemon/control/replacement.hpp"
#include "daemon/io/loop.hpp"

namespace authcached {

struct ReloadReport {
  std::vector<std::string> changed;
  std::vector<std::string> restart_needed;
};

struct Services {
  Loop& loop;
  const Clock& clock;
  Tables& tables;
  OversizeTexts& texts;
  RuleSet& rules;
  Admission& admission;
  Resolver& resolver;
  Refresher& refresher;
  Revoker& revoker;
  WatchList& watches;
  ProofDesk& proofs;
  ChangeWatch& changes;
  UseWriter& uses;
  Warmer& warmer;
  const Config& config;
  const Profiles& profiles;
  std::string config_file;
  std::int64_t started_boot_ns;
  std::vector<std::string> since_start;         // complaints about what was met at the start
  const Replacement* replacement = nullptr;
  const Fleet* fleet = nullptr;  // null: this host shares nothing
  std::function<boost::json::object()> http_stats = {};  // empty: the HTTP face is off
  std::function<boost::json::object()> memory_stats;
  std::function<std::size_t()> connections;
  // Keeps the old configuration on error. done runs once the records of profiles no longer current are dead.
  std::function<void(std::move_only_function<void(authcache::shm::Result<ReloadReport>)>)> reload;
};

}  // namespace authcached
