// Lets tokens through a gate: one a line on standard input, one verdict a line on standard output. A
// requirement is prepared once and asked of every token, as a server asks it of every request.
//
//   c++ -std=c++17 guard.cpp $(pkg-config --cflags --libs authcache) -o guard
//   ./guard PROFILE SCOPE < tokens
#include <pwd.h>

#include <authcache/authcache.hpp>
#include <chrono>
#include <iostream>
#include <string>

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: guard PROFILE SCOPE < tokens\n";
    return 2;
  }
  // Whose table to trust: the user that the installed unit runs the daemon as, where there is one.
  authcache::Options options;
  if (const passwd* daemon = ::getpwnam("authcache")) options.daemon_uid = daemon->pw_uid;

  std::string error;
  auto client = authcache::Client::open(options, &error);
  if (!client) {
    std::cerr << "guard: " << error << '\n';
    return 3;
  }
  authcache::Requirement requirement = client->requirement(argv[1]);
  requirement.scope(argv[2]);
  if (!requirement) {
    std::cerr << "guard: " << client->last_error() << '\n';
    return 2;
  }

  bool all_valid = true;
  for (std::string token; std::getline(std::cin, token);) {
    authcache::Identity identity;
    const auto verdict = client->validate(token, requirement, std::chrono::seconds(2), &identity);
    std::cout << authcache::verdict_name(verdict);
    if (verdict == authcache::Verdict::kValid) {
      std::cout << ' ' << client->text(identity, AUTHCACHE_FIELD_SUBJECT).value_or("(gone: validate again)");
    } else {
      std::cout << ' ' << identity.reason_name();
      all_valid = false;
    }
    std::cout << '\n';
  }
  return all_valid ? 0 : 1;
}
