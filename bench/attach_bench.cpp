// From authcache_open to the first hit, in new processes: what a program pays at its start.
//
// The parent holds the table; each child is this program anew and times itself by CLOCK_MONOTONIC, from
// before authcache_open until its first lookup was valid. The start of the process and the loader's work are
// not in it.
//
// usage: attach_bench DIRECTORY RECORDS OUT.json      or, by itself: attach_bench --child DIRECTORY TOKEN
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <string>

#include "bench/die.hpp"
#include "bench/flat_report.hpp"
#include "bench/table_fixture.hpp"

namespace {

using namespace authcache_bench;

constexpr int kChildren = 25;

int first_hit(const std::filesystem::path& directory, std::string_view token) {
  const auto begun = std::chrono::steady_clock::now();
  const Client client(directory);
  authcache_identity identity = AUTHCACHE_IDENTITY_INIT;
  if (client.lookup(token, &identity) != AUTHCACHE_VALID) die("the first lookup was not valid");
  const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - begun;
  std::printf("%.6f\n", took.count());
  return 0;
}

double run_child(const std::string& directory, const std::string& token) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) die("no pipe");
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  std::string words[] = {"attach_bench", "--child", directory, token};
  char* argv[] = {words[0].data(), words[1].data(), words[2].data(), words[3].data(), nullptr};
  pid_t pid = -1;
  if (::posix_spawn(&pid, "/proc/self/exe", &actions, nullptr, argv, environ) != 0)
    die("cannot start a child");
  posix_spawn_file_actions_destroy(&actions);
  ::close(ends[1]);
  char said[64] = {};
  const ssize_t got = ::read(ends[0], said, sizeof said - 1);
  ::close(ends[0]);
  int status = 0;
  ::waitpid(pid, &status, 0);
  if (got <= 0 || status != 0) die("a child did not come to its first hit");
  return std::stod(said);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) die("usage: attach_bench DIRECTORY RECORDS OUT.json");
  if (std::string_view(argv[1]) == "--child") return first_hit(argv[2], argv[3]);
  const std::string directory = argv[1];
  const Tokens tokens(std::stoull(argv[2]), kOpaqueTokenBytes, kPresentSeed);
  FilledTable table(directory, tokens, subject_and_scopes());
  table.start_heart();
  FlatReport report;
  for (int child = 0; child < kChildren; ++child) {
    report.add(
        "attach_ms",
        run_child(directory, std::string(tokens[static_cast<std::size_t>(child) * 37 % tokens.size()])));
  }
  report.write(argv[3]);
  return 0;
}
