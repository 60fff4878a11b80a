/* The ABI as a C11 program sees it: sizes and values that must never change, and every function called once.
 * Needs no table and no daemon: the runtime directory is an empty one. Exit 0: all held. */
#define _POSIX_C_SOURCE 200809L /* mkdtemp */
#include <authcache/authcache.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

_Static_assert(AUTHCACHE_VALID == 0 && AUTHCACHE_MISS == 1 && AUTHCACHE_INVALID == 2, "verdicts are ABI");
_Static_assert(AUTHCACHE_FORBIDDEN == 3 && AUTHCACHE_UNAVAILABLE == 4, "verdicts are ABI");
_Static_assert(AUTHCACHE_OK == 0 && AUTHCACHE_ERROR_USAGE == -1 && AUTHCACHE_ERROR_NOT_BEARER == -9,
               "errors are ABI");
_Static_assert(AUTHCACHE_REASON_CRITICAL == 16 && AUTHCACHE_REASON_SCOPE == 32 &&
                   AUTHCACHE_REASON_PROTOCOL == 75,
               "reasons are ABI");
_Static_assert(AUTHCACHE_REASON_PROOF_KEY == 48 && AUTHCACHE_REASON_PROOF_REPLAYED == 53, "reasons are ABI");
_Static_assert(sizeof(authcache_dpop_proof) == 120, "a DPoP proof is 120 bytes");
_Static_assert(offsetof(authcache_dpop_proof, size) == 0 && offsetof(authcache_dpop_proof, proof) == 8 &&
                   offsetof(authcache_dpop_proof, nonce) == 72,
               "the members of a DPoP proof stand where they stood");
_Static_assert(AUTHCACHE_FIELD_SUBJECT == 1 && AUTHCACHE_FIELD_CLAIMS == 9, "fields are ABI");
_Static_assert(sizeof(authcache_identity) == 128, "an identity is 128 bytes");
_Static_assert(sizeof(authcache_options) == 24, "options are 24 bytes");
_Static_assert(sizeof(authcache_thumbprint) == 40, "a thumbprint is 40 bytes");
_Static_assert(sizeof(authcache_bound_requirement) == 88, "a bound requirement is 88 bytes");
_Static_assert(sizeof(authcache_status_info) == 96, "a status is 96 bytes");
_Static_assert(sizeof(authcache_watch_event) == 64, "an event is 64 bytes");
_Static_assert(offsetof(authcache_watch_event, size) == 0 && offsetof(authcache_watch_event, data) == 16,
               "the members of an event stand where they stood");
_Static_assert(sizeof(authcache_answer) == 192, "an answer is 192 bytes");
_Static_assert(offsetof(authcache_answer, size) == 0 && offsetof(authcache_answer, verdict) == 4 &&
                   offsetof(authcache_answer, question) == 8 && offsetof(authcache_answer, data) == 16 &&
                   offsetof(authcache_answer, identity) == 64,
               "the members of an answer stand where they stood");
_Static_assert(offsetof(authcache_answer, identity) + sizeof(authcache_identity) == sizeof(authcache_answer),
               "the identity ends an answer, so that both can grow");
_Static_assert(offsetof(authcache_identity, size) == 0 && offsetof(authcache_options, size) == 0,
               "size comes first");
_Static_assert(offsetof(authcache_status_info, size) == 0 && offsetof(authcache_thumbprint, size) == 0,
               "size comes first");
_Static_assert(offsetof(authcache_bound_requirement, requirement) == 0,
               "a bound requirement is a requirement");

static int failures = 0;

static void check(int holds, const char* what) {
  if (holds) return;
  fprintf(stderr, "abi_test: does not hold: %s\n", what);
  ++failures;
}
#define CHECK(condition) check((condition) != 0, #condition)

