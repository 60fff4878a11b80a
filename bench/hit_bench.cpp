// A hit beside its floor, in one process and one interleaved run.
//
// The floor is what no table can avoid: the same hash call on the same token, one coarse clock read, and one cache line
// at a place that only the digest tells, in a region of the size and pages of the hot records. Both loops are
// dependent: the next token's index is made from the loaded data through a zero that the compiler can't see, so a
// lookup can't begin before the one before it ended. Tokens are taken in order and none comes twice in a pass; where
// their records lie is random, because the digest says so.
//
// usage: hit_bench DIRECTORY RECORDS [google benchmark flags]. DIRECTORY lies on tmpfs; its pages are the table's.
#include <authcache/authcache.h>
#include <benchmark/benchmark.h>
#include <fcntl.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "shm/coarse_clock.hpp"
#include "shm/digest.hpp"
#include "shm/table_writer.hpp"

namespace {

using namespace authcache::shm;

constexpr std::size_t kTokenBytes = 43;  // 256 bits in base64url: an opaque session token
constexpr std::uint64_t kProfileId = 0x6265'6e63'6873'6573;
constexpr const char* kProfile = "bench";

class Tokens {
 public:
  explicit Tokens(std::size_t count) : bytes_(count * kTokenBytes, 'A') {
    constexpr char kAlphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    std::mt19937_64 random(20'240'229);
    for (char& byte : bytes_) byte = kAlphabet[random() % 64];
  }
  [[nodiscard]] std::string_view operator[](std::size_t i) const { return {bytes_.data() + i * kTokenBytes, kTokenBytes}; }
  [[nodiscard]] std::size_t size() const { return bytes_.size() / kTokenBytes; }

 private:
  std::string bytes_;
};

// The compiler can't know that this is zero, so what depends on it waits for it.
std::uint64_t opaque_zero(std::uint64_t loaded) {
  std::uint64_t zero = 0;
  asm volatile("" : "+r"(zero));
  return loaded & zero;
}

class Bench {
 public:
  Bench(const std::filesystem::path& directory, std::size_t records) : tokens_(records) {
    auto file = create_table(directory, {.capacity = records,
                                         .text_bytes_per_record = 64,
                                         .heartbeat_timeout_ns = 60 * kNsPerSecond,
                                         .negative_max = records / 10,
                                         .generation = 1});
    if (!file) die(file.error().message);
    writer_ = std::make_unique<TableWriter>(std::move(*file));
    writer_->set_profiles({{kProfile, kProfileId, ProfileState::kCurrent, {}}});
    fill();
    writer_->beat(coarse_now_ns());  // the thread below may start late
    publish_table(writer_->view());
    if (auto named = name_table(writer_->file(), directory); !named) die(named.error().message);
    heart_ = std::jthread([this](const std::stop_token& stop) {
      while (!stop.stop_requested()) {
        writer_->beat(coarse_now_ns());
        std::this_thread::sleep_for(std::chrono::milliseconds(500));
      }
    });
    map_floor(directory);
    attach(directory);
  }

  void hit(benchmark::State& state) {
    std::uint64_t at = 0;
    authcache_identity identity = AUTHCACHE_IDENTITY_INIT;
    for (auto _ : state) {
      const std::string_view token = tokens_[at];
      if (authcache_lookup(client_, token.data(), token.size(), requirement_, &identity) != AUTHCACHE_VALID) {
        state.SkipWithError("a lookup was not valid");
        break;
      }
      at = next(at, identity.deadline_ns);
    }
  }

