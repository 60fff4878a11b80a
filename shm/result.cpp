#include "shm/result.hpp"

#include <system_error>

namespace authcache::shm {

std::unexpected<Error> system_error(std::string what, int error_number) {
  what += ": ";
  what += std::generic_category().message(error_number);
  return fail(ErrorCode::kSystem, std::move(what));
}

}  // namespace authcache::shm
