#include "bench/table_fixture.hpp"

#include <chrono>

#include "bench/die.hpp"
#include "shm/coarse_clock.hpp"
#include "shm/text.hpp"

namespace authcache_bench {
namespace {

using namespace authcache::shm;

constexpr std::uint64_t kRecordLifeNs = 24 * 3600 * kNsPerSecond;  // none ends while it is measured

}  // namespace

RecordText subject_and_scopes() {
  TextBuilder text;
  text.add(TextField::kSubject, "3f2c1e9a-5b47-4d0e-9c86-7a1b2c3d4e5f");
  text.add(TextField::kScopes, "orders:read");
  text.add(TextField::kScopes, "orders:write");
  return {std::string(text.bytes()), 2 * kTextUnitBytes};
}

RecordText claims_of_128_bytes() {
  std::string claims = R"({"tenant":"north","roles":["clerk","auditor"],"note":")";
  claims.append(126 - claims.size(), 'x').append("\"}");
  TextBuilder text;
  text.add(TextField::kClaims, claims);
  // One unit more than the three that it takes: a page of the area does not divide by three without a rest.
  return {std::string(text.bytes()), 4 * kTextUnitBytes};
}

std::vector<std::string> permissions_of_a_role() {
  std::vector<std::string> permissions;
  for (std::size_t i = 0; i < kPermissionsAsked; ++i) permissions.push_back("area" + std::to_string(i / 4) + ":action" + std::to_string(i));
  return permissions;
}

FilledTable::FilledTable(const std::filesystem::path& directory, const Tokens& tokens, const RecordText& text)
    : text_(text) {
  const auto spec = TableSpec{.capacity = std::max<std::uint64_t>(tokens.size(), kCapacityMin),
                              .text_bytes_per_record = text.text_bytes_per_record,
                              .heartbeat_timeout_ns = 60 * kNsPerSecond,
                              .negative_max = tokens.size() / 10,
                              .generation = 1};
  auto file = create_table(directory, spec);
  if (!file) die(file.error().message);
  writer_ = std::make_unique<TableWriter>(std::move(*file));
  writer_->set_profiles({{kProfile, kProfileId, ProfileState::kCurrent, {}}});
  const std::uint64_t now = coarse_now_ns();
  for (const std::uint32_t i : filling_order(tokens.size())) insert(tokens[i], now);
  beat();
  publish_table(writer_->view());
  if (auto named = name_table(writer_->file(), directory); !named) die(named.error().message);
}

void FilledTable::insert(std::string_view token, std::uint64_t now_ns) {
  RecordSpec spec;
  spec.key = key_for(token);
  spec.deadline = now_ns + kRecordLifeNs;
  spec.epoch = writer_->epoch();
  spec.profile_id = kProfileId;
  spec.text = text_.bytes;
  spec.role_grants = text_.role_grants;
  if (!writer_->insert(spec, now_ns)) die("the table refused a record");
}

void FilledTable::beat() { writer_->beat(coarse_now_ns()); }

void FilledTable::change(std::string_view token) { insert(token, coarse_now_ns()); }

void FilledTable::start_heart() {
  heart_ = std::jthread([this](const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      beat();
      std::this_thread::sleep_for(std::chrono::milliseconds(500));
    }
  });
}

Client::Client(const std::filesystem::path& directory) {
  authcache_options options = AUTHCACHE_OPTIONS_INIT;
  options.runtime_dir = directory.c_str();
  if (authcache_open(&options, &client_) != AUTHCACHE_OK) die(authcache_last_error(nullptr));
  if (authcache_requirement_create(client_, kProfile, &requirement_) != AUTHCACHE_OK)
    die("the client makes no requirement");
}

Client::~Client() {
  authcache_requirement_free(requirement_);
  authcache_close(client_);
}

void Client::touch_all(const Tokens& tokens) const {
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (lookup(tokens[i], nullptr) != AUTHCACHE_VALID) die("a record is missing from the full table");
  }
}

}  // namespace authcache_bench