static void call_without_a_table(authcache_client* client) {
  authcache_requirement* requirement = NULL;
  CHECK(authcache_requirement_create(client, "", &requirement) == AUTHCACHE_ERROR_USAGE);
  CHECK(authcache_requirement_create(client, "main", &requirement) == AUTHCACHE_OK);
  CHECK(authcache_requirement_add_audience(requirement, "api") == AUTHCACHE_OK);
  CHECK(authcache_requirement_add_scope(requirement, "read") == AUTHCACHE_OK);
  CHECK(authcache_requirement_add_permission(requirement, "orders:list") == AUTHCACHE_OK);

  authcache_thumbprint thumbprint = {(uint32_t)sizeof(authcache_thumbprint), AUTHCACHE_THUMBPRINT_JKT, {0}};
  authcache_bound_requirement bound;
  CHECK(authcache_requirement_bind(requirement, &thumbprint, &bound) == AUTHCACHE_OK);

  authcache_identity identity = AUTHCACHE_IDENTITY_INIT;
  CHECK(authcache_lookup(client, "token", 5, requirement, &identity) == AUTHCACHE_UNAVAILABLE);
  CHECK(identity.reason == AUTHCACHE_REASON_NO_TABLE);
  CHECK(identity.verdict == AUTHCACHE_UNAVAILABLE && identity.sequence == 0);
  CHECK(authcache_lookup(client, "token", 5, &bound.requirement, &identity) == AUTHCACHE_UNAVAILABLE);
  CHECK(authcache_lookup(client, "token", 5, NULL, &identity) == AUTHCACHE_ERROR_USAGE);
  CHECK(authcache_lookup(client, "", 0, requirement, &identity) == AUTHCACHE_INVALID);
  CHECK(authcache_validate(client, "token", 5, requirement, 100, &identity) == AUTHCACHE_UNAVAILABLE);
  CHECK(authcache_last_error(client)[0] != '\0');

  char buffer[16];
  CHECK(authcache_identity_text(client, &identity, AUTHCACHE_FIELD_SUBJECT, buffer, sizeof buffer) ==
        AUTHCACHE_ERROR_USAGE);
  uint64_t held = 1;
  CHECK(authcache_identity_permissions(client, &identity, requirement, &held) == AUTHCACHE_ERROR_USAGE && held == 0);

  uint64_t watch = 1;
  CHECK(authcache_watch(client, &identity, 7, &watch) == AUTHCACHE_ERROR_USAGE && watch == 0);
  CHECK(authcache_unwatch(client, 1) == AUTHCACHE_ERROR_NOT_FOUND);
  CHECK(authcache_watch_fd(client) >= 0);
  authcache_watch_event event = AUTHCACHE_WATCH_EVENT_INIT;
  CHECK(authcache_watch_next(client, &event) == AUTHCACHE_ERROR_NOT_FOUND);

  uint64_t question = 1;
  CHECK(authcache_submit(client, "token", 5, requirement, 100, 7, &question, &identity) == AUTHCACHE_UNAVAILABLE);
  CHECK(question == 0 && identity.reason == AUTHCACHE_REASON_DAEMON_UNREACHABLE);
  CHECK(authcache_submit(client, "token", 5, requirement, -1, 7, &question, &identity) == AUTHCACHE_ERROR_USAGE);
  CHECK(authcache_fd(client) >= 0);
  authcache_answer answers[2] = {AUTHCACHE_ANSWER_INIT};
  CHECK(answers[0].size == sizeof answers[0] && answers[0].verdict == AUTHCACHE_UNAVAILABLE);
  CHECK(answers[0].identity.size == sizeof(authcache_identity));
  CHECK(authcache_collect(client, answers, 2) == 0);
  CHECK(authcache_cancel(client, 1) == AUTHCACHE_ERROR_NOT_FOUND);
  authcache_dpop_proof proof = AUTHCACHE_DPOP_PROOF_INIT;
  int reason = 0;
  CHECK(proof.size == sizeof proof && proof.nonce == NULL);
  CHECK(authcache_dpop_verify(client, &proof, 100, &thumbprint, &reason) == AUTHCACHE_ERROR_USAGE);
  proof.proof = "a.b.c";
  proof.proof_len = 5;
  proof.method = proof.url = proof.token = "x";
  proof.method_len = proof.url_len = proof.token_len = 1;
  CHECK(authcache_dpop_verify(client, &proof, 100, &thumbprint, &reason) == AUTHCACHE_UNAVAILABLE);
  CHECK(reason == AUTHCACHE_REASON_DAEMON_UNREACHABLE && thumbprint.kind == 0);
  CHECK(authcache_requirement_bind(requirement, &thumbprint, &bound) == AUTHCACHE_ERROR_USAGE);
  CHECK(authcache_thumbprint_of_certificate("x", 1, &thumbprint) == AUTHCACHE_ERROR_MALFORMED);

  authcache_status_info status = AUTHCACHE_STATUS_INIT;
  CHECK(authcache_status(client, &status) == AUTHCACHE_OK);
  CHECK(status.attached == 0 && status.library_format > 0);
  CHECK(authcache_refresh(client) == AUTHCACHE_ERROR_NOT_FOUND);
  authcache_requirement_free(requirement);
  authcache_requirement_free(NULL);
}

