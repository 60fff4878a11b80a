#include "daemon/control/face/table_backend.hpp"

#include <openssl/crypto.h>

#include "daemon/control/control_handler.hpp"
#include "daemon/control/face/identity_fields.hpp"
#include "daemon/upstream/key_set_source.hpp"
#include "shm/profile_directory.hpp"
#include "shm/role_granted.hpp"
#include "shm/wire.hpp"

namespace authcached {

namespace shm = authcache::shm;
using A = shm::StdAtomics;
using shm::Reason;
using shm::Verdict;

namespace {

// As whom the face asks: the kernel gives no process this uid (it means "no change"), so the budget is the
// face's alone.
constexpr uid_t kFaceUid = static_cast<uid_t>(-1);
// A token whose record ends between the upstream's answer and the look at the table is asked for again, as
// the SDK does.
constexpr int kAsksMax = 3;
// For a newer key set: an issuer that logs out waits for the answer, a few seconds commonly.
constexpr std::uint64_t kKeysPatienceNs = 3'000'000'000;
// Signature checks of a minute at the most: an issuer that logs out so many at once is asked to wait.
constexpr std::size_t kLogoutsUnderWayMax = 256;
// Remembered jti's. One forgotten early is revoked by again, which changes nothing.
constexpr std::size_t kLogoutsRememberedMax = 10'000;

Decision without_record(Verdict verdict, Reason reason) {
  Decision decision;
  decision.verdict = verdict;
  decision.reason = reason;
  return decision;
}

const shm::Terms& terms_of(const FaceRequirement& requirement, const shm::TableView& view) {
  const std::uint64_t config = A::load_acquire(view.header().config);
  const std::uint64_t dictionary = A::load_acquire(view.header().dictionary);
  shm::Terms& kept = requirement.terms;
  if (kept.attachment != view.generation || kept.config != config || kept.dictionary != dictionary) {
    kept = shm::compile_terms(
        view, config, dictionary,
        {requirement.profile, requirement.scopes, requirement.permissions, requirement.audiences});
    kept.attachment = view.generation;
  }
  return kept;
}

Peer peer_of_actor(const FaceActor& actor) {
  constexpr uid_t kNobody = static_cast<uid_t>(-1);  // a loopback address shows no user
  return actor.local.value_or(Peer{0, kNobody, kNobody});
}

std::string shown(std::string_view what, const FaceActor& actor) {
  return std::string(what) + (actor.client.empty() ? " over http" : " over http by client " + actor.client);
}

}  // namespace

bool TableBackend::decide_now(const FaceQuestion& question, Decision& decision) {
  Tables& tables = services_.tables;
  tables.beat(static_cast<std::uint64_t>(services_.clock.monotonic_ns()));
  if (question.token.empty() || question.token.size() > shm::wire::kTokenMax) {
    decision =
        without_record(Verdict::kInvalid, question.token.empty() ? Reason::kMalformed : Reason::kTooLong);
    return true;
  }
  if (look(tables.newest(), question, decision)) return true;
  // While the table is being replaced, its successor may not have been given this record yet.
  return tables.replacing() && look(tables.current(), question, decision);
}

// The order is that of every reader: directory - terms - clock - record - epochs - profile state -
// evaluation. Only the checks for a writer that is not there are left out: this is the writer's thread.
bool TableBackend::look(const Generation& generation, const FaceQuestion& question, Decision& decision) {
  const shm::TableView& view = generation.writer.view();
  const shm::Terms& terms = terms_of(*question.requirement, view);
  if (!terms.profile_known) {
    decision = without_record(Verdict::kUnavailable, Reason::kUnknownProfile);
    return true;
  }
  const shm::Key key = shm::key_of(shm::token_digest(terms.profile_id, question.token));
  const auto now = static_cast<std::uint64_t>(services_.clock.monotonic_ns());
  shm::Found found;
  if (!generation.writer.find(key, found) || !shm::is_current(view, found.record, now)) return false;
  const auto state =
      static_cast<shm::ProfileState>(A::load_acquire(view.profile(terms.config, terms.profile_entry).state));
  if (state != shm::ProfileState::kCurrent) {
    decision = without_record(Verdict::kUnavailable, Reason::kCatchingUp);
    return true;
  }
  shm::ColdRecord cold;
  auto text = shm::read_text(view, found.slot, found.record.control, text_, cold);
  if ((shm::unpack_facts(found.record.facts).flags & shm::kTextOnSocket) != 0) {
    text = services_.texts.get({view.generation, found.slot, found.record.sequence()});
    if (text->empty()) return false;  // it lies with us no more: nobody can use the record
  }
  if (!text) return false;
  decision = {};
  judge(generation, question, found, terms, *text, decision);
  decision.text = *text;
  shm::TextBuilder granted;
  shm::each_role_grant(view, A::load_relaxed(view.header().dictionary), found.record.grants, *text,
                       [&](std::string_view grant) { (void)granted.add(shm::TextField::kPermissions, grant); });
  if (!granted.bytes().empty()) {
    effective_text_.assign(*text).append(granted.bytes());
    decision.text = effective_text_;
  }
  decision.expires_wall_ns = cold.expires_wall_ns;
  decision.issued_wall_ns = cold.issued_wall_ns;
  return true;
}

void TableBackend::judge(const Generation& generation, const FaceQuestion& question, const shm::Found& found,
                         const shm::Terms& terms, std::string_view text, Decision& decision) const {
  const FaceRequirement& requirement = *question.requirement;
  const auto proved = question.binding == Binding::kReported ? thumbprint_in(text) : question.proved;
  const shm::Asked asked{
      .scopes = requirement.scopes,
      .permissions = requirement.permissions,
      .audiences = requirement.audiences,
      .defaults = {&generation.writer.view(), terms.config, terms.profile_entry, terms.default_audiences},
      .thumbprint = proved ? &*proved : nullptr,
      .view = &generation.writer.view()};
  const shm::Evaluation evaluation = shm::evaluate(found.record, terms, asked, text);
  decision.verdict = evaluation.verdict;
  decision.reason = evaluation.reason;
  if (const auto profile = profile_named(services_.profiles, requirement.profile)) {
    decision.leeway_ns = std::chrono::nanoseconds(profile->config.leeway).count();
  }
  // As the SDK marks its hits: a token in use through the face alone must not look unused to eviction.
  if (decision.verdict == Verdict::kValid && generation.recency) {
    std::uint8_t& mark = generation.recency->bytes()[found.slot];
    if (mark == 0) mark = 1;
  }
}

struct TableBackend::Asking {
  FaceQuestion question;  // its token points at the copy below
  std::string token;
  int asks = 0;
  std::move_only_function<void(const Decision&)> done;
  ~Asking() { OPENSSL_cleanse(token.data(), token.size()); }
};

void TableBackend::decide_later(const FaceQuestion& question,
                                std::move_only_function<void(const Decision&)> done) {
  auto asking = std::make_shared<Asking>();
  asking->question = question;
  asking->token = question.token;
  asking->question.token = asking->token;
  asking->done = std::move(done);
  ask(std::move(asking));
}

void TableBackend::ask(std::shared_ptr<Asking> asking) {
  const auto profile = profile_named(services_.profiles, asking->question.requirement->profile);
  if (!profile) return asking->done(without_record(Verdict::kUnavailable, Reason::kUnknownProfile));
  services_.resolver.validate(
      profile, asking->token, kFaceUid, [this, asking](const shm::wire::ValidateReply& reply) {
        if (reply.verdict != Verdict::kValid)
          return asking->done(without_record(reply.verdict, reply.reason));
        // Nothing is valid but by its record, judged as every hit is.
        Decision decision;
        if (decide_now(asking->question, decision)) return asking->done(decision);
        if (++asking->asks == kAsksMax)
          return asking->done(without_record(Verdict::kUnavailable, Reason::kOverloaded));
        services_.loop.post([this, asking] { ask(asking); });
      });
}

void TableBackend::revoke_token(std::string_view token, const FaceActor& actor,
                                std::move_only_function<void(bool)> done) {
  services_.revoker.revoke_token(
      token, [this, actor, done = std::move(done)](shm::Result<RevokeReport> report) mutable {
        const std::string change = report ? ", change " + std::to_string(report->change) : "";
        leave_audit(services_, peer_of_actor(actor), "revoke", shown("token", actor) + change,
                    report ? "ok" : report.error().message);
        done(report.has_value());
      });
}

struct TableBackend::LogoutWork {
  std::string token;
  LogoutPolicy policy;
  std::shared_ptr<Upstream> upstream;  // whose keys these are: a reload may drop it meanwhile
  std::shared_ptr<const KeySet> keys;
  bool sought = false;  // for a newer set; once is enough
  FaceActor actor;
  std::move_only_function<void(LogoutOutcome)> done;
  std::string remembered_as;
};

void TableBackend::log_out(const HttpLogoutConfig& config, std::string_view logout_token,
                           const FaceActor& actor, std::move_only_function<void(LogoutOutcome)> done) {
  const auto profile = profile_named(services_.profiles, config.profile);
  if (profile == nullptr || profile->upstream->key_set() == nullptr)
    return done({LogoutEnd::kRefused, "there is no profile of this name with an issuer's keys"});
  if (logouts_under_way_ >= kLogoutsUnderWayMax) return done({LogoutEnd::kBusy, "too many logouts at once"});
  ++logouts_under_way_;
  auto work = std::make_shared<LogoutWork>();
  work->token = logout_token;
  work->policy = {profile->config.issuer, config.audience, profile->config.algorithms,
                  std::chrono::nanoseconds(profile->config.leeway).count()};
  work->upstream = profile->upstream;
  work->actor = actor;
  work->done = [this, done = std::move(done)](LogoutOutcome outcome) mutable {
    --logouts_under_way_;
    done(outcome);
  };
  check_logout(std::move(work));
}

void TableBackend::check_logout(std::shared_ptr<LogoutWork> work) {
  work->keys = work->upstream->key_set()->keys();
  if (work->keys == nullptr) return seek_keys(std::move(work));
  verifier_.post([this, work = std::move(work), now = services_.clock.wall_ns()] {
    std::expected<Logout, std::string_view> logout = std::unexpected("the daemon has no memory for it");
    try {
      logout = verify_logout_token(work->token, work->policy, *work->keys, now);
    } catch (const std::exception&) {  // told as it stands above
    }
    services_.loop.post([this, work, logout] {
      if (logout) return revoke_session(work->policy.issuer, *logout, work);
      if (logout.error() == kSignedByNoKey) return seek_keys(work);
      work->done({LogoutEnd::kRefused, logout.error()});
    });
  });
}

// The issuer may have begun to sign with a key that came after the last look at its set: a logout that is
// refused for that is a session that lives on.
void TableBackend::seek_keys(std::shared_ptr<LogoutWork> work) {
  if (work->sought) return work->done({LogoutEnd::kRefused, kSignedByNoKey});
  work->sought = true;
  const uid_t uid = peer_of_actor(work->actor).uid;
  const std::uint64_t deadline_ns = static_cast<std::uint64_t>(services_.clock.monotonic_ns()) + kKeysPatienceNs;
  KeySetSource& source = *work->upstream->key_set();
  source.seek(work->keys.get(), uid, deadline_ns, [this, work](Sought found, std::int64_t) {
    if (found == Sought::kChanged) return check_logout(work);
    if (found == Sought::kNotThere) return work->done({LogoutEnd::kRefused, kSignedByNoKey});
    work->done({LogoutEnd::kBusy, "the issuer's keys cannot be had"});
  });
}

bool TableBackend::is_known(const std::string& name) {
  const std::int64_t now = services_.clock.wall_ns();
  if (logouts_done_.size() >= kLogoutsRememberedMax)
    std::erase_if(logouts_done_, [&](const auto& each) { return each.second <= now; });
  if (logouts_done_.size() >= kLogoutsRememberedMax) logouts_done_.clear();
  const auto found = logouts_done_.find(name);
  return found != logouts_done_.end() && found->second > now;
}

// By sid where there is one, which no later login has; else by subject, up to the moment that the token
// tells, so that what is issued after that logout is good.
void TableBackend::revoke_session(const std::string& issuer, const Logout& logout,
                                  std::shared_ptr<LogoutWork> work) {
  work->remembered_as = issuer + '\0' + logout.jti;
  if (is_known(work->remembered_as)) return work->done({LogoutEnd::kDone, {}});
  RevokeTarget target;
  target.scope = issuer;
  target.kind = logout.sid.empty() ? RuleKind::kSubject : RuleKind::kSid;
  target.value = logout.sid.empty() ? logout.subject : logout.sid;
  if (logout.sid.empty()) target.not_before_wall_ns = logout.issued_wall_ns;
  const std::string named = std::string(rule_kind_name(target.kind)) + " " + target.value + " of " + issuer;
  services_.revoker.revoke(std::move(target), [this, named, work, until = logout.expires_wall_ns](
                                                  shm::Result<RevokeReport> report) {
    const std::string change = report ? ", change " + std::to_string(report->change) : "";
    leave_audit(services_, peer_of_actor(work->actor), "logout", shown(named, work->actor) + change,
                report ? "ok" : report.error().message);
    if (!report) return work->done({LogoutEnd::kNotDurable, "the logout could not be made durable"});
    logouts_done_[work->remembered_as] = until;
    work->done({LogoutEnd::kDone, {}});
  });
}

std::vector<ProfileReadiness> TableBackend::readiness() const {
  std::vector<ProfileReadiness> profiles;
  for (const shm::ProfileDescription& profile : shm::read_profiles(services_.tables.newest().writer.view())) {
    profiles.push_back({profile.name, profile.state == shm::ProfileState::kCurrent});
  }
  return profiles;
}

}  // namespace authcached
