// authctl as an operator runs it: a process with arguments, standard input, and three things to look at. One
// thread.
#pragma once

#include <boost/json/object.hpp>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "shm/unique_fd.hpp"
#include "tests/process/support/child_process.hpp"

namespace authcache_test {

struct Ran {
  int exit = -1;  // -1: ended by a signal, or did not end
  std::string out, err;

  // Standard output as the JSON document it is; std::runtime_error shows what else it was.
  [[nodiscard]] boost::json::object json() const;
};

// A file without a name, holding the text, read from its start.
[[nodiscard]] authcache::shm::UniqueFd text_file(std::string_view text);
[[nodiscard]] std::string text_of(const authcache::shm::UniqueFd& file);

// Any program; without a runtime directory of its own.
[[nodiscard]] Ran run_program(const std::vector<std::string>& argv, std::string_view input = {},
                              const std::vector<std::string>& environment = {});

// authctl --runtime-dir DIR arguments...
[[nodiscard]] Ran authctl(const std::filesystem::path& runtime_dir, std::vector<std::string> arguments,
                          std::string_view input = {});

// authctl revoke that is not waited for.
class PendingRevoke {
 public:
  PendingRevoke(const std::filesystem::path& runtime_dir, std::string_view token);
  [[nodiscard]] ChildProcess& process() { return process_; }

 private:
  authcache::shm::UniqueFd input_;
  ChildProcess process_;
};

}  // namespace authcache_test
