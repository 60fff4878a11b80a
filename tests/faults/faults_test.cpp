// Every fault against every kind of question, all at once: each cell of the matrix has a profile and a way to
// the issuer or the database of its own, in one daemon. What is never allowed: a false `valid`, an
// `unavailable` that is remembered, a good record that suffers.
#include <algorithm>
#include <map>
#include <memory>
#include <span>
#include <thread>

#include "tests/faults/support/asking.hpp"
#include "tests/faults/support/databases.hpp"
#include "tests/faults/support/fault_matrix.hpp"
#include "tests/provider/support/provider_test.hpp"

namespace authcache_test {
namespace {

using authcached::testing::Leaf;
using authcached::testing::TestCa;
using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

constexpr int kRounds = 3;
// Ten seconds end a fetch that hangs, five are the breaker's longest pause; the rest is for a busy machine.
constexpr seconds kRecoveryMax{60};
constexpr milliseconds kAskAgain{100};
constexpr std::string_view kRefusals[] = {"invalid", "forbidden"};

std::string in_quotes(std::string_view text) { return "\"" + std::string(text) + "\""; }

class FaultMatrix : public ::testing::TestWithParam<Group> {
 protected:
  void SetUp() override;

  // The steps, in their order.
  void begin_without_faults();
  void begin_faults();
  void ask_during_faults(int round);
  void ask_for_known();
  void end_faults();
  void await_recovery();
  void ask_after_faults();
  void judge(const Cell& cell) const;

  [[nodiscard]] Provider& provider(const Cell& cell) { return *providers_.at(cell.fault->harm); }
  [[nodiscard]] std::string host(const Cell& cell) const {
    return "127.0.0.1:" + std::to_string(proxy_.port(cell.gate));
  }
  [[nodiscard]] std::string issue(const Cell& cell);
  [[nodiscard]] std::string forge(const Cell& cell) const;
  [[nodiscard]] std::string section(const Cell& cell);
  void configure(bool with_first_keys);
  [[nodiscard]] std::uint16_t liar(const Fault& fault);
  void look_at_known();
  void note_names();

