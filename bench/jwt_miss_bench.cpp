// Misses on RS256 JWTs through the daemon's socket, beside the bare verification of the same ones.
//
// The bare loop checks the signatures in one thread (signed_token.hpp: everything prepared once that OpenSSL
// lets a program prepare). A client process asks the daemon for the same tokens in the same order, 64 in
// flight on one connection; the daemon finds the key, checks the signature on its pool, judges the claims,
// admits a record and answers. Its table is flushed before each pass, so that each token is a miss. All were
// signed before. Passes alternate.
//
// usage: jwt_miss_bench AUTHCACHED RUNTIME_DIR STATE_DIR OUT.json
#include <chrono>
#include <fstream>

#include "bench/ask_all.hpp"
#include "bench/daemon_link.hpp"
#include "bench/die.hpp"
#include "bench/flat_report.hpp"
#include "bench/server_process.hpp"
#include "bench/signed_token.hpp"
#include "bench/tokens.hpp"

namespace {

using namespace authcache_bench;
namespace wire = authcache::shm::wire;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kPasses = 9, kDistinct = 20'000, kInFlight = 64;

void write(const std::filesystem::path& path, const std::string& text) {
  std::ofstream out(path);
  out << text;
  if (!out.flush()) die("cannot write " + path.string());
}

template <class Fn>
double per_second(Fn pass) {
  const auto begun = Clock::now();
  pass();
  return static_cast<double>(kDistinct) / std::chrono::duration<double>(Clock::now() - begun).count();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) die("usage: jwt_miss_bench AUTHCACHED RUNTIME_DIR STATE_DIR OUT.json");
  const std::filesystem::path runtime = argv[2], state = std::filesystem::absolute(argv[3]);
  std::filesystem::create_directories(state);
  std::filesystem::permissions(state, std::filesystem::perms::owner_all);
  const SignedTokens signed_tokens(Signature::kRs256, kJwtBytes, kDistinct);
  const std::filesystem::path keys = state / "keys.json", config = state / "authcached.toml";
  write(keys, signed_tokens.rsa_key_set());
  write(config, "runtime_dir = \"" + runtime.string() + "\"\nstate_dir = \"" + state.string() +
                    "\"\ngroup = \"\"\nadmin_group = \"\"\nlog_level = \"error\"\n[table]\ncapacity = "
                    "1000000\n[limits]\n"
                    "misses_per_second_per_uid = 10000000\nmiss_burst_per_uid = "
                    "10000000\n[profile.jwt]\nupstream = \"jwks\"\n"
                    "issuer = \"https://issuer.example\"\naudience = [\"api\"]\nalgorithms = "
                    "[\"RS256\"]\njwks_file = \"" +
                    keys.string() + "\"\n");
  const ServerProcess daemon({argv[1], "--config", config.string(), "--first-start"},
                             runtime / wire::kControlSocket);

  const auto ask = [&] { ask_all(runtime / wire::kMissSocket, "jwt", signed_tokens.tokens(), kInFlight); };
  const auto verify = [&] {
    for (const std::string& token : signed_tokens.tokens()) {
      if (!signed_tokens.verify(token)) die("a signature was refused");
    }
  };
  ask();
  verify();
  FlatReport report;
  DaemonLink control(runtime / wire::kControlSocket);
  for (std::size_t pass = 0; pass < kPasses; ++pass) {
    control.control(R"({"verb":"flush"})");
    const double ours = per_second(ask);
    const double bare = per_second(verify);
    report.add("jwt_miss_per_s", ours);
    report.add("rs256_verify_per_s", bare);
    report.add("jwt_miss_over_verify", ours / bare);
  }
  report.write(argv[4]);
  return 0;
}
