// JWTs of 800 bytes in a table of RECORDS such tokens: our hit on them beside OpenSSL's verification of the
// very same ones, and beside their SHA-256 where a thread sees the same few again.
//
// First sight: each pass takes all tokens once, far more than a thread's memo holds. Repeated: the same 1 000
// tokens in order, again and again. The signed tokens are strewn over the table; the others differ from a JWT
// only in that nobody signed them, which a lookup can't tell. All loops are dependent (bench/dependence.hpp).
//
// usage: jwt_bench DIRECTORY RECORDS [google benchmark flags]
#include <benchmark/benchmark.h>
#include <openssl/crypto.h>

#include <memory>
#include <string>

#include "bench/dependence.hpp"
#include "bench/die.hpp"
#include "bench/pages.hpp"
#include "bench/signed_token.hpp"
#include "bench/table_fixture.hpp"

namespace {

using namespace authcache_bench;

constexpr std::size_t kSigned =
    500;  // of each kind: their bytes stay in the second-level cache while they are verified
constexpr std::size_t kRepeated = 1'000;

class JwtBench {
 public:
  JwtBench(const std::filesystem::path& directory, std::size_t records)
      : tokens_(with_signed(Tokens(records, kJwtBytes, kPresentSeed))),
        table_(directory, tokens_, subject_and_scopes()),
        client_(directory) {
    table_.start_heart();
    client_.touch_all(tokens_);
  }

  void hit(benchmark::State& state, std::size_t working_set) {
    std::size_t at = 0;
    authcache_identity identity = AUTHCACHE_IDENTITY_INIT;
    for (auto _ : state) {
      if (client_.lookup(tokens_[at], &identity) != AUTHCACHE_VALID)
        return state.SkipWithError("a lookup was not valid");
      at = following(at, working_set, identity.deadline_ns);
    }
  }
  void hit_first(benchmark::State& state) { hit(state, tokens_.size()); }
  void hit_repeat(benchmark::State& state) { hit(state, kRepeated); }

  void hash_repeat(benchmark::State& state) {
    std::size_t at = 0;
    for (auto _ : state) at = following(at, kRepeated, key_for(tokens_[at])[0]);
  }

  void verify(benchmark::State& state, const SignedTokens& tokens) {
    std::size_t at = 0;
    for (auto _ : state) {
      if (!tokens.verify(tokens.tokens()[at])) return state.SkipWithError("a signature was refused");
      at = following(at, tokens.tokens().size(), 0);
    }
  }
  void rs256(benchmark::State& state) { verify(state, rs256_); }
  void es256(benchmark::State& state) { verify(state, es256_); }
  void eddsa(benchmark::State& state) { verify(state, eddsa_); }

 private:
  Tokens with_signed(Tokens tokens) const {
    std::size_t i = 0;
    for (const SignedTokens* kind : {&rs256_, &es256_, &eddsa_}) {
      const std::size_t step = tokens.size() / (3 * kSigned);
      for (const std::string& token : kind->tokens()) tokens.replace(i++ * step, token);
    }
    return tokens;
  }

  SignedTokens rs256_{Signature::kRs256, kJwtBytes, kSigned};
  SignedTokens es256_{Signature::kEs256, kJwtBytes, kSigned};
  SignedTokens eddsa_{Signature::kEdDsa, kJwtBytes, kSigned};
  Tokens tokens_;
  FilledTable table_;
  Client client_;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) die("usage: jwt_bench DIRECTORY RECORDS [flags]");
  const auto bench = std::make_unique<JwtBench>(argv[1], std::stoull(argv[2]));
  argv[2] = argv[0];
  int rest = argc - 2;
  benchmark::Initialize(&rest, argv + 2);
  benchmark::AddCustomContext("huge_page_kib", std::to_string(huge_kib_mapped()));
  benchmark::AddCustomContext("peer_openssl", OpenSSL_version(OPENSSL_VERSION));
  const auto add = [&](const char* name, void (JwtBench::*run)(benchmark::State&)) {
    benchmark::RegisterBenchmark(name,
                                 [&bench, run](benchmark::State& state) { (bench.get()->*run)(state); });
  };
  add("hit_first", &JwtBench::hit_first);
  add("hit_repeat", &JwtBench::hit_repeat);
  add("hash_repeat", &JwtBench::hash_repeat);
  add("rs256", &JwtBench::rs256);
  add("es256", &JwtBench::es256);
  add("eddsa", &JwtBench::eddsa);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
