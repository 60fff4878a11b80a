// The text of an identity as it lies in the text area: a run of fields, each one byte of field number, two bytes of
// length (little-endian) and that many bytes. A list (scopes, permissions, audience) is one field for each member.
// Pure functions over bytes: what they read may be hostile, and nothing in it leads them out of it.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace authcache::shm {

// ABI: the numbers stand in files and, as authcache_field, in authcache.h. Append only.
enum class TextField : std::uint8_t {
  kSubject = 1,
  kIssuer = 2,
  kClientId = 3,
  kSid = 4,
  kJti = 5,
  kScopes = 6,
  kPermissions = 7,
  kAudience = 8,
  kClaims = 9,
  kConfirmation = 10,  // kind byte (1 jkt, 2 x5t#S256), 32 bytes of thumbprint
  kRoleGrant = 11,     // what a role's definition grants and no bit says: a permission, or a pattern over them
};

// One identity's text at most. Larger ones stay with the daemon: a mean JWT's claims take 400 bytes, and copying more
// than this inside a lookup would no longer be a lookup.
inline constexpr std::size_t kTextMax = 16 * 1024;

class TextBuilder {
 public:
  explicit TextBuilder(std::size_t bytes_max = kTextMax) : bytes_max_(bytes_max) {}

  // A value longer than the length field can say is refused (false), as is one that would pass the bound.
  bool add(TextField field, std::string_view value);
  [[nodiscard]] std::string_view bytes() const { return bytes_; }

 private:
  std::size_t bytes_max_;
  std::string bytes_;
};

// Walks the fields; next() is empty at the end or at the first field that does not fit.
class TextCursor {
 public:
  struct Item {
    TextField field;
    std::string_view value;
  };
  explicit TextCursor(std::string_view bytes) : rest_(bytes) {}
  std::optional<Item> next();
  [[nodiscard]] bool whole() const { return rest_.empty(); }  // at the end: every byte belonged to a field

 private:
  std::string_view rest_;
};

[[nodiscard]] bool text_holds(std::string_view bytes, TextField field, std::string_view value);

}  // namespace authcache::shm
