// Names and values as URLs and forms write them (WHATWG URL section 5.1, RFC 3986 section 2.1). Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace authcached {

enum class Plus : unsigned char { kIsItself /* in a path or query of ours */, kIsBlank /* in a form */ };

// Nothing if a % is not followed by two hex digits.
[[nodiscard]] std::optional<std::string> percent_decode(std::string_view text, Plus plus);

// Bytes written as hex digits in either case; nothing for anything else.
[[nodiscard]] std::optional<std::string> bytes_of_hex(std::string_view text);

// The members of a form in their order. Values may be secrets: they are wiped at the end.
class Form {
 public:
  // Nothing if it is not well-formed or has more members than anybody sends.
  [[nodiscard]] static std::optional<Form> parse(std::string_view text, Plus plus);
  Form() = default;
  Form(Form&&) = default;
  Form& operator=(Form&&) = default;
  ~Form();

  [[nodiscard]] std::size_t count(std::string_view name) const;
  [[nodiscard]] std::string_view first(std::string_view name) const;  // "" if there is none
  [[nodiscard]] bool has_duplicates() const;
  [[nodiscard]] const std::vector<std::pair<std::string, std::string>>& members() const { return members_; }

 private:
  std::vector<std::pair<std::string, std::string>> members_;
};

}  // namespace authcached
