// Introspections through misses, beside h2load on the same nginx.
//
// Both ask the same URL the same question the same number of times, with 100 in flight on one HTTP/2
// connection over TLS: a POST with the same headers and a form of the same length. h2load sends it and counts
// the answers. The daemon also receives each token from a client process, makes the question, reads the JSON,
// judges it, admits a record and answers. Tokens are distinct over all rounds, so each one is a miss. Rounds
// alternate.
//
// usage: introspection_bench AUTHCACHED RUNTIME_DIR STATE_DIR OUT.json
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <memory>
#include <regex>

#include "bench/ask_all.hpp"
#include "bench/daemon_link.hpp"
#include "bench/die.hpp"
#include "bench/flat_report.hpp"
#include "bench/static_issuer.hpp"
#include "bench/tokens.hpp"
#include "daemon/token/base64url.hpp"

namespace {

using namespace authcache_bench;
namespace json = boost::json;
namespace wire = authcache::shm::wire;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kRounds = 7, kEachRound = 50'000, kInFlight = 100;
constexpr const char* kClient = "authcached";
constexpr const char* kSecret = "0123456789abcdef0123456789abcdef";

void write(const std::filesystem::path& path, const std::string& text) {
  std::ofstream out(path);
  out << text;
  if (!out.flush()) die("cannot write " + path.string());
}

class IntrospectingDaemon {
 public:
  IntrospectingDaemon(std::string program, std::filesystem::path runtime, const std::filesystem::path& state,
                      const StaticIssuer& issuer)
      : runtime_(std::move(runtime)) {
    const std::filesystem::path secret = state / "secret", config = state / "authcached.toml";
    write(secret, kSecret);
    std::filesystem::permissions(secret, std::filesystem::perms::owner_read);
    write(config, "runtime_dir = \"" + runtime_.string() + "\"\nstate_dir = \"" + state.string() +
                      "\"\ngroup = \"\"\nadmin_group = \"\"\nlog_level = \"error\"\n[table]\ncapacity = "
                      "1000000\n[limits]\n"
                      "misses_per_second_per_uid = 10000000\nmiss_burst_per_uid = "
                      "10000000\n[profile.opaque]\nupstream = \"introspection\"\n"
                      "introspection_url = \"" +
                      issuer.url() + "\"\nca_file = \"" + issuer.ca_file().string() +
                      "\"\naudience = [\"api\"]\nclient_id = \"" + kClient + "\"\nclient_secret_file = \"" +
                      secret.string() + "\"\n");
    process_ = std::make_unique<ServerProcess>(
        std::vector<std::string>{std::move(program), "--config", config.string(), "--first-start"},
        runtime_ / wire::kControlSocket);
  }

  void ask(std::span<const std::string> tokens) const {
    ask_all(runtime_ / wire::kMissSocket, "opaque", tokens, kInFlight);
  }

  // The state of its HTTP client, as `authctl upstreams` shows it.
  [[nodiscard]] json::value http() const {
    const std::string reply = DaemonLink(runtime_ / wire::kControlSocket).control(R"({"verb":"upstreams"})");
    const json::value whole = json::parse(reply);
    for (const json::value& one : whole.at("upstreams").as_array()) {
      if (one.at("profile") == "opaque") return one.at("state").at("http");
    }
    die("the daemon tells nothing of its HTTP client");
  }

 private:
  std::filesystem::path runtime_;
  std::unique_ptr<ServerProcess> process_;
};

// Requests a second by h2load's own account; ends the program unless every answer was a 200.
double h2load(const std::string& url, const std::filesystem::path& form) {
  const std::string basic =
      authcached::base64url_encode(std::string(kClient) + ":" + kSecret);  // only its length matters
  const std::string command =
      "h2load -c1 -m" + std::to_string(kInFlight) + " -n" + std::to_string(kEachRound) + " -d '" +
      form.string() +
      "' -H 'content-type: application/x-www-form-urlencoded' -H 'accept: application/json'"
      " -H 'accept-encoding: identity' -H 'authorization: Basic " +
      basic + "' '" + url + "' 2>&1";
  const std::unique_ptr<std::FILE, decltype([](std::FILE* pipe) { ::pclose(pipe); })> pipe(
      ::popen(command.c_str(), "r"));
  if (!pipe) die("h2load does not start");
  std::string said;
  char piece[4096];
  for (std::size_t got; (got = std::fread(piece, 1, sizeof piece, pipe.get())) > 0;) said.append(piece, got);
  std::smatch rate, good;
  if (!std::regex_search(said, rate, std::regex("finished in [^,]*, ([0-9.]+) req/s")) ||
      !std::regex_search(said, good, std::regex("status codes: ([0-9]+) 2xx")) ||
      good[1] != std::to_string(kEachRound) || said.find("Application protocol: h2") == std::string::npos) {
    die("h2load was not answered as it should be:\n" + said);
  }
  return std::stod(rate[1]);
}

std::vector<std::string> distinct_tokens(std::size_t count) {
  const Tokens made(count, kOpaqueTokenBytes, kPresentSeed);
  std::vector<std::string> tokens;
  tokens.reserve(count);
  for (std::size_t i = 0; i < count; ++i) tokens.emplace_back(made[i]);
  return tokens;
}

std::uint64_t count_of(const json::value& http, const char* name) {
  return http.at(name).to_number<std::uint64_t>();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) die("usage: introspection_bench AUTHCACHED RUNTIME_DIR STATE_DIR OUT.json");
  const std::filesystem::path state = std::filesystem::absolute(argv[3]);
  std::filesystem::create_directories(state);
  std::filesystem::permissions(state, std::filesystem::perms::owner_all);
  const StaticIssuer issuer(state / "nginx");
  const std::filesystem::path form = state / "form";
  const IntrospectingDaemon daemon(argv[1], argv[2], state, issuer);
  const std::vector<std::string> tokens = distinct_tokens((kRounds + 1) * kEachRound);
  write(form, "token=" + tokens[0] + "&token_type_hint=access_token");

  const std::span<const std::string> all(tokens);
  daemon.ask(all.last(kEachRound));  // both sides run in once
  h2load(issuer.url(), form);
  FlatReport report;
  for (std::size_t round = 0; round < kRounds; ++round) {
    const auto begun = Clock::now();
    daemon.ask(all.subspan(round * kEachRound, kEachRound));
    const double ours =
        static_cast<double>(kEachRound) / std::chrono::duration<double>(Clock::now() - begun).count();
    const double peer = h2load(issuer.url(), form);
    report.add("introspect_per_s", ours);
    report.add("h2load_per_s", peer);
    report.add("h2_introspect_over_h2load", ours / peer);
  }
  const json::value http = daemon.http();
  const std::uint64_t requests = count_of(http, "exchanges"), reused = count_of(http, "reused");
  if (requests < (kRounds + 1) * kEachRound || http.at("protocol") != "h2")
    die("not every token was asked for over HTTP/2");
  report.add("http_connection_reuse", static_cast<double>(reused) / static_cast<double>(requests));
  report.add("http_requests", static_cast<double>(requests));
  report.add("http_handshakes", static_cast<double>(count_of(http, "handshakes")));
  report.write(argv[4]);
  return 0;
}
