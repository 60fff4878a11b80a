#include "daemon/upstream/key_set_fetcher.hpp"

#include <exception>
#include <utility>

#include "daemon/base/sha256.hpp"
#include "daemon/token/json.hpp"
#include "daemon/upstream/discovery.hpp"
#include "daemon/upstream/http_freshness.hpp"

namespace authcached {

namespace shm = authcache::shm;

namespace {

// Of metadata and key set together. Longer than any caller waits: a slow issuer's set still comes into use.
constexpr std::uint64_t kFetchNs = 10'000'000'000;
constexpr unsigned kOk = 200;
constexpr unsigned kNotModified = 304;

std::string unexpected_status(std::string_view what, unsigned status) {
  return "The " + std::string(what) + " was answered with status " + std::to_string(status) + ".";
}

}  // namespace

KeySetFetcher::KeySetFetcher(std::string issuer, std::string jwks_url, std::shared_ptr<HttpClient> client, Executor& reader,
                             Executor& loop, const Clock& clock)
    : issuer_(std::move(issuer)),
      discovers_(jwks_url.empty()),
      url_(std::move(jwks_url)),
      client_(std::move(client)),
      reader_(reader),
      loop_(loop),
      clock_(clock) {}

HttpRequest KeySetFetcher::request(std::string url, std::string_view accept, std::size_t body_max) const {
  HttpRequest request{.method = "GET", .url = std::move(url)};
  request.headers.push_back({"Accept", std::string(accept)});
  request.deadline_ns = deadline_ns_;
  request.body_max = body_max;
  request.repeatable = true;
  return request;
}

void KeySetFetcher::fetch(Done done) {
  done_ = std::move(done);
  deadline_ns_ = static_cast<std::uint64_t>(clock_.monotonic_ns()) + kFetchNs;
  why_not_.clear();
  if (discovers_ && (url_.empty() || clock_.boot_ns() >= discovered_until_ns_)) return discover(0);
  get_keys();
}

void KeySetFetcher::discover(std::size_t attempt) {
  auto urls = metadata_urls(issuer_);
  client_->send(request(std::move(urls[(place_ + attempt) % urls.size()]), "application/json", kMetadataBytesMax),
                [weak = weak_from_this(), attempt](shm::Result<HttpResponse> response) {
                  if (const auto self = weak.lock()) self->discovered(attempt, std::move(response));
                });
}

void KeySetFetcher::discovered(std::size_t attempt, shm::Result<HttpResponse> response) {
  // Both places are on one server: who did not answer at the one will not at the other.
  if (!response) return fail(response.error().message);
  auto uri = response->status == kOk
                 ? jwks_uri_of(response->body, issuer_)
                 : shm::Result<std::string>(shm::fail(shm::ErrorCode::kRefused, unexpected_status("request for the issuer's metadata", response->status)));
  if (!uri) {
    if (attempt > 0) return fail(why_not_ == uri.error().message ? why_not_ : why_not_ + " " + uri.error().message);
    why_not_ = uri.error().message;
    return discover(1);
  }
  place_ += attempt;
  discovered_until_ns_ = clock_.boot_ns() + freshness_ns(response->headers);
  if (url_ != *uri) {
    url_ = std::move(*uri);
    tag_.reset();  // a tag means something at its own URL only
  }
  get_keys();
}

void KeySetFetcher::get_keys() {
  HttpRequest keys = request(url_, "application/jwk-set+json, application/json", kKeySetJson.bytes);
  if (tag_) keys.headers.push_back({"If-None-Match", *tag_});
  client_->send(std::move(keys), [weak = weak_from_this()](shm::Result<HttpResponse> response) {
    if (const auto self = weak.lock()) self->got_keys(std::move(response));
  });
}

void KeySetFetcher::got_keys(shm::Result<HttpResponse> response) {
  if (!response) return fail(response.error().message);
  const std::int64_t fresh_ns = freshness_ns(response->headers);
  if (response->status == kNotModified && tag_) return finish(FetchedKeys{std::nullopt, fresh_ns});
  if (response->status != kOk) return fail(unexpected_status("request for the key set", response->status));
  std::optional<std::string> tag;
  if (const auto sent = entity_tag(response->headers)) tag.emplace(*sent);
  const Sha256 digest = sha256(response->body);
  if (digest == digest_) {
    tag_ = std::move(tag);
    return finish(FetchedKeys{std::nullopt, fresh_ns});
  }
  parse(std::move(response->body), digest, std::move(tag), fresh_ns);
}

void KeySetFetcher::parse(std::string body, const Sha256& digest, std::optional<std::string> tag, std::int64_t fresh_ns) {
  reader_.post([weak = weak_from_this(), &loop = loop_, body = std::move(body), digest, tag = std::move(tag), fresh_ns]() mutable {
    auto keys = [&]() -> shm::Result<KeySet> {
      try {
        return KeySet::parse(body);
      } catch (const std::exception&) {
        return shm::fail(shm::ErrorCode::kUnavailable, "No memory is left to read the key set.");
      }
    }();
    loop.post([weak = std::move(weak), keys = std::move(keys), digest, tag = std::move(tag), fresh_ns]() mutable {
      if (const auto self = weak.lock()) self->parsed(std::move(keys), digest, std::move(tag), fresh_ns);
    });
  });
}

void KeySetFetcher::parsed(shm::Result<KeySet> keys, const Sha256& digest, std::optional<std::string> tag, std::int64_t fresh_ns) {
  if (!keys) return fail(keys.error().message);
  digest_ = digest;
  tag_ = std::move(tag);
  finish(FetchedKeys{std::move(*keys), fresh_ns});
}

void KeySetFetcher::fail(std::string sentence) {
  discovered_until_ns_ = 0;  // the set may have moved
  finish(shm::fail(shm::ErrorCode::kUnavailable, std::move(sentence)));
}

void KeySetFetcher::finish(shm::Result<FetchedKeys> result) {
  Done done = std::move(done_);
  done(std::move(result));
}

}  // namespace authcached
