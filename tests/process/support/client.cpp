#include "tests/process/support/client.hpp"

#include <stdexcept>

namespace authcache_test {

Client::Client(const std::filesystem::path& runtime_dir, std::uint32_t flags) {
  authcache_options options = AUTHCACHE_OPTIONS_INIT;
  options.runtime_dir = runtime_dir.c_str();
  options.flags = flags;
  if (authcache_open(&options, &client_) != AUTHCACHE_OK) refused_ = authcache_last_error(nullptr);
}

Client::~Client() {
  for (auto& [text, requirement] : requirements_) authcache_requirement_free(requirement);
  authcache_close(client_);
}

authcache_requirement* Client::requirement(const Question& question) {
  const std::string name =
      question.profile + '\n' + question.audience + '\n' + question.scope + '\n' + question.permission;
  authcache_requirement*& made = requirements_[name];
  if (made != nullptr) return made;
  int result = authcache_requirement_create(client_, question.profile.c_str(), &made);
  if (!question.audience.empty())
    result |= authcache_requirement_add_audience(made, question.audience.c_str());
  if (!question.scope.empty()) result |= authcache_requirement_add_scope(made, question.scope.c_str());
  if (!question.permission.empty())
    result |= authcache_requirement_add_permission(made, question.permission.c_str());
  if (result != AUTHCACHE_OK) throw std::runtime_error(authcache_last_error(client_));
  return made;
}

std::string Client::ask(const Question& question, bool may_ask_daemon) {
  if (client_ == nullptr) return "not open";
  identity_ = AUTHCACHE_IDENTITY_INIT;
  const char* const token = question.token.data();
  const int verdict =
      may_ask_daemon
          ? authcache_validate(client_, token, question.token.size(), requirement(question),
                               question.timeout_ms, &identity_)
          : authcache_lookup(client_, token, question.token.size(), requirement(question), &identity_);
  const std::string reason = verdict < 0 ? "" : authcache_reason_name(identity_.reason);
  return authcache_verdict_name(verdict) + (reason.empty() ? "" : "/" + reason);
}

std::string Client::prove(const Shown& shown) {
  authcache_dpop_proof proof = AUTHCACHE_DPOP_PROOF_INIT;
  proof.proof = shown.proof.data();
  proof.proof_len = shown.proof.size();
  proof.method = shown.method.data();
  proof.method_len = shown.method.size();
  proof.url = shown.url.data();
  proof.url_len = shown.url.size();
  proof.token = shown.token.data();
  proof.token_len = shown.token.size();
  if (!shown.nonce.empty()) {
    proof.nonce = shown.nonce.data();
    proof.nonce_len = shown.nonce.size();
  }
  int number = 0;
  const int verdict = authcache_dpop_verify(client_, &proof, shown.timeout_ms, &thumbprint_, &number);
  const std::string reason = authcache_reason_name(number);
  return authcache_verdict_name(verdict) + (reason.empty() ? "" : "/" + reason);
}

std::string Client::validate_shown(const Question& question) {
  authcache_bound_requirement bound;
  (void)authcache_requirement_bind(requirement(question), &thumbprint_, &bound);
  identity_ = AUTHCACHE_IDENTITY_INIT;
  const int verdict = authcache_validate(client_, question.token.data(), question.token.size(), &bound.requirement,
                                         question.timeout_ms, &identity_);
  const std::string reason = verdict < 0 ? "" : authcache_reason_name(identity_.reason);
  return authcache_verdict_name(verdict) + (reason.empty() ? "" : "/" + reason);
}

std::string Client::validate_with_certificate(const Question& question, const std::string& certificate) {
  (void)authcache_thumbprint_of_certificate(certificate.data(), certificate.size(), &thumbprint_);
  return validate_shown(question);
}

std::string Client::subject() {
  char text[512];
  const int bytes = authcache_identity_text(client_, &identity_, AUTHCACHE_FIELD_SUBJECT, text, sizeof text);
  return bytes < 0 ? "gone" : std::string(text, static_cast<std::size_t>(bytes));
}

std::uint64_t Client::generation() {
  authcache_status_info status = AUTHCACHE_STATUS_INIT;
  return authcache_status(client_, &status) == AUTHCACHE_OK && status.attached != 0 ? status.generation : 0;
}

}  // namespace authcache_test
