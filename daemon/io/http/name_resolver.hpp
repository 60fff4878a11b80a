// Addresses of a host name, without the loop ever waiting for them: the C library's resolver runs on a
// worker, and what it found is kept for a moment. Several who ask for one name share one look-up.
//
// Loop thread only; gone before the loop. The worker's queue is emptied before the loop goes, too.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "daemon/base/clock.hpp"
#include "daemon/io/executor.hpp"
#include "daemon/io/http/host_address.hpp"
#include "daemon/io/loop.hpp"
#include "shm/result.hpp"

namespace authcached {

class NameResolver {
 public:
  // Shorter than the time to live of names that move in a failover, long enough that a burst of connections
  // asks once.
  static constexpr std::int64_t kKept_ns = 30'000'000'000;
  // While the name service itself is out, the last known addresses are better than none: TLS names who is
  // there.
  static constexpr std::int64_t kKeptInOutage_ns = 3'600'000'000'000;
  // Several in turn are tried for a connection; more would only take its time.
  static constexpr std::size_t kAddressesMax = 8;
  static constexpr std::size_t kNamesMax = 64;

  using Addresses = std::vector<HostAddress>;
  using Found = std::move_only_function<void(const authcache::shm::Result<Addresses>&)>;
  using LookUp = std::function<authcache::shm::Result<Addresses>(const std::string& host)>;

  NameResolver(Loop& loop, Executor& worker, const Clock& clock, LookUp look_up = look_up_host);
  ~NameResolver();  // what is asked for is not answered any more

  // A name that is known, or an address, is answered at once; else in a later turn of the loop.
  void resolve(const std::string& host, Found found);
  // This address served: it is tried first from now on.
  void prefer(const std::string& host, const HostAddress& address);

  // Blocks. In the order of RFC 6724.
  static authcache::shm::Result<Addresses> look_up_host(const std::string& host);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace authcached
