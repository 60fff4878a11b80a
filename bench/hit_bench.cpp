// A hit, a hit with text, a miss, a batch and a pin beside their floors, in one process and one interleaved
// run.
//
// All loops are dependent (bench/dependence.hpp) and walk the same tokens in the same order; where their
// records lie is random, because the digest says so. A miss and the floor that it is compared with wait for
// their loads instead.
//
// usage: hit_bench DIRECTORY RECORDS [google benchmark flags]. DIRECTORY lies on tmpfs; its pages are the
// table's.
#include <benchmark/benchmark.h>

#include <array>
#include <memory>
#include <string>

#include "bench/dependence.hpp"
#include "bench/die.hpp"
#include "bench/floor.hpp"
#include "bench/pages.hpp"
#include "bench/table_fixture.hpp"

namespace {

using namespace authcache_bench;
using authcache::shm::coarse_now_ns;

class HitBench {
 public:
  HitBench(const std::filesystem::path& directory, std::size_t records)
      : tokens_(records, kOpaqueTokenBytes, kPresentSeed),
        absent_(records, kOpaqueTokenBytes, kAbsentSeed),
        table_(directory, tokens_, with_role(subject_and_scopes())),
        floor_(directory, table_.writer().view().geometry.slots),
        client_(directory) {
    if (authcache_requirement_create(client_.get(), kProfile, &asking_) != AUTHCACHE_OK) die("the client makes no requirement");
    for (const std::string& permission : permissions_of_a_role()) {
      if (authcache_requirement_add_permission(asking_, permission.c_str()) != AUTHCACHE_OK) die("a permission cannot be asked for");
    }
    table_.start_heart();
    client_.touch_all(tokens_);
  }

  void hash(benchmark::State& state) {
    std::size_t at = 0;
    for (auto _ : state) at = following(at, tokens_.size(), key_for(tokens_[at])[0]);
  }

  void floor(benchmark::State& state) {
    std::size_t at = 0;
    for (auto _ : state) {
      const std::uint64_t loaded = floor_.load(tokens_[at]);
      benchmark::DoNotOptimize(coarse_now_ns());
      at = following(at, tokens_.size(), loaded);
    }
  }

  void hit(benchmark::State& state) {
    std::size_t at = 0;
    authcache_identity identity = AUTHCACHE_IDENTITY_INIT;
    for (auto _ : state) {
      if (client_.lookup(tokens_[at], &identity) != AUTHCACHE_VALID)
        return state.SkipWithError("a lookup was not valid");
      at = following(at, tokens_.size(), identity.deadline_ns);
    }
  }

  void hit_permissions(benchmark::State& state) {
    std::size_t at = 0;
    authcache_identity identity = AUTHCACHE_IDENTITY_INIT;
    for (auto _ : state) {
      const std::string_view token = tokens_[at];
      if (authcache_lookup(client_.get(), token.data(), token.size(), asking_, &identity) != AUTHCACHE_VALID)
        return state.SkipWithError("a lookup was not valid");
      at = following(at, tokens_.size(), identity.deadline_ns);
    }
  }

  // Of one record that a lookup found: kPermissionsAsked answers in one call.
  void permissions_held(benchmark::State& state) {
    authcache_identity identity = AUTHCACHE_IDENTITY_INIT;
    if (client_.lookup(tokens_[0], &identity) != AUTHCACHE_VALID) return state.SkipWithError("a lookup was not valid");
    for (auto _ : state) {
      std::uint64_t held = 0;
      if (authcache_identity_permissions(client_.get(), &identity, asking_, &held) != AUTHCACHE_VALID ||
          held != (std::uint64_t{1} << kPermissionsAsked) - 1) {
        return state.SkipWithError("a permission was not held");
      }
    }
  }

  void hit_text(benchmark::State& state) {
    std::size_t at = 0;
    authcache_identity identity = AUTHCACHE_IDENTITY_INIT;
    char subject[128], scopes[256];
    for (auto _ : state) {
      if (client_.lookup(tokens_[at], &identity) != AUTHCACHE_VALID ||
          authcache_identity_text(client_.get(), &identity, AUTHCACHE_FIELD_SUBJECT, subject,
                                  sizeof subject) != 36 ||
          authcache_identity_text(client_.get(), &identity, AUTHCACHE_FIELD_SCOPES, scopes, sizeof scopes) !=
              24) {
        return state.SkipWithError("a text was not whole");
      }
      at = following(at, tokens_.size(), static_cast<std::uint64_t>(subject[0] + scopes[0]));
    }
  }

