#include "daemon/io/http/name_resolver.hpp"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <unordered_map>
#include <utility>

namespace authcached {

using authcache::shm::ErrorCode;
using authcache::shm::Result;

namespace {

std::optional<HostAddress> literal_address(const std::string& host) {
  HostAddress address;
  if (::inet_pton(AF_INET, host.c_str(), address.bytes.data()) == 1) return address;
  address.v6 = true;
  if (::inet_pton(AF_INET6, host.c_str(), address.bytes.data()) == 1) return address;
  return std::nullopt;
}

std::optional<HostAddress> address_of(const addrinfo& found) {
  HostAddress address;
  if (found.ai_family == AF_INET) {
    sockaddr_in in{};
    std::memcpy(&in, found.ai_addr, sizeof in);
    std::memcpy(address.bytes.data(), &in.sin_addr, sizeof in.sin_addr);
    return address;
  }
  if (found.ai_family != AF_INET6) return std::nullopt;
  sockaddr_in6 in{};
  std::memcpy(&in, found.ai_addr, sizeof in);
  std::memcpy(address.bytes.data(), &in.sin6_addr, sizeof in.sin6_addr);
  address.v6 = true;
  address.scope = in.sin6_scope_id;
  return address;
}

}  // namespace

struct NameResolver::Impl : std::enable_shared_from_this<Impl> {
  struct Name {
    Addresses addresses;
    std::int64_t found_ns = 0;
    std::vector<Found> waiting;  // not empty: a look-up is under way
  };

  Impl(Loop& on, Executor& by, const Clock& now, LookUp with)
      : loop(on), worker(by), clock(now), look_up(std::move(with)) {}

  void resolve(const std::string& host, Found found) {
    if (const auto literal = literal_address(host)) return found(Addresses{*literal});
    if (!names.contains(host)) make_room();
    Name& name = names[host];
    if (!name.addresses.empty() && clock.boot_ns() - name.found_ns < kKept_ns) {
      const Result<Addresses> known = name.addresses;
      return found(known);
    }
    name.waiting.push_back(std::move(found));
    if (name.waiting.size() > 1) return;
    worker.post([weak = weak_from_this(), &on = loop, host, with = look_up] {
      on.post([weak, host, result = with(host)]() mutable {
        if (const auto self = weak.lock()) self->found(host, std::move(result));
      });
    });
  }

  void found(const std::string& host, Result<Addresses> result) {
    Name& name = names[host];
    const std::int64_t now = clock.boot_ns();
    if (result) {
      name.addresses = *result;
      name.found_ns = now;
    } else if (!name.addresses.empty() && now - name.found_ns < kKeptInOutage_ns) {
      result = name.addresses;
    }
    // Whoever is told may ask again, for this name or another.
    for (Found& waiting : std::exchange(name.waiting, {})) waiting(result);
  }

  // A client talks to a few hosts; only a server that redirects from name to name gets here.
  void make_room() {
    if (names.size() < kNamesMax) return;
    std::erase_if(names, [](const auto& entry) { return entry.second.waiting.empty(); });
  }

  Loop& loop;
  Executor& worker;
  const Clock& clock;
  LookUp look_up;
  std::unordered_map<std::string, Name> names;
};

NameResolver::NameResolver(Loop& loop, Executor& worker, const Clock& clock, LookUp look_up)
    : impl_(std::make_shared<Impl>(loop, worker, clock, std::move(look_up))) {}
NameResolver::~NameResolver() = default;

void NameResolver::resolve(const std::string& host, Found found) { impl_->resolve(host, std::move(found)); }

void NameResolver::prefer(const std::string& host, const HostAddress& address) {
  const auto name = impl_->names.find(host);
  if (name == impl_->names.end()) return;
  Addresses& known = name->second.addresses;
  const auto at = std::ranges::find(known, address);
  if (at != known.end()) std::rotate(known.begin(), at, at + 1);
}

Result<NameResolver::Addresses> NameResolver::look_up_host(const std::string& host) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_ADDRCONFIG;
  addrinfo* list = nullptr;
  const int failed = ::getaddrinfo(host.c_str(), nullptr, &hints, &list);
  if (failed != 0) {
    return authcache::shm::fail(ErrorCode::kUnavailable,
                                std::string("its name cannot be resolved (") + ::gai_strerror(failed) + ")");
  }
  Addresses addresses;
  for (const addrinfo* at = list; at != nullptr && addresses.size() < kAddressesMax; at = at->ai_next) {
    if (const auto address = address_of(*at);
        address && std::ranges::find(addresses, *address) == addresses.end())
      addresses.push_back(*address);
  }
  ::freeaddrinfo(list);
  if (addresses.empty()) return authcache::shm::fail(ErrorCode::kUnavailable, "its name has no address");
  return addresses;
}

}  // namespace authcached
