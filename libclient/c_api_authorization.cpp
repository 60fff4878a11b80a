// The C ABI's parsers of the Authorization header. Pure; async-signal-safe.
#include "libclient/include/authcache/authcache.h"
#include "shm/authorization.hpp"

namespace {

namespace shm = authcache::shm;

int token_of(const char* header, size_t header_len, shm::TokenScheme scheme, const char** token,
             size_t* token_len) noexcept {
  if (token == nullptr || token_len == nullptr || (header == nullptr && header_len > 0))
    return AUTHCACHE_ERROR_USAGE;
  std::string_view found;
  const auto parsed = shm::parse_authorization(
      header == nullptr ? std::string_view() : std::string_view(header, header_len), scheme, found);
  *token = parsed == shm::TokenParse::kToken ? found.data() : nullptr;
  *token_len = found.size();
  switch (parsed) {
    case shm::TokenParse::kToken: return AUTHCACHE_OK;
    case shm::TokenParse::kOtherScheme: return AUTHCACHE_ERROR_NOT_BEARER;
    case shm::TokenParse::kMalformed: break;
  }
  return AUTHCACHE_ERROR_MALFORMED;
}

}  // namespace

extern "C" {

AUTHCACHE_API int authcache_bearer(const char* header, size_t header_len, const char** token,
                                   size_t* token_len) {
  return token_of(header, header_len, shm::TokenScheme::kBearer, token, token_len);
}

AUTHCACHE_API int authcache_dpop_token(const char* header, size_t header_len, const char** token,
                                       size_t* token_len) {
  return token_of(header, header_len, shm::TokenScheme::kDpop, token, token_len);
}

}  // extern "C"
