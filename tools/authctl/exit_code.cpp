#include "tools/authctl/exit_code.hpp"

#include <utility>

namespace authctl {

using authcache::shm::ErrorCode;

std::unexpected<Failure> failure(Exit exit, std::string sentence) {
  return std::unexpected(Failure{exit, std::move(sentence)});
}

Failure failure_of(const authcache::shm::Error& error) {
  switch (error.code) {
    case ErrorCode::kUsage: return {Exit::kUsage, error.message};
    case ErrorCode::kNotFound: return {Exit::kNo, error.message};
    case ErrorCode::kUnavailable: return {Exit::kCannotTell, error.message};
    case ErrorCode::kRefused:
    case ErrorCode::kCorrupt:
    case ErrorCode::kSystem: break;
  }
  return {Exit::kFailed, error.message};
}

Exit exit_of_reply_code(std::string_view code) {
  if (code == "usage") return Exit::kUsage;
  if (code == "not_found") return Exit::kNo;
  if (code == "unavailable") return Exit::kCannotTell;
  return Exit::kFailed;
}

std::string_view code_of_exit(Exit exit) {
  switch (exit) {
    case Exit::kYes: return "";
    case Exit::kNo: return "not_found";
    case Exit::kUsage: return "usage";
    case Exit::kUnreachable: return "unreachable";
    case Exit::kCannotTell: return "unavailable";
    case Exit::kFailed: break;
  }
  return "failed";
}

}  // namespace authctl