int main(void) {
  printf(
      "identity %zu, options %zu, thumbprint %zu, requirement %zu, bound %zu, status %zu bytes; version %s\n",
      sizeof(authcache_identity), sizeof(authcache_options), sizeof(authcache_thumbprint),
      sizeof(authcache_requirement), sizeof(authcache_bound_requirement), sizeof(authcache_status_info),
      authcache_version());

  char dir[] = "/tmp/authcache-abi.XXXXXX";
  if (mkdtemp(dir) == NULL) return 2;
  authcache_options options = AUTHCACHE_OPTIONS_INIT;
  options.runtime_dir = dir;
  authcache_client* client = NULL;
  CHECK(authcache_open(&options, &client) == AUTHCACHE_OK);
  if (client != NULL) call_without_a_table(client);
  authcache_close(client);
  authcache_close(NULL);
  rmdir(dir);

  options.flags = ~0u;
  CHECK(authcache_open(&options, &client) == AUTHCACHE_ERROR_USAGE);
  CHECK(client == NULL && authcache_last_error(NULL)[0] != '\0');

  const char* token = NULL;
  size_t token_len = 0;
  CHECK(authcache_bearer("Bearer abc", 10, &token, &token_len) == AUTHCACHE_OK);
  CHECK(token_len == 3 && memcmp(token, "abc", 3) == 0);
  CHECK(authcache_bearer("Bearer", 6, &token, &token_len) == AUTHCACHE_ERROR_MALFORMED);
  CHECK(authcache_bearer("Basic abc", 9, &token, &token_len) == AUTHCACHE_ERROR_NOT_BEARER);
  CHECK(authcache_dpop_token("DPoP abc", 8, &token, &token_len) == AUTHCACHE_OK);
  CHECK(token_len == 3 && memcmp(token, "abc", 3) == 0);
  CHECK(authcache_dpop_token("DPoP", 4, &token, &token_len) == AUTHCACHE_ERROR_MALFORMED);
  CHECK(authcache_dpop_token("Bearer abc", 10, &token, &token_len) == AUTHCACHE_ERROR_NOT_BEARER);

  CHECK(strcmp(authcache_verdict_name(AUTHCACHE_VALID), "valid") == 0);
  CHECK(strcmp(authcache_verdict_name(AUTHCACHE_ERROR_USAGE), "usage_error") == 0);
  CHECK(strcmp(authcache_verdict_name(1000), "?") == 0);
  CHECK(strcmp(authcache_reason_name(AUTHCACHE_REASON_NONE), "") == 0);
  CHECK(strcmp(authcache_reason_name(AUTHCACHE_REASON_BAD_SIGNATURE), "bad_signature") == 0);
  CHECK(strcmp(authcache_reason_name(-1), "?") == 0);
  CHECK(strcmp(authcache_reason_name(1 << 20), "?") == 0);
  return failures == 0 ? 0 : 1;
}
