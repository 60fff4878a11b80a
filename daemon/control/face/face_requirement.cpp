#include "daemon/control/face/face_requirement.hpp"

#include <algorithm>
#include <functional>

#include "daemon/control/face/form.hpp"

namespace authcached {

namespace shm = authcache::shm;

namespace {

// As many as the SDK takes (libclient/requirement.hpp), for its reasons.
constexpr std::size_t kAudiencesMax = 16;
constexpr std::size_t kGrantsMax = 64;
constexpr std::size_t kTextBytesMax = 4'096;
constexpr std::size_t kQueryBytesMax = 8 * 1'024;  // what proxies take for a URI

std::unexpected<shm::Error> refuse(std::string sentence) {
  return shm::fail(shm::ErrorCode::kUsage, std::move(sentence));
}

// scope-token of RFC 6749 appendix A.4, so that it may stand in a challenge.
bool is_scope(std::string_view text) {
  return !text.empty() &&
         std::ranges::all_of(text, [](char c) { return c > 0x20 && c < 0x7f && c != '"' && c != '\\'; });
}

bool add(std::vector<std::string>& list, std::size_t max, std::string_view text) {
  if (text.empty() || text.size() > kTextBytesMax || list.size() == max) return false;
  list.emplace_back(text);
  return true;
}

// One member may name several scopes, as the scope claim does.
bool add_scopes(FaceRequirement& requirement, std::string_view text) {
  bool any = false;
  while (!text.empty()) {
    const std::string_view scope = text.substr(0, text.find(' '));
    text.remove_prefix(std::min(scope.size() + 1, text.size()));
    if (scope.empty()) continue;
    if (!is_scope(scope) || !add(requirement.scopes, kGrantsMax, scope)) return false;
    if (!requirement.scope_text.empty()) requirement.scope_text.push_back(' ');
    requirement.scope_text.append(scope);
    any = true;
  }
  return any;
}

}  // namespace

shm::Result<FaceRequirement> parse_requirement(std::string_view query) {
  if (query.size() > kQueryBytesMax) return refuse("the requirement is longer than 8 KiB");
  const auto form = Form::parse(query, Plus::kIsItself);
  if (!form) return refuse("the query is not made of name=value, percent-encoded and joined by &");
  if (form->count("profile") != 1) return refuse("the query must name one profile, as in ?profile=api");
  FaceRequirement requirement;
  for (const auto& [name, value] : form->members()) {
    bool taken = false;
    if (name == "profile") {
      requirement.profile = value;
      taken = !value.empty();
    } else if (name == "scope") {
      taken = add_scopes(requirement, value);
    } else if (name == "permission") {
      taken = add(requirement.permissions, kGrantsMax, value);
    } else if (name == "audience") {
      taken = add(requirement.audiences, kAudiencesMax, value);
    } else if (name == "access_token") {
      return refuse("a token goes into the Authorization header and nowhere else");
    } else {
      return refuse("the query has a member that is none of profile, scope, permission and audience");
    }
    if (!taken) return refuse("the query's " + name + " is empty, too long, one too many, or no such thing");
  }
  return requirement;
}

shm::Result<std::shared_ptr<const FaceRequirement>> FaceRequirements::of(std::string_view query) {
  Entry& entry = entries_[std::hash<std::string_view>{}(query) % kEntries];
  if (entry.requirement && entry.query == query) return entry.requirement;
  auto requirement = parse_requirement(query);
  if (!requirement) return std::unexpected(requirement.error());
  entry.query = query;
  entry.requirement = std::make_shared<const FaceRequirement>(std::move(*requirement));
  return entry.requirement;
}

}  // namespace authcached
