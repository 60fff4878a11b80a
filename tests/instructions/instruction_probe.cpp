// Performs one operation of the SDK a number of times inside `operate`, for counting its instructions under
// Callgrind: a number that no noise of the machine touches.
//
// usage: instruction_probe OPERATION COUNT. One of: hash, hit, permissions, held, miss, batch, pin, repeat
#include <authcache/authcache.h>

#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include "shm/coarse_clock.hpp"
#include "shm/digest.hpp"
#include "tests/support/temp_table.hpp"

namespace {

using namespace authcache::shm;

constexpr std::uint64_t kProfileId = 0x1111;
constexpr std::size_t kTokens = 512;
constexpr std::size_t kBatch = 64;
constexpr std::size_t kSessionTokenBytes = 43;
constexpr std::size_t kLongTokenBytes = 800;
constexpr std::size_t kPermissionsAsked = 16;
constexpr std::size_t kRemembered = 16;  // so few that no three of them meet in one set of the memo

struct World {
  World(std::size_t token_bytes, bool admitted, std::size_t permissions_asked = 0) {
    for (std::size_t i = 0; i < permissions_asked; ++i) permissions.push_back("area:action" + std::to_string(i));
    table.writer().set_profiles({{.name = "main", .id = kProfileId, .audience = {}}});
    for (std::size_t i = 0; i < kTokens; ++i) {
      std::string token = std::to_string(i);
      token.resize(token_bytes, 't');
      if (admitted) admit(token);
      tokens.push_back(std::move(token));
    }
    authcache_options options = AUTHCACHE_OPTIONS_INIT;
    options.flags = AUTHCACHE_NO_REATTACH;
    options.runtime_dir = table.dir().c_str();
    if (authcache_open(&options, &client) != AUTHCACHE_OK ||
        authcache_requirement_create(client, "main", &requirement) != AUTHCACHE_OK)
      std::abort();
    for (const std::string& permission : permissions)
      expect(authcache_requirement_add_permission(requirement, permission.c_str()), AUTHCACHE_OK);
    for (const auto& token : tokens) expect(look(token), admitted ? AUTHCACHE_VALID : AUTHCACHE_MISS);
  }
  void admit(const std::string& token) {
    RecordSpec spec;
    spec.key = key_of(token_digest(kProfileId, token));
    spec.deadline = coarse_now_ns() + 3600 * kNsPerSecond;
    spec.epoch = table.writer().epoch();
    spec.profile_id = kProfileId;
    spec.role_grants = permissions;
    if (!table.writer().insert(spec, coarse_now_ns())) std::abort();
    // Valgrind is slow; the table must look alive to the end.
    table.writer().beat(coarse_now_ns());
  }
  int look(const std::string& token) {
    return authcache_lookup(client, token.data(), token.size(), requirement, &identity);
  }
  static void expect(int verdict, int wanted) {
    if (verdict != wanted) std::abort();
  }

  std::vector<std::string> permissions;
  authcache_test::TempTable table;
  std::vector<std::string> tokens;
  authcache_client* client = nullptr;
  authcache_requirement* requirement = nullptr;
  authcache_identity identity = AUTHCACHE_IDENTITY_INIT;
};

// What is counted: nothing else of the program has this name.
template <class Each>
[[gnu::noinline]] void operate(std::size_t count, Each each) {
  for (std::size_t i = 0; i < count; ++i) each(i);
}

void hash(std::size_t count) {
  World world(kSessionTokenBytes, true);
  std::uint8_t sum = 0;
  operate(count, [&](std::size_t i) { sum ^= token_digest(kProfileId, world.tokens[i % kTokens])[0]; });
  std::printf("%d\n", sum);
}

// `different` tokens in turn.
void looks(std::size_t count, std::size_t token_bytes, bool admitted, std::size_t different = kTokens) {
  World world(token_bytes, admitted);
  operate(count, [&](std::size_t i) {
    World::expect(world.look(world.tokens[i % different]), admitted ? AUTHCACHE_VALID : AUTHCACHE_MISS);
  });
}

void permissions(std::size_t count) {
  World world(kSessionTokenBytes, true, kPermissionsAsked);
  operate(count, [&](std::size_t i) { World::expect(world.look(world.tokens[i % kTokens]), AUTHCACHE_VALID); });
}

// All permissions of one record, asked for by its handle.
void held(std::size_t count) {
  World world(kSessionTokenBytes, true, kPermissionsAsked);
  World::expect(world.look(world.tokens[0]), AUTHCACHE_VALID);
  operate(count, [&](std::size_t) {
    std::uint64_t bits = 0;
    World::expect(authcache_identity_permissions(world.client, &world.identity, world.requirement, &bits), AUTHCACHE_VALID);
    if (bits != (1 << kPermissionsAsked) - 1) std::abort();
  });
}

void batch(std::size_t count) {
  World world(kSessionTokenBytes, true);
  std::vector<authcache_token> tokens;
  for (const auto& token : world.tokens) tokens.push_back({token.data(), token.size()});
  std::vector<authcache_identity> identities(kBatch, AUTHCACHE_IDENTITY_INIT);
  std::vector<int> verdicts(kBatch);
  operate(count / kBatch, [&](std::size_t i) {
    World::expect(authcache_lookup_batch(world.client, &tokens[i * kBatch % kTokens], kBatch,
                                         world.requirement, verdicts.data(), identities.data()),
                  AUTHCACHE_OK);
  });
  for (const int verdict : verdicts) World::expect(verdict, AUTHCACHE_VALID);
}

void pin(std::size_t count) {
  World world(kSessionTokenBytes, true);
  World::expect(world.look(world.tokens[0]), AUTHCACHE_VALID);
  authcache_pinned pinned = AUTHCACHE_PINNED_INIT;
  World::expect(authcache_pin(world.client, &world.identity, world.requirement, &pinned), AUTHCACHE_VALID);
  operate(count, [&](std::size_t) { World::expect(authcache_pin_check(&pinned, nullptr), AUTHCACHE_VALID); });
}

}  // namespace

int main(int argc, char** argv) {
  const std::map<std::string, void (*)(std::size_t)> operations = {
      {"hash", hash},
      {"hit", [](std::size_t count) { looks(count, kSessionTokenBytes, true); }},
      {"miss", [](std::size_t count) { looks(count, kSessionTokenBytes, false); }},
      {"permissions", permissions},
      {"held", held},
      {"batch", batch},
      {"pin", pin},
      {"repeat", [](std::size_t count) { looks(count, kLongTokenBytes, true, kRemembered); }},
  };
  const auto operation = argc == 3 ? operations.find(argv[1]) : operations.end();
  if (operation == operations.end()) {
    std::fputs("usage: instruction_probe hash|hit|permissions|held|miss|batch|pin|repeat COUNT\n", stderr);
    return 2;
  }
  operation->second(std::stoul(argv[2]));
  return 0;
}
