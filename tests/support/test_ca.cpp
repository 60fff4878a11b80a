#include "tests/support/test_ca.hpp"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <atomic>
#include <cstdio>
#include <memory>
#include <stdexcept>

namespace authcached::testing {

namespace {

struct Free {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using Key = std::unique_ptr<EVP_PKEY, Free>;
using Certificate = std::unique_ptr<X509, Free>;
using File = std::unique_ptr<std::FILE, Free>;

void need(bool done) {
  if (!done) throw std::runtime_error("OpenSSL makes no certificate");
}

Key new_key() {
  Key key(EVP_EC_gen("P-256"));
  need(key != nullptr);
  return key;
}

void extend(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* const extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
  need(extension != nullptr && X509_add_ext(certificate, extension, -1) == 1);
  X509_EXTENSION_free(extension);
}

Certificate certify(EVP_PKEY* key, const std::string& common_name, X509* issuer, EVP_PKEY* issuer_key,
                    const std::string& names, long from_s, long to_s) {
  static std::atomic<long> serial = 1;
  Certificate made(X509_new());
  need(made && X509_set_version(made.get(), X509_VERSION_3) == 1);
  ASN1_INTEGER_set(X509_get_serialNumber(made.get()), serial++);
  X509_gmtime_adj(X509_getm_notBefore(made.get()), from_s);
  X509_gmtime_adj(X509_getm_notAfter(made.get()), to_s);
  X509_set_pubkey(made.get(), key);
  X509_NAME* const name = X509_get_subject_name(made.get());
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(common_name.c_str()), -1, -1, 0);
  X509* const signer = issuer == nullptr ? made.get() : issuer;
  X509_set_issuer_name(made.get(), X509_get_subject_name(signer));
  if (names.empty()) {
    extend(made.get(), signer, NID_basic_constraints, "critical,CA:TRUE");
    extend(made.get(), signer, NID_key_usage, "critical,keyCertSign,cRLSign");
  } else {
    extend(made.get(), signer, NID_subject_alt_name, names);
  }
  need(X509_sign(made.get(), issuer_key, EVP_sha256()) > 0);
  return made;
}

void write(const std::filesystem::path& path, X509* certificate) {
  const File file(std::fopen(path.c_str(), "w"));
  need(file && PEM_write_X509(file.get(), certificate) == 1);
}

void write(const std::filesystem::path& path, EVP_PKEY* key) {
  const File file(std::fopen(path.c_str(), "w"));
  need(file && PEM_write_PrivateKey(file.get(), key, nullptr, nullptr, 0, nullptr, nullptr) == 1);
}

constexpr long kCaSeconds = 86'400;

}  // namespace

TestCa::TestCa(std::filesystem::path directory)
    : directory_(std::move(directory)), file_(directory_ / "ca.pem") {
  const Key key = new_key();
  write(directory_ / "ca.key", key.get());
  write(file_,
        certify(key.get(), "authcache test CA", nullptr, key.get(), "", -kCaSeconds, kCaSeconds).get());
}

Leaf TestCa::leaf(const std::string& file_name, const std::string& names, long from_s, long to_s) const {
  const File ca_file(std::fopen(file_.c_str(), "r"));
  const File key_file(std::fopen((directory_ / "ca.key").c_str(), "r"));
  need(ca_file && key_file);
  const Certificate ca(PEM_read_X509(ca_file.get(), nullptr, nullptr, nullptr));
  const Key ca_key(PEM_read_PrivateKey(key_file.get(), nullptr, nullptr, nullptr));
  const Key key = new_key();
  const Leaf made{directory_ / (file_name + ".pem"), directory_ / (file_name + ".key")};
  write(made.certificate, certify(key.get(), "server", ca.get(), ca_key.get(), names, from_s, to_s).get());
  write(made.key, key.get());
  return made;
}

Leaf TestCa::self_signed(const std::string& file_name, const std::string& names) const {
  const Key key = new_key();
  const Leaf made{directory_ / (file_name + ".pem"), directory_ / (file_name + ".key")};
  write(made.certificate, certify(key.get(), "server", nullptr, key.get(), names, -3600, 3600).get());
  write(made.key, key.get());
  return made;
}

}  // namespace authcached::testing
