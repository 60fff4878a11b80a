// Clients that go away while their questions are under way, at random moments: before the provider answers,
// while it does, within a frame, over the miss socket and over HTTP. The daemon under test may be built with
// a sanitizer;
// `./dev test` runs this with AddressSanitizer, which sees what is used after its client went.
#include <cstdio>
#include <cstdlib>
#include <random>

#include "tests/process/support/raw_connection.hpp"
#include "tests/provider/support/provider_test.hpp"

namespace authcache_test {
namespace {

using std::chrono::milliseconds;

constexpr int kRounds = 12;
constexpr int kClients = 40;  // at once
constexpr int kQuestionsMax = 20;
constexpr std::size_t kGoodTokens = 8;

// AUTHCACHE_SEED, or one of its own; printed either way.
std::uint32_t seed() {
  const char* given = std::getenv("AUTHCACHE_SEED");
  const auto seed = given != nullptr ? static_cast<std::uint32_t>(std::strtoul(given, nullptr, 10))
                                     : std::random_device{}();
  std::printf("seed %u\n", seed);
  return seed;
}

class Disconnects : public ProviderTest {
 protected:
  [[nodiscard]] std::filesystem::path miss_socket() const {
    return daemon_->runtime_dir() / authcache::shm::wire::kMissSocket;
  }
  [[nodiscard]] std::filesystem::path http_socket() const { return daemon_->runtime_dir() / "http.sock"; }

  [[nodiscard]] int below(int end) { return std::uniform_int_distribution(0, end - 1)(random_); }
  // Good ones, which join each other's flights, and ones that nobody issued.
  [[nodiscard]] std::string some_token() {
    if (below(2) == 0) return good_[static_cast<std::size_t>(below(static_cast<int>(good_.size())))];
    return "nobody-issued-" + std::to_string(random_());
  }
  [[nodiscard]] std::string some_request(std::uint64_t id) {
    const std::string profile = below(4) == 0 ? "jwt" : "opaque";
    return validate_frame(id, profile, some_token());
  }
  [[nodiscard]] std::string some_http() {
    return "GET /auth?profile=opaque HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + some_token() +
           "\r\n\r\n";
  }
  // Some of them leave within their last question.
  void ask(std::vector<RawConnection>& clients) {
    for (int i = 0; i < kClients; ++i) {
      const bool http = below(4) == 0;
      RawConnection& client = clients.emplace_back(http ? http_socket() : miss_socket());
      std::string text;
      const int questions = 1 + below(kQuestionsMax);
      for (int q = 0; q < questions; ++q)
        text += http ? some_http() : some_request(static_cast<std::uint64_t>(q));
      if (below(3) == 0) text.resize(text.size() - static_cast<std::size_t>(1 + below(20)));
      client.send(text);
    }
  }
  void leave(std::vector<RawConnection>& clients, std::size_t stay) {
    while (clients.size() > stay) {
      const auto gone = clients.begin() + below(static_cast<int>(clients.size()));
      if (below(2) == 0) (void)gone->receive(milliseconds(0));
      clients.erase(gone);
    }
  }

  std::minstd_rand random_{seed()};
  std::vector<std::string> good_;
};

// The daemon lets nobody trace it, which the search for leaks would have to.
void search_no_leaks() { ::setenv("ASAN_OPTIONS", "detect_leaks=0", 0); }

TEST_F(Disconnects, ClientsThatGoAwayDuringFetchesHarmNobody) {
  search_no_leaks();
  start({.introspecting = "ttl_max = \"1s\"\nnegative_ttl = \"1s\"\n",
         .more = "[http]\nlisten = \"unix:" + http_socket().string() +
                 "\"\n[limits]\nupstream_timeout = \"1s\"\n"});
  good_ = provider_->issue(kOpaqueApi, kGoodTokens);
  ASSERT_TRUE(becomes_valid("opaque", good_.front()));
  std::vector<RawConnection> clients;
  for (int round = 0; round < kRounds; ++round) {
    const bool stopped = round % 3 != 2;  // every third answers as it goes
    if (stopped) provider_->suspend();
    ask(clients);
    leave(clients, static_cast<std::size_t>(below(kClients)));
    if (stopped) provider_->resume();
    leave(clients, static_cast<std::size_t>(below(kClients / 2)));
  }
  clients.clear();
  EXPECT_TRUE(eventually([&] { return daemon_->stat("daemon", "flights") == 0; }));
  EXPECT_TRUE(eventually([&] { return daemon_->stat("daemon", "connections") <= 2; }))
      << daemon_->authctl({"stats"}).out;
  for (const std::string& token : good_) EXPECT_TRUE(becomes_valid("opaque", token));
  EXPECT_EQ(daemon_->stop(), 0) << daemon_->log();
  const std::string log = daemon_->log();
  for (const char* finding : {"Sanitizer", "runtime error"}) EXPECT_FALSE(log.contains(finding)) << log;
}

}  // namespace
}  // namespace authcache_test