  SigningKey mallory_ = SigningKey::generate(KeyKind::kP256);
  std::optional<DaemonProcess> daemon_;
  std::map<Harm, std::unique_ptr<Provider>> providers_;
  std::optional<Databases> databases_;
  std::map<std::string_view, std::unique_ptr<LyingIssuer>> liars_;
  FaultProxy proxy_;
  std::vector<Cell> cells_;
  std::unique_ptr<Asking> asking_;
};

void FaultMatrix::SetUp() {
  if (const std::string why = Provider::missing(); !why.empty()) GTEST_SKIP() << why;
  if (const std::string why = Databases::missing(); !why.empty()) GTEST_SKIP() << why;
  daemon_.emplace();
  databases_.emplace();
  for (const Harm harm : kHarms) {
    const auto directory = daemon_->scratch("provider-" + std::to_string(static_cast<int>(harm)));
    std::filesystem::create_directory(directory);
    providers_[harm] = std::make_unique<Provider>(directory);
    providers_[harm]->start();
  }
}

std::string FaultMatrix::issue(const Cell& cell) {
  if (is_database(cell.kind)) return databases_->issue(cell.kind, cell.fault->harm);
  const std::string_view api = cell.kind == Kind::kIntrospection ? kOpaqueApi : kEs256Api;
  const auto issued = provider(cell).tell("issue", {{"resource", api}, {"host", host(cell)}});
  return std::string(issued.at("tokens").as_array().at(0).as_string());
}

// By a key of the attacker, or made up.
std::string FaultMatrix::forge(const Cell& cell) const {
  if (!is_keyed(cell.kind)) return "never-issued-by-" + cell.profile;
  const auto now =
      std::chrono::duration_cast<seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
  return mint_access_token(mallory_, "ES256", "mallory",
                           Claims("https://" + host(cell), kEs256Api, now).json());
}

std::string FaultMatrix::section(const Cell& cell) {
  if (is_database(cell.kind)) {
    return "[profile." + cell.profile + "]\n" + Databases::profile_lines(cell.kind, proxy_.port(cell.gate)) +
           std::string(cell.policy->lines);
  }
  const std::string issuer = "https://" + host(cell);
  const std::string both = "[profile." + cell.profile + "]\nissuer = " + in_quotes(issuer) +
                           "\nca_file = " + in_quotes(provider(cell).ca_file().string()) + "\n";
  if (is_keyed(cell.kind)) {
    return both + "upstream = \"jwks\"\nalgorithms = [\"ES256\"]\naudience = [" + in_quotes(kEs256Api) +
           "]\n";
  }
  return both +
         "upstream = \"introspection\"\nintrospection_url = " + in_quotes(issuer + "/token/introspection") +
         "\naudience = [" + in_quotes(kOpaqueApi) + "]\nclient_id = \"rs-basic\"\nclient_secret_file = " +
         in_quotes(provider(cell).secret_file().string()) + "\n" + std::string(cell.policy->lines);
}

void FaultMatrix::configure(bool with_first_keys) {
  std::string text =
      "log_level = \"debug\"\n[table]\ncapacity = 10000\n[limits]\nupstream_timeout = \"2s\"\n";
  for (const Cell& cell : cells_) {
    if (with_first_keys || cell.kind != Kind::kFirstKeys) text += section(cell);
  }
  daemon_->configure(text);
}

// Everything that is to be known before the faults is asked for; keys change afterwards, so that there is one
// to look for.
void FaultMatrix::begin_without_faults() {
  for (Cell& cell : cells_) {
    if (is_database(cell.kind)) {
      cell.gate = proxy_.add(databases_->port(cell.kind, cell.fault->harm), FaultProxy::Stream::kPlain);
      continue;
    }
    const std::string issuer = provider(cell).issuer();
    cell.gate = proxy_.add(static_cast<std::uint16_t>(std::stoi(issuer.substr(issuer.rfind(':') + 1))));
  }
  configure(false);
  daemon_->start();
  asking_ = std::make_unique<Asking>(daemon_->runtime_dir());
  for (Cell& cell : cells_) {
    cell.forged = forge(cell);
    if (cell.kind != Kind::kFirstKeys) cell.known = issue(cell);
    if (cell.kind == Kind::kNewKey) cell.old_key = issue(cell);
  }
  std::string last;  // that was not valid
  ASSERT_TRUE(eventually([&] {
    std::vector<Question> questions;
    for (const Cell& cell : cells_) {
      if (!cell.known.empty()) questions.push_back({.profile = cell.profile, .token = cell.known});
    }
    const auto said = asking_->ask(questions);
    for (std::size_t i = 0; i < said.size(); ++i) {
      if (said[i] != "valid") last = questions[i].profile + " " + said[i];
    }
    return std::ranges::count(said, "valid") == std::ssize(said);
  })) << last
      << "\n"
      << daemon_->authctl({"upstreams"}).out;
  for (const auto& [harm, each] : providers_) each->tell("rotate");
  for (Cell& cell : cells_) cell.token = issue(cell);
}

std::uint16_t FaultMatrix::liar(const Fault& fault) {
  auto& made = liars_[fault.name];
  if (made) return made->port();
  const auto directory = daemon_->scratch("liar-" + std::to_string(liars_.size()));
  std::filesystem::create_directory(directory);
  const TestCa& trusted = providers_.at(Harm::kNone)->ca();
  const std::string file = "liar-" + std::to_string(liars_.size()), here = "IP:127.0.0.1";
  const Leaf leaf = fault.certificate == Certificate::kOtherName
                        ? trusted.leaf(file, "DNS:other.example,IP:127.0.0.2")
                    : fault.certificate == Certificate::kExpired ? trusted.leaf(file, here, -7200, -3600)
                    : fault.certificate == Certificate::kOtherAuthority ? TestCa(directory).leaf(file, here)
                                                                        : trusted.leaf(file, here);
  made = std::make_unique<LyingIssuer>(leaf, fault.lie, jwks({mallory_.public_jwk("mallory", "ES256")}));
  return made->port();
}

void FaultMatrix::begin_faults() {
  for (const Cell& cell : cells_) {
    const Fault& fault = *cell.fault;
    proxy_.begin(cell.gate, fault.trouble, fault.trouble == Trouble::kElsewhere ? liar(fault) : 0);
  }
  providers_.at(Harm::kStopped)->suspend();
  providers_.at(Harm::kKilled)->kill();
  databases_->begin_harm();
  configure(true);  // with the profiles that never had a key
  const Ran reloaded = daemon_->authctl({"reload"});
  ASSERT_EQ(reloaded.exit, 0) << reloaded.err << daemon_->log();
}

void FaultMatrix::look_at_known() {
  for (Cell& cell : cells_) {
    if (cell.known.empty() || cell.policy->known != Known::kKept) continue;
    const bool hit = asking_->lookup({.profile = cell.profile, .token = cell.known}) == "valid";
    ++(hit ? cell.hits : cell.misses);
  }
}

void FaultMatrix::ask_during_faults(int round) {
  std::vector<Question> questions;
  for (const Cell& cell : cells_) {
    questions.push_back({.profile = cell.profile, .token = cell.token});
    questions.push_back({.profile = cell.profile, .token = cell.forged});
  }
  const auto said = asking_->ask(questions);
  for (std::size_t i = 0; i < cells_.size(); ++i) {
    Cell& cell = cells_[i];
    const std::string &token = said[2 * i], &forged = said[2 * i + 1];
    // The first answer counts, unless a later one is not what was expected of it. Half-open ends by itself.
    const bool heals = cell.fault->trouble == Trouble::kVanish && round > 0;
    if (cell.asked++ == 0 || (!heals && !token.starts_with(cell.expected()))) cell.seen = token;
    if (forged == "valid" || (token == "valid" && cell.expected() != "valid" && !heals)) ++cell.false_valid;
    const std::string found = asking_->lookup({.profile = cell.profile, .token = cell.token});
    const bool refused =
        std::ranges::any_of(kRefusals, [&](std::string_view word) { return found.starts_with(word); });
    if (token.starts_with("unavailable") && refused) ++cell.remembered;
  }
  look_at_known();
}

// Those whose records end: is it as their policy has it?
void FaultMatrix::ask_for_known() {
  std::vector<Question> questions;
  std::vector<Cell*> asked;
  for (Cell& cell : cells_) {
    if (cell.known_expected().empty()) continue;
    questions.push_back({.profile = cell.profile, .token = cell.known});
    asked.push_back(&cell);
  }
  const auto said = asking_->ask(questions);
  for (std::size_t i = 0; i < asked.size(); ++i) {
    asked[i]->known_seen = said[i];
    asked[i]->false_valid += said[i] == "valid" && asked[i]->known_expected() != "valid" ? 1 : 0;
  }
}

// The last error of each upstream, as an operator sees it.
void FaultMatrix::note_names() {
  const auto document = daemon_->authctl({"upstreams", "--json"}).json();
  for (const auto& upstream : document.at("upstreams").as_array()) {
    const auto cell =
        std::ranges::find(cells_, std::string(upstream.at("profile").as_string()), &Cell::profile);
    const auto* error = upstream.at("state").as_object().if_contains("last_error");
    if (cell != cells_.end() && error != nullptr) cell->named = std::string(error->as_string());
  }
}

void FaultMatrix::end_faults() {
  providers_.at(Harm::kKilled)->start();
  providers_.at(Harm::kStopped)->resume();
  databases_->end_harm();
  for (Cell& cell : cells_) {
    proxy_.end(cell.gate);
    cell.ended = steady_clock::now();
  }
}

// The same tokens are asked about until each is what it truly is; nobody waits for another.
void FaultMatrix::await_recovery() {
  std::vector<bool> under_way(cells_.size());
  std::vector<steady_clock::time_point> next(cells_.size());
  const auto end = steady_clock::now() + kRecoveryMax;
  while (steady_clock::now() < end &&
         !std::ranges::all_of(cells_, [](const Cell& cell) { return cell.recovery.has_value(); })) {
    for (std::size_t i = 0; i < cells_.size(); ++i) {
      if (cells_[i].recovery || under_way[i] || steady_clock::now() < next[i]) continue;
      under_way[i] = true;
      asking_->submit({.profile = cells_[i].profile, .token = cells_[i].token}, i);
    }
    for (const Answered& each : asking_->collect(milliseconds(20))) {
      Cell& cell = cells_.at(each.data);
      under_way[each.data] = false;
      next[each.data] = steady_clock::now() + kAskAgain;
      cell.seen_afterwards = each.said;
      if (!each.said.starts_with(cell.afterwards())) continue;
      cell.recovery = std::chrono::duration_cast<milliseconds>(steady_clock::now() - cell.ended);
    }
    look_at_known();
  }
}

void FaultMatrix::ask_after_faults() {
  std::vector<Question> forged;
  for (const Cell& cell : cells_) forged.push_back({.profile = cell.profile, .token = cell.forged});
  const auto said = asking_->ask(forged);
  for (std::size_t i = 0; i < cells_.size(); ++i) {
    cells_[i].false_valid += said[i] == "valid" ? 1 : 0;
    EXPECT_TRUE(said[i].starts_with("invalid"))
        << cells_[i].profile << ", " << cells_[i].fault->name << ": " << said[i];
  }
  look_at_known();
}

void FaultMatrix::judge(const Cell& cell) const {
  SCOPED_TRACE(std::string(cell.fault->name) + ", kind " + std::to_string(static_cast<int>(cell.kind)) +
               ", " + cell.profile);
  EXPECT_TRUE(cell.seen.starts_with(cell.expected())) << cell.seen;
  EXPECT_EQ(cell.false_valid, 0u);
  EXPECT_EQ(cell.remembered, 0u);
  EXPECT_TRUE(cell.known_seen.starts_with(cell.known_expected())) << "known before: " << cell.known_seen;
  EXPECT_EQ(cell.misses, 0u) << "a record that was good is not found any more";
  EXPECT_TRUE(cell.recovery) << cell.seen_afterwards << ": not over after " << kRecoveryMax.count() << " s";
  // A fetch that was slow, and in the end was answered, did not fail; those who could not wait for it were
  // told so.
  const bool answered_at_last =
      is_keyed(cell.kind) && (cell.fault->trouble == Trouble::kDrip || cell.fault->harm == Harm::kStopped);
  EXPECT_TRUE(answered_at_last || cell.named.empty() == (cell.expected() != "unavailable")) << cell.named;
}

TEST_P(FaultMatrix,
       NoFaultMakesAFalseValidIsRememberedOrOutlastsItself_A4_9_A4_10_A4_12_A4_15_A6_2_A6_8_B15) {
  cells_ = all_cells(GetParam());
  begin_without_faults();
  if (HasFatalFailure()) return;
  begin_faults();
  if (HasFatalFailure()) return;
  std::vector<Question> by_old_keys;
  for (const Cell& cell : cells_) {
    if (!cell.old_key.empty()) by_old_keys.push_back({.profile = cell.profile, .token = cell.old_key});
  }
  const auto windows_over = steady_clock::now() + kWindowsOver;
  for (int round = 0; round < kRounds; ++round) ask_during_faults(round);
  std::this_thread::sleep_until(windows_over);
  ask_for_known();
  note_names();
  // The last good set goes on, whatever happens.
  for (const std::string& said : asking_->ask(by_old_keys)) EXPECT_EQ(said, "valid");
  end_faults();
  await_recovery();
  note_names();  // a fetch that hangs fails late
  ask_after_faults();
  print(cells_);
  for (const Cell& cell : cells_) judge(cell);
  EXPECT_TRUE(daemon_->running());
}

constexpr std::span<const Policy> kAllPolicies(kPolicies);
INSTANTIATE_TEST_SUITE_P(Groups, FaultMatrix,
                         ::testing::Values(Group{kAllPolicies.first(1), false},
                                           Group{kAllPolicies.subspan(1, 2), false},
                                           Group{kAllPolicies.last(1), false},
                                           Group{kAllPolicies.first(2), true},
                                           Group{kAllPolicies.last(2), true}),
                         [](const auto& group) { return std::to_string(group.index); });

class Burst : public ProviderTest {};

TEST_F(Burst, TenThousandMissesOfOneTokenAreOneQuestionAtTheProvider) {
  constexpr std::size_t kWaitersMax =
      10'000;  // limits.waiters_per_flight, and what one client may have in flight
  start({.more = "[limits]\nupstream_timeout = \"30s\"\n"});
  const std::string token = provider_->issue(kOpaqueApi);
  ASSERT_EQ(validate("opaque", provider_->issue(kOpaqueApi)), "valid");  // connected
  const std::int64_t before = provider_->asked("/token/introspection");
  provider_->suspend();
  Asking asking(daemon_->runtime_dir());
  for (std::size_t i = 0; i < kWaitersMax; ++i) {
    asking.submit({.profile = "opaque", .token = token, .timeout_ms = 60'000}, i);
  }
  std::map<std::string, std::size_t> said;
  std::size_t count = 0;
  const auto collect = [&] {  // which also sends
    for (const Answered& each : asking.collect(milliseconds(20))) ++said[each.said], ++count;
  };
  EXPECT_TRUE(eventually([&] {
    collect();
    return daemon_->stat("daemon", "coalesced") == kWaitersMax - 1;
  }));
  EXPECT_EQ(count, 0u);
  provider_->resume();
  EXPECT_TRUE(eventually([&] {
    collect();
    return count == kWaitersMax;
  }));
  EXPECT_EQ(said, (std::map<std::string, std::size_t>{{"valid", kWaitersMax}}));
  EXPECT_EQ(provider_->asked("/token/introspection"), before + 1);
}

}  // namespace
}  // namespace authcache_test
