// The client against the real nginx: HTTP/1.1 and HTTP/2 over TLS, ten thousand requests, a reload and a stop
// under load.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <regex>
#include <thread>

#include "tests/support/http_asker.hpp"
#include "tests/support/temporary_directory.hpp"
#include "tests/support/test_ca.hpp"

extern char** environ;

namespace {

using authcached::testing::HttpAsker;
using authcached::testing::TestCa;
using namespace std::chrono_literals;

constexpr const char* kNginx = "/usr/sbin/nginx";

std::uint16_t free_port() {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  EXPECT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&address), size), 0);
  EXPECT_EQ(::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size), 0);
  ::close(fd);
  return ntohs(address.sin_port);
}

class Nginx {
 public:
  Nginx(const std::filesystem::path& directory, const TestCa& ca)
      : directory_(directory), port_(free_port()) {
    const auto leaf = ca.leaf("nginx", "DNS:localhost,IP:127.0.0.1");
    const std::string where = directory_.string();
    std::ofstream config(directory_ / "nginx.conf");
    config
        << "daemon off; master_process on; worker_processes 1; pid " << where << "/pid; error_log " << where
        << "/error.log;\n"
        << (::geteuid() == 0 ? "user root;\n" : "")
        << "events { worker_connections 512; }\nhttp { access_log off; keepalive_requests 100000;\n"
        << "client_body_temp_path " << where << "/a; proxy_temp_path " << where << "/b; fastcgi_temp_path "
        << where << "/c; uwsgi_temp_path " << where << "/d; scgi_temp_path " << where << "/e;\n"
        << "server { listen 127.0.0.1:" << port_ << " ssl http2; ssl_certificate "
        << leaf.certificate.string() << "; ssl_certificate_key " << leaf.key.string() << ";\n"
        << "location = /active { default_type application/json; return 200 '{\"active\":true}'; }\n"
        << "location = /few { keepalive_requests 10; return 200 'few'; }\n"
        << "location = /moved { return 302 /active; }\nlocation = /teapot { return 418 'short and stout'; }\n"
        << "location /big { root " << where << "; }\n} }\n";
    config.close();
    std::filesystem::create_directory(directory_ / "big");
    std::ofstream(directory_ / "big" / "body") << std::string(3 << 20, 'b');
    start();
  }
  ~Nginx() { stop(); }

  void start() {
    const std::string config = (directory_ / "nginx.conf").string();
    const std::string log = (directory_ / "error.log").string();
    const char* arguments[] = {kNginx, "-c", config.c_str(), "-e", log.c_str(), nullptr};
    ASSERT_EQ(::posix_spawn(&pid_, kNginx, nullptr, nullptr, const_cast<char**>(arguments), environ), 0);
  }
  void stop() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGTERM);
    while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
    pid_ = 0;
  }
  void reload() const { ::kill(pid_, SIGHUP); }
  [[nodiscard]] std::string url(const std::string& path) const {
    return "https://localhost:" + std::to_string(port_) + path;
  }

 private:
  std::filesystem::path directory_;
  std::uint16_t port_;
  pid_t pid_ = 0;
};

class NginxTest : public ::testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(kNginx))
      GTEST_SKIP() << "nginx is not installed; ./dev test installs nginx-light";
    ca_ = std::make_unique<TestCa>(directory_.path());
    nginx_ = std::make_unique<Nginx>(directory_.path(), *ca_);
    asker_ = std::make_unique<HttpAsker>(options());
    HttpAsker::Response first;
    for (int i = 0; i < 500 && !(first = asker_->ask(HttpAsker::get(nginx_->url("/active")))); ++i)
      std::this_thread::sleep_for(10ms);
    ASSERT_TRUE(first) << first.error().message;
    asker_ = std::make_unique<HttpAsker>(options());
  }
  [[nodiscard]] authcached::HttpClientOptions options() const {
    authcached::HttpClientOptions options;
    options.ca_file = ca_->file();
    options.prefer_http2 = GetParam();
    return options;
  }
  // A number of the client's state, by its name.
  double state(const std::string& name) {
    const std::string text = asker_->state();
    std::smatch match;
    EXPECT_TRUE(std::regex_search(text, match, std::regex("\"" + name + "\":([0-9]+)")))
        << name << " in " << text;
    return match.empty() ? -1 : std::stod(match[1]);
  }

  authcached::testing::TemporaryDirectory directory_;
  std::unique_ptr<TestCa> ca_;
  std::unique_ptr<Nginx> nginx_;
  std::unique_ptr<HttpAsker> asker_;
};

