// A certificate authority for one test, and leaf certificates good and bad. Keys and certificates are PEM
// files in the directory given. Throws where OpenSSL fails.
#pragma once

#include <filesystem>
#include <string>

namespace authcached::testing {

struct Leaf {
  std::filesystem::path certificate;
  std::filesystem::path key;
};

class TestCa {
 public:
  explicit TestCa(std::filesystem::path directory);

  [[nodiscard]] const std::filesystem::path& file() const { return file_; }
  // names as OpenSSL's subjectAltName writes them: "DNS:localhost,IP:127.0.0.1". Valid from `from_s` to
  // `to_s` from now.
  [[nodiscard]] Leaf leaf(const std::string& file_name, const std::string& names, long from_s = -3600,
                          long to_s = 3600) const;
  // Signed by nobody but itself.
  [[nodiscard]] Leaf self_signed(const std::string& file_name, const std::string& names) const;

 private:
  std::filesystem::path directory_;
  std::filesystem::path file_;
};

}  // namespace authcached::testing
