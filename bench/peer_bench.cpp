// A hit beside the stores that people use today, in one process and one interleaved run: same tokens in the
// same order, same key (192 bits of the token's SHA-256, hashed anew for each lookup by the same call), same
// bytes handed back, the deadline compared with the same clock. All loops are dependent
// (bench/dependence.hpp). Times are wall time, since a server's part of an answer is not this process's.
//
// usage: peer_bench DIRECTORY RECORDS hit|text lmdb|memory|all [google benchmark flags]. text: 128 bytes more
// are asked for. memory leaves out the servers, whose memory has pages of their own choice; lmdb leaves out
// the maps as well, so that 10 M records fit a small machine.
#include <benchmark/benchmark.h>
#include <lmdb.h>
#include <sched.h>

#include <boost/version.hpp>
#include <memory>
#include <string>
#include <thread>

#include "bench/dependence.hpp"
#include "bench/die.hpp"
#include "bench/flat_map_peer.hpp"
#include "bench/interprocess_peer.hpp"
#include "bench/lmdb_peer.hpp"
#include "bench/memcached_peer.hpp"
#include "bench/pages.hpp"
#include "bench/redis_peer.hpp"
#include "bench/table_fixture.hpp"
#include "shm/coarse_clock.hpp"

namespace {

using namespace authcache_bench;
using authcache::shm::coarse_now_ns;
using authcache::shm::Key;

// A loop over all tokens; get answers for a key as a store does.
template <class Value, class Get>
void look_up_all(benchmark::State& state, const Tokens& tokens, Get get) {
  std::size_t at = 0;
  Value value;
  for (auto _ : state) {
    if (!get(key_for(tokens[at]), value) || deadline_of(value) <= coarse_now_ns()) {
      return state.SkipWithError("a record is missing or over");
    }
    at = following(at, tokens.size(), deadline_of(value) ^ last_of(value));
  }
}

void hit(benchmark::State& state, const Tokens& tokens, const Client& client, bool with_text) {
  std::size_t at = 0;
  authcache_identity identity = AUTHCACHE_IDENTITY_INIT;
  char text[129] = {};
  for (auto _ : state) {
    if (client.lookup(tokens[at], &identity) != AUTHCACHE_VALID)
      return state.SkipWithError("a lookup was not valid");
    if (with_text &&
        authcache_identity_text(client.get(), &identity, AUTHCACHE_FIELD_CLAIMS, text, sizeof text) != 128) {
      return state.SkipWithError("a text was not whole");
    }
    at = following(at, tokens.size(), identity.deadline_ns ^ static_cast<unsigned char>(text[127]));
  }
}

std::vector<Key> keys_to_fill(const Tokens& tokens) {
  std::vector<Key> keys;
  keys.reserve(tokens.size());
  for (const std::uint32_t i : filling_order(tokens.size())) keys.push_back(key_for(tokens[i]));
  return keys;
}

void add(const char* name, std::function<void(benchmark::State&)> run) {
  benchmark::RegisterBenchmark(name, std::move(run))->UseRealTime();
}

template <class Value, class Peer>
void add_peer(const char* name, const Tokens& tokens, Peer& peer) {
  add(name, [&tokens, &peer](benchmark::State& state) {
    look_up_all<Value>(state, tokens, [&peer](const Key& key, Value& value) { return peer.get(key, value); });
  });
}

// The client stays on the first core; its server is timed there and on the second, if there is one.
template <class Value, class Peer>
void add_server(const std::string& name, const Tokens& tokens, Peer& peer) {
  const auto placed = [&tokens, &peer](int core) {
    return [&tokens, &peer, core](benchmark::State& state) {
      cpu_set_t before;
      if (::sched_getaffinity(0, sizeof before, &before) != 0) die("cannot ask for this thread's cores");
      run_here_on(0);
      peer.server().run_on(core);
      look_up_all<Value>(state, tokens,
                         [&peer](const Key& key, Value& value) { return peer.get(key, value); });
      ::sched_setaffinity(0, sizeof before, &before);
    };
  };
  add((name + "_one_core").c_str(), placed(0));
  if (std::thread::hardware_concurrency() > 1) add((name + "_two_cores").c_str(), placed(1));
}

template <class Value>
void run(const std::filesystem::path& directory, std::size_t records, const std::string& peers) {
  constexpr bool kText = sizeof(Value) > sizeof(HitValue);
  const Tokens tokens(records, kOpaqueTokenBytes, kPresentSeed);
  FilledTable table(directory, tokens, kText ? claims_of_128_bytes() : subject_and_scopes());
  table.start_heart();
  const Client client(directory);
  client.touch_all(tokens);
  const auto value = make_value<Value>(coarse_now_ns() + 24 * 3600 * authcache::shm::kNsPerSecond);
  const std::vector<Key> keys = keys_to_fill(tokens);

  LmdbPeer<Value> lmdb(directory, keys, value);
  std::unique_ptr<InterprocessPeer<Value>> interprocess;
  std::unique_ptr<FlatMapPeer<Value>> flat_map;
  std::unique_ptr<RedisPeer<Value>> redis;
  std::unique_ptr<MemcachedPeer<Value>> memcached;
  add("hit", [&](benchmark::State& state) { hit(state, tokens, client, kText); });
  add_peer<Value>("lmdb", tokens, lmdb);
  if (peers != "lmdb") {
    interprocess = std::make_unique<InterprocessPeer<Value>>(directory, keys, value);
    flat_map = std::make_unique<FlatMapPeer<Value>>(directory, keys, value);
    add_peer<Value>("interprocess_map", tokens, *interprocess);
    add_peer<Value>("flat_map_mutex", tokens, *flat_map);
    benchmark::AddCustomContext("peer_boost", BOOST_LIB_VERSION);
  }
  if (peers == "all") {
    redis = std::make_unique<RedisPeer<Value>>(directory, keys, value);
    memcached = std::make_unique<MemcachedPeer<Value>>(directory, keys, value);
    add_server<Value>("redis", tokens, *redis);
    add_server<Value>("memcached", tokens, *memcached);
    benchmark::AddCustomContext("peer_redis", redis->version());
    benchmark::AddCustomContext("peer_memcached", memcached->version());
  }
  benchmark::AddCustomContext("peer_lmdb", mdb_version(nullptr, nullptr, nullptr));
  benchmark::AddCustomContext("huge_page_kib", std::to_string(huge_kib_mapped()));
  benchmark::RunSpecifiedBenchmarks();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 5) die("usage: peer_bench DIRECTORY RECORDS hit|text lmdb|memory|all [flags]");
  const std::string directory = argv[1], set = argv[3], peers = argv[4];
  argv[4] = argv[0];
  int rest = argc - 4;
  benchmark::Initialize(&rest, argv + 4);
  const std::size_t records = std::stoull(argv[2]);
  if (set == "text") {
    run<TextValue>(directory, records, peers);
  } else {
    run<HitValue>(directory, records, peers);
  }
  return 0;
}
