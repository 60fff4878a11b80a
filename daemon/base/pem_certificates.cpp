#include "daemon/base/pem_certificates.hpp"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <memory>
#include <string>

namespace authcached {

namespace shm = authcache::shm;

shm::Result<void> holds_certificates(const std::filesystem::path& file) {
  const std::unique_ptr<BIO, int (*)(BIO*)> source(BIO_new_file(file.c_str(), "r"), BIO_free);
  if (!source) {
    ERR_clear_error();
    return shm::fail(shm::ErrorCode::kSystem, file.native() + " cannot be opened");
  }
  int found = 0;
  for (X509* certificate = nullptr; (certificate = PEM_read_bio_X509(source.get(), nullptr, nullptr, nullptr)) != nullptr; ++found) {
    X509_free(certificate);
  }
  const bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  ERR_clear_error();
  if (found == 0) return shm::fail(shm::ErrorCode::kRefused, file.native() + " holds no certificate in PEM");
  if (!at_end) return shm::fail(shm::ErrorCode::kRefused, file.native() + " holds a certificate that cannot be read");
  return {};
}

}  // namespace authcached
