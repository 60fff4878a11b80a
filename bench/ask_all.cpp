#include "bench/ask_all.hpp"

#include "bench/daemon_link.hpp"
#include "bench/die.hpp"

namespace authcache_bench {

namespace shm = authcache::shm;
namespace wire = authcache::shm::wire;

void ask_all(const std::filesystem::path& miss_socket, std::string_view profile,
             std::span<const std::string> tokens, std::size_t in_flight) {
  DaemonLink link(miss_socket);
  std::size_t asked = 0, answered = 0;
  std::string frames;
  while (answered < tokens.size()) {
    frames.clear();
    for (; asked < tokens.size() && asked - answered < in_flight; ++asked) {
      wire::append_validate(frames, asked + 1,
                            {.timeout_ms = 2'000, .profile = profile, .token = tokens[asked]});
    }
    if (!frames.empty()) link.send(frames);
    link.receive([&](const wire::Head&, std::string_view payload) {
      const auto reply = wire::decode_validate_reply(payload);
      if (!reply) die("the daemon's answer cannot be read");
      if (reply->verdict != shm::Verdict::kValid)
        die("a token of " + std::string(profile) +
            " was not valid: " + std::string(shm::reason_name(reply->reason)));
      ++answered;
    });
  }
}

}  // namespace authcache_bench
