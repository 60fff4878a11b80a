// Strings that hold secrets on their way out: growing one leaves no copy behind, and emptying one overwrites
// it.
#pragma once

#include <openssl/crypto.h>

#include <algorithm>
#include <string>
#include <string_view>

namespace authcached {

inline void wipe(std::string& text) {
  OPENSSL_cleanse(text.data(), text.size());
  text.clear();
}

inline void append_secret(std::string& text, std::string_view more) {
  if (text.capacity() - text.size() < more.size()) {
    std::string larger;
    larger.reserve(std::max(text.size() + more.size(), text.capacity() * 2));
    larger.append(text);
    wipe(text);
    text.swap(larger);
  }
  text.append(more);
}

}  // namespace authcached
