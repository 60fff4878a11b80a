#include "tests/process/support/authctl_run.hpp"

#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/json/parse.hpp>
#include <stdexcept>

namespace authcache_test {

using authcache::shm::UniqueFd;

UniqueFd text_file(std::string_view text) {
  UniqueFd file(::memfd_create("text", MFD_CLOEXEC));
  if (!file || ::pwrite(file.get(), text.data(), text.size(), 0) != static_cast<ssize_t>(text.size())) {
    throw std::runtime_error("cannot make a memory file");
  }
  return file;
}

std::string text_of(const UniqueFd& file) {
  struct stat inode;
  if (::fstat(file.get(), &inode) != 0) return {};
  std::string text(static_cast<std::size_t>(inode.st_size), '\0');
  const ssize_t got = ::pread(file.get(), text.data(), text.size(), 0);
  text.resize(got < 0 ? 0 : static_cast<std::size_t>(got));
  return text;
}

boost::json::object Ran::json() const {
  boost::system::error_code error;
  const boost::json::value value = boost::json::parse(out, error);
  if (error || !value.is_object()) throw std::runtime_error("not a JSON object: " + out + err);
  return value.get_object();
}

Ran run_program(const std::vector<std::string>& argv, std::string_view input,
                const std::vector<std::string>& environment) {
  const UniqueFd in = text_file(input), out = text_file({}), err = text_file({});
  ChildProcess child({argv, environment, in.get(), out.get(), err.get()});
  const auto status = child.wait(kPatience * 6);
  return {status && WIFEXITED(*status) ? WEXITSTATUS(*status) : -1, text_of(out), text_of(err)};
}

namespace {

std::vector<std::string> authctl_line(const std::filesystem::path& runtime_dir,
                                      std::vector<std::string> arguments) {
  std::vector<std::string> line{authctl_program(), "--runtime-dir", runtime_dir.string()};
  for (std::string& argument : arguments) line.push_back(std::move(argument));
  return line;
}

}  // namespace

Ran authctl(const std::filesystem::path& runtime_dir, std::vector<std::string> arguments,
            std::string_view input) {
  return run_program(authctl_line(runtime_dir, std::move(arguments)), input);
}

PendingRevoke::PendingRevoke(const std::filesystem::path& runtime_dir, std::string_view token)
    : input_(text_file(token)),
      process_(
          {authctl_line(runtime_dir, {"--timeout", "30s", "revoke", "--token"}), {}, input_.get(), -1, -1}) {}

}  // namespace authcache_test
