// What the cases of this suite begin with: a Redis server and hosts that trust one issuer and share one
// secret. One thread.
#pragma once

#include <gtest/gtest.h>

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <memory>
#include <string>
#include <vector>

#include "tests/process/support/programs.hpp"
#include "tests/process/support/reader_process.hpp"
#include "tests/process/support/scene.hpp"
#include "tests/redis/support/redis_case.hpp"

namespace authcache_test {

class Host {
 public:
  Host(const Issuer& issuer, const RedisServer& server, const std::string& secret,
       const std::string& staleness, const std::string& more) {
    replace_file(scene_.jwks_file(), issuer.key_set());
    replace_file(scene_.daemon.scratch("fleet.key"), secret + "\n");
    std::filesystem::permissions(scene_.daemon.scratch("fleet.key"), std::filesystem::perms::owner_read);
    scene_.settings.more = "\n[fleet]\naddress = \"unix:" + server.socket().string() + "\"\nkey_file = \"" +
                           scene_.daemon.scratch("fleet.key").string() + "\"\nstaleness = \"" + staleness +
                           "\"\n" + more;
    scene_.configure();
  }

  [[nodiscard]] DaemonProcess& daemon() { return scene_.daemon; }
  void start(DaemonProcess::First first = DaemonProcess::First::kYes) {
    scene_.start(first);
    if (!reader_) reader_ = std::make_unique<ReaderProcess>(scene_.daemon.runtime_dir());
  }
  [[nodiscard]] std::string lookup(const std::string& token) { return reader_->lookup(api(token)); }
  [[nodiscard]] std::string validate(const std::string& token) { return reader_->validate(api(token)); }

  [[nodiscard]] boost::json::object fleet() const {
    return scene_.daemon.authctl({"stats", "--json"}).json().at("fleet").as_object();
  }
  [[nodiscard]] std::int64_t count(std::string_view name) const {
    return fleet().at(name).to_number<std::int64_t>();
  }
  [[nodiscard]] bool is_current() const { return fleet().at("state").as_string() == "current"; }
  [[nodiscard]] bool becomes_current() const {
    return eventually([this] { return is_current(); }, std::chrono::seconds(20));
  }
  [[nodiscard]] bool refuses(const std::string& token) {
    return eventually([&] { return validate(token) == "invalid/revoked"; });
  }
  [[nodiscard]] std::string complaints() const {
    return boost::json::serialize(scene_.daemon.authctl({"stats", "--json"}).json().at("complaints"));
  }

 private:
  Scene scene_;
  std::unique_ptr<ReaderProcess> reader_;
};

class FleetCase : public RedisCase {
 protected:
  explicit FleetCase(std::vector<std::string> server_arguments = {}) : server_(std::move(server_arguments)) {}

  static constexpr const char* kSecret = "0123456789abcdef0123456789abcdef";

  [[nodiscard]] std::unique_ptr<Host> host(const std::string& more = {},
                                           const std::string& secret = kSecret) {
    return std::make_unique<Host>(issuer_, server_, secret, staleness_, more);
  }
  // Started, and sure to have heard all.
  [[nodiscard]] std::unique_ptr<Host> joined(const std::string& more = {}) {
    auto made = host(more);
    made->start();
    EXPECT_TRUE(made->becomes_current()) << made->daemon().log();
    return made;
  }
  [[nodiscard]] std::int64_t entries() const {
    return std::stoll(server_({"XLEN", "authcache:fleet:stream"}));
  }

  Issuer issuer_;
  RedisServer server_;
  std::string staleness_ = "5s";
};

}  // namespace authcache_test