  void floor(benchmark::State& state) {
    std::uint64_t at = 0;
    for (auto _ : state) {
      const Digest digest = token_digest(kProfileId, tokens_[at]);
      const std::uint64_t line = ((key_of(digest)[0] & 0xffff'ffff) * lines_) >> 32;
      const std::uint64_t loaded = region_[line * 8].load(std::memory_order_acquire);
      benchmark::DoNotOptimize(coarse_now_ns());
      at = next(at, loaded);
    }
  }

  void hash(benchmark::State& state) {
    std::uint64_t at = 0;
    for (auto _ : state) at = next(at, key_of(token_digest(kProfileId, tokens_[at]))[0]);
  }

  [[nodiscard]] std::uint64_t huge_kib() const { return huge_kib_; }

 private:
  [[noreturn]] static void die(const std::string& sentence) {
    std::cerr << "hit_bench: " << sentence << '\n';
    std::exit(1);
  }

  [[nodiscard]] std::uint64_t next(std::uint64_t at, std::uint64_t loaded) const {
    const std::uint64_t following = at + 1 + opaque_zero(loaded);
    return following == tokens_.size() ? 0 : following;
  }

  void fill() {
    const std::uint64_t now = coarse_now_ns();
    TextBuilder text;
    text.add(TextField::kSubject, "user-0123456789");
    for (std::size_t i = 0; i < tokens_.size(); ++i) {
      RecordSpec spec;
      spec.key = key_of(token_digest(kProfileId, tokens_[i]));
      spec.deadline = now + 24 * 3600 * kNsPerSecond;
      spec.epoch = writer_->epoch();
      spec.profile_id = kProfileId;
      spec.text = text.bytes();
      if (!writer_->insert(spec, now)) die("a record was refused");
    }
  }

  void map_floor(const std::filesystem::path& directory) {
    const Geometry& geometry = writer_->view().geometry;
    const std::uint64_t bytes = round_up(geometry.slots * sizeof(Slot), 2 << 20);
    const UniqueFd fd(::open(directory.c_str(), O_TMPFILE | O_RDWR, 0600));
    if (!fd || ::posix_fallocate(fd.get(), 0, static_cast<off_t>(bytes)) != 0) die("no room for the floor's region");
    floor_map_ = std::move(*Mapping::map(fd.get(), bytes, true));
    std::memset(floor_map_.data(), 1, bytes);
    region_ = reinterpret_cast<StdAtomics::Word*>(floor_map_.data());
    lines_ = geometry.slots;
  }

  void attach(const std::filesystem::path& directory) {
    authcache_options options = AUTHCACHE_OPTIONS_INIT;
    options.runtime_dir = directory.c_str();
    if (authcache_open(&options, &client_) != AUTHCACHE_OK) die(authcache_last_error(nullptr));
    if (authcache_requirement_create(client_, kProfile, &requirement_) != AUTHCACHE_OK) die("no requirement");
    for (std::size_t i = 0; i < tokens_.size(); ++i) {
      const std::string_view token = tokens_[i];
      if (authcache_lookup(client_, token.data(), token.size(), requirement_, nullptr) != AUTHCACHE_VALID) die("a record is missing");
    }
    huge_kib_ = huge_kib_mapped();
  }

  // What the kernel mapped by 2 MiB pages, of all that this process has mapped from the table's file system.
  static std::uint64_t huge_kib_mapped() {
    std::ifstream smaps("/proc/self/smaps");
    std::uint64_t total = 0;
    for (std::string line; std::getline(smaps, line);) {
      if (line.starts_with("ShmemPmdMapped:")) total += std::stoull(line.substr(line.find_first_of("0123456789")));
    }
    return total;
  }

  Tokens tokens_;
  std::unique_ptr<TableWriter> writer_;
  std::jthread heart_;
  Mapping floor_map_;
  StdAtomics::Word* region_ = nullptr;
  std::uint64_t lines_ = 0;
  authcache_client* client_ = nullptr;
  authcache_requirement* requirement_ = nullptr;
  std::uint64_t huge_kib_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::cerr << "usage: hit_bench DIRECTORY RECORDS [flags]\n";
    return 2;
  }
  static Bench bench(argv[1], std::stoull(argv[2]));
  argv[2] = argv[0];
  int rest = argc - 2;
  benchmark::Initialize(&rest, argv + 2);
  benchmark::AddCustomContext("huge_page_kib", std::to_string(bench.huge_kib()));
  benchmark::RegisterBenchmark("hash", [](benchmark::State& state) { bench.hash(state); });
  benchmark::RegisterBenchmark("floor", [](benchmark::State& state) { bench.floor(state); });
  benchmark::RegisterBenchmark("hit", [](benchmark::State& state) { bench.hit(state); });
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
