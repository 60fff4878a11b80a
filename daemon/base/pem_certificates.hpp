// Whether a file holds certificates that a TLS client can trust. Reads the file; any thread.
#pragma once

#include <filesystem>

#include "shm/result.hpp"

namespace authcached {

// An error unless the file opens, and at least one certificate in PEM stands in it and none is broken.
[[nodiscard]] authcache::shm::Result<void> holds_certificates(const std::filesystem::path& file);

}  // namespace authcached
