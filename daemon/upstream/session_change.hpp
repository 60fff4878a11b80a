// What a database tells about one change of its sessions: whom it is about, never what is true now. Whoever
// hears of it forgets what was known and lets the database be asked again, so hearing it twice does no harm.
#pragma once

#include <cstdint>
#include <string>

namespace authcached {

struct SessionChange {
  enum class Kind : std::uint8_t {
    kToken,    // value: the 32 bytes of SHA-256 of the token
    kSid,      // value: the session's public name
    kSubject,  // value: whose sessions
    kProfile,  // all that is known of the profile; no value
  };
  Kind kind = Kind::kProfile;
  std::string value;

  bool operator==(const SessionChange&) const = default;
};

}  // namespace authcached
