// Every committed input of every target, replayed: one case an input. What a fuzzer once found stays found.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "tests/fuzz/fuzz_target.hpp"

namespace {

namespace fs = std::filesystem;

fs::path corpus_directory() { return fs::path(AUTHCACHE_SOURCE_DIR) / "tests/fuzz/corpus"; }

std::string read_file(const fs::path& file) {
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

class Replay : public ::testing::Test {
 public:
  Replay(authcache_fuzz::Target target, fs::path file) : target_(target), file_(std::move(file)) {}
  void TestBody() override {
    const std::string bytes = read_file(file_);
    // On the heap and of exactly this size, so that a read past the end is seen by a sanitizer.
    const auto exact = std::make_unique<char[]>(bytes.size());
    std::copy(bytes.begin(), bytes.end(), exact.get());
    target_({exact.get(), bytes.size()});
  }

 private:
  authcache_fuzz::Target target_;
  fs::path file_;
};

// A directory without a target would be replayed by nothing, a target without one would have no seeds.
TEST(Corpora, EveryTargetHasOneAndEachHasItsTarget) {
  std::vector<std::string> named;
  for (const auto& entry : fs::directory_iterator(corpus_directory()))
    named.push_back(entry.path().filename());
  std::ranges::sort(named);
  std::vector<std::string> known;
  for (const auto& [name, target] : authcache_fuzz::targets()) known.push_back(name);
  EXPECT_EQ(named, known);
}

void register_replays() {
  for (const auto& [name, target] : authcache_fuzz::targets()) {
    std::error_code missing;
    for (const auto& entry : fs::directory_iterator(corpus_directory() / name, missing)) {
      const fs::path file = entry.path();
      ::testing::RegisterTest(name.c_str(), file.filename().c_str(), nullptr, nullptr, __FILE__, __LINE__,
                              [target, file]() -> ::testing::Test* { return new Replay(target, file); });
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  register_replays();
  return RUN_ALL_TESTS();
}