  void waiting_floor(benchmark::State& state) {
    std::size_t at = 0;
    for (auto _ : state) {
      benchmark::DoNotOptimize(floor_.load(absent_[at]));
      benchmark::DoNotOptimize(coarse_now_ns());
      wait_for_loads();
      at = following(at, absent_.size(), 0);
    }
  }

  void waiting_miss(benchmark::State& state) {
    std::size_t at = 0;
    authcache_identity identity = AUTHCACHE_IDENTITY_INIT;
    for (auto _ : state) {
      if (client_.lookup(absent_[at], &identity) != AUTHCACHE_MISS)
        return state.SkipWithError("an absent token was found");
      wait_for_loads();
      at = following(at, absent_.size(), 0);
    }
  }

  // Per token: the time of a batch goes to its 64 tokens. The next batch waits for the last answer of this
  // one.
  void batch64(benchmark::State& state) {
    std::array<authcache_token, kBatch> batch{};
    std::array<int, kBatch> verdicts{};
    std::array<authcache_identity, kBatch> identities;
    identities.fill(AUTHCACHE_IDENTITY_INIT);
    std::size_t at = 0;
    while (state.KeepRunningBatch(kBatch)) {
      for (std::size_t i = 0; i < kBatch; ++i) batch[i] = {tokens_[at + i].data(), tokens_[at + i].size()};
      authcache_lookup_batch(client_.get(), batch.data(), kBatch, client_.requirement(), verdicts.data(),
                             identities.data());
      std::uint64_t loaded = 0;
      for (std::size_t i = 0; i < kBatch; ++i) {
        if (verdicts[i] != AUTHCACHE_VALID) return state.SkipWithError("a lookup of a batch was not valid");
        loaded |= identities[i].deadline_ns;
      }
      at = following(at + kBatch - 1, tokens_.size() - kBatch, loaded);
    }
  }

  // One pin, checked again and again, as a connection does for each message.
  void pin_check(benchmark::State& state) {
    authcache_identity identity = AUTHCACHE_IDENTITY_INIT;
    authcache_pinned pin = AUTHCACHE_PINNED_INIT;
    if (client_.lookup(tokens_[0], &identity) != AUTHCACHE_VALID ||
        authcache_pin(client_.get(), &identity, client_.requirement(), &pin) != AUTHCACHE_VALID) {
      return state.SkipWithError("a record could not be pinned");
    }
    for (auto _ : state) {
      if (authcache_pin_check(&pin, nullptr) != AUTHCACHE_VALID) return state.SkipWithError("a pin ended");
    }
    authcache_unpin(&pin);
  }

  void clock(benchmark::State& state) {
    for (auto _ : state) benchmark::DoNotOptimize(coarse_now_ns());
  }

  HitBench(const HitBench&) = delete;
  HitBench& operator=(const HitBench&) = delete;
  ~HitBench() { authcache_requirement_free(asking_); }

 private:
  static RecordText with_role(RecordText text) {
    text.role_grants = permissions_of_a_role();
    return text;
  }

  static constexpr std::size_t kBatch = 64;
  Tokens tokens_, absent_;
  FilledTable table_;
  FloorRegion floor_;
  Client client_;
  authcache_requirement* asking_ = nullptr;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) die("usage: hit_bench DIRECTORY RECORDS [flags]");
  const auto bench = std::make_unique<HitBench>(argv[1], std::stoull(argv[2]));
  argv[2] = argv[0];
  int rest = argc - 2;
  benchmark::Initialize(&rest, argv + 2);
  benchmark::AddCustomContext("huge_page_kib", std::to_string(huge_kib_mapped()));
  const auto add = [&](const char* name, void (HitBench::*run)(benchmark::State&)) {
    benchmark::RegisterBenchmark(name,
                                 [&bench, run](benchmark::State& state) { (bench.get()->*run)(state); });
  };
  add("hash", &HitBench::hash);
  add("floor", &HitBench::floor);
  add("hit", &HitBench::hit);
  add("hit_permissions", &HitBench::hit_permissions);
  add("permissions_held", &HitBench::permissions_held);
  add("hit_text", &HitBench::hit_text);
  add("waiting_floor", &HitBench::waiting_floor);
  add("waiting_miss", &HitBench::waiting_miss);
  add("batch64", &HitBench::batch64);
  add("pin_check", &HitBench::pin_check);
  add("clock", &HitBench::clock);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