TEST_P(NginxTest, TenThousandRequestsUseAFewConnections) {
  constexpr int kRequests = 10'000;
  constexpr int kInFlight = 100;
  std::atomic<int> good = 0, begun = 0;
  std::promise<void> done;
  std::function<void()> ask = [&] {
    if (begun == kRequests) return;
    ++begun;
    asker_->client()->send(HttpAsker::post(nginx_->url("/active"), "token=" + std::to_string(begun), 30s),
                           [&](HttpAsker::Response response) {
                             EXPECT_TRUE(response) << response.error().message;
                             if (response && response->status == 200 && response->body == "{\"active\":true}")
                               ++good;
                             if (good == kRequests || !response) return done.set_value();
                             ask();
                           });
  };
  const auto began = std::chrono::steady_clock::now();
  asker_->on_loop([&] {
    for (int i = 0; i < kInFlight; ++i) ask();
  });
  ASSERT_EQ(done.get_future().wait_for(60s), std::future_status::ready) << good;
  const auto took =
      std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - began);
  asker_->on_loop([] {});
  EXPECT_EQ(good, kRequests);
  EXPECT_EQ(asker_->answers(), 0);
  EXPECT_EQ(state("requests"), kRequests);
  EXPECT_GE(state("reused") / state("exchanges"), 0.99);
  EXPECT_LE(state("handshakes"), GetParam() ? 1 : 8);
  EXPECT_NE(asker_->state().find(GetParam() ? R"("protocol":"h2")" : R"("protocol":"http/1.1")"),
            std::string::npos);
  std::printf("%d requests, %d in flight: %ld ms, reuse %.4f\n", kRequests, kInFlight,
              static_cast<long>(took.count()), state("reused") / state("exchanges"));
}

TEST_P(NginxTest, AnswersComeWithStatusHeadersAndBody) {
  const auto active = asker_->ask(HttpAsker::get(nginx_->url("/active")));
  ASSERT_TRUE(active) << active.error().message;
  EXPECT_EQ(active->header("content-type"), "application/json");
  EXPECT_EQ(active->body, "{\"active\":true}");
  EXPECT_EQ(asker_->ask(HttpAsker::get(nginx_->url("/moved")))->body, "{\"active\":true}");
  EXPECT_EQ(asker_->ask(HttpAsker::get(nginx_->url("/teapot")))->status, 418U);
  auto head = HttpAsker::get(nginx_->url("/active"));
  head.method = "HEAD";
  const auto headers = asker_->ask(std::move(head));
  ASSERT_TRUE(headers) << headers.error().message;
  EXPECT_EQ(headers->header("content-length"), "15");
  EXPECT_EQ(headers->body, "");
}

TEST_P(NginxTest, ABodyIsTakenUpToItsLimit) {
  auto whole = HttpAsker::get(nginx_->url("/big/body"));
  whole.body_max = 3 << 20;
  const auto response = asker_->ask(std::move(whole));
  ASSERT_TRUE(response) << response.error().message;
  EXPECT_EQ(response->body.size(), std::size_t{3} << 20);
  auto less = HttpAsker::get(nginx_->url("/big/body"));
  less.body_max = (3 << 20) - 1;
  const auto refused = asker_->ask(std::move(less));
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("larger than asked for"), std::string::npos)
      << refused.error().message;
  const auto after = asker_->ask(HttpAsker::post(nginx_->url("/active"), std::string(300'000, 'x')));
  EXPECT_TRUE(after) << after.error().message;
}

TEST_P(NginxTest, AConnectionThatTheServerRetiresIsReplacedAndNothingIsLost) {
  std::vector<std::future<HttpAsker::Response>> all;
  for (int i = 0; i < 200; ++i) all.push_back(asker_->begin(HttpAsker::get(nginx_->url("/few"), 20s)));
  for (auto& one : all) {
    const auto response = one.get();
    EXPECT_TRUE(response) << response.error().message;
  }
}

TEST_P(NginxTest, AReloadOfTheServerLosesNothing) {
  for (int round = 0; round < 3; ++round) {
    std::vector<std::future<HttpAsker::Response>> all;
    for (int i = 0; i < 100; ++i) all.push_back(asker_->begin(HttpAsker::get(nginx_->url("/active"), 20s)));
    nginx_->reload();
    for (int i = 0; i < 100; ++i) all.push_back(asker_->begin(HttpAsker::get(nginx_->url("/active"), 20s)));
    for (auto& one : all) {
      const auto response = one.get();
      EXPECT_TRUE(response) << response.error().message;
    }
  }
}

TEST_P(NginxTest, B15_AStoppedServerIsNamedAndFoundAgainWithoutARestart) {
  ASSERT_TRUE(asker_->ask(HttpAsker::get(nginx_->url("/active"))));
  nginx_->stop();
  for (int i = 0; i < 10; ++i) EXPECT_FALSE(asker_->ask(HttpAsker::get(nginx_->url("/active"), 1s)));
  EXPECT_NE(asker_->state().find(R"("state":"open")"), std::string::npos) << asker_->state();
  EXPECT_NE(asker_->state().find("Connection refused"), std::string::npos) << asker_->state();
  nginx_->start();
  HttpAsker::Response healed;
  for (int i = 0; i < 700 && !(healed = asker_->ask(HttpAsker::get(nginx_->url("/active")))); ++i)
    std::this_thread::sleep_for(20ms);
  EXPECT_TRUE(healed) << healed.error().message;
  EXPECT_NE(asker_->state().find(R"("state":"closed")"), std::string::npos) << asker_->state();
}

INSTANTIATE_TEST_SUITE_P(Protocols, NginxTest, ::testing::Values(false, true),
                         [](const auto& with) { return with.param ? "Http2" : "Http1"; });

}  // namespace
