/* One request's check: the Authorization header's value comes as a line on standard input, the answer goes to
 * standard output as an HTTP status would.
 *
 *   cc -std=c11 validate.c $(pkg-config --cflags --libs authcache) -o validate
 *   printf 'Bearer %s\n' "$TOKEN" | ./validate PROFILE
 *
 * The token comes by standard input because arguments can be read by every process of the host. */
#define _POSIX_C_SOURCE 200809L
#include <authcache/authcache.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>

enum { kTimeoutMs = 2000 };

static int answer(authcache_client* client, const authcache_requirement* requirement, const char* header) {
  const char* token;
  size_t token_len;
  switch (authcache_bearer(header, strlen(header), &token, &token_len)) {
    case AUTHCACHE_OK: break;
    case AUTHCACHE_ERROR_NOT_BEARER: puts("401, and no error code: the request has no credentials"); return 1;
    default: puts("400 invalid_request"); return 1;
  }

  authcache_identity identity = AUTHCACHE_IDENTITY_INIT;
  const int verdict = authcache_validate(client, token, token_len, requirement, kTimeoutMs, &identity);
  const char* reason = authcache_reason_name(identity.reason);
  char subject[256];
  switch (verdict) {
    case AUTHCACHE_VALID:
      /* A record may be evicted between the two calls; then the token is validated again. */
      if (authcache_identity_text(client, &identity, AUTHCACHE_FIELD_SUBJECT, subject, sizeof subject) < 0) {
        puts("503: the identity is gone, ask again");
        return 4;
      }
      printf("200 subject %s\n", subject);
      return 0;
    case AUTHCACHE_INVALID: printf("401 invalid_token (%s)\n", reason); return 1;
    case AUTHCACHE_FORBIDDEN: printf("403 insufficient_scope (%s)\n", reason); return 1;
    case AUTHCACHE_UNAVAILABLE: printf("503 (%s) %s\n", reason, authcache_last_error(client)); return 4;
    default: printf("500 %s\n", authcache_last_error(client)); return 2;
  }
}

int main(int argc, char** argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: validate PROFILE < header\n");
    return 2;
  }
  static char header[17 * 1024]; /* the longest token is 16 KiB */
  if (fgets(header, sizeof header, stdin) == NULL) header[0] = '\0';
  header[strcspn(header, "\r\n")] = '\0';

  /* Whose table to trust: the user that the installed unit runs the daemon as, where there is one. */
  authcache_options options = AUTHCACHE_OPTIONS_INIT;
  const struct passwd* daemon = getpwnam("authcache");
  if (daemon != NULL) options.daemon_uid = daemon->pw_uid;

  authcache_client* client;
  if (authcache_open(&options, &client) != AUTHCACHE_OK) {
    fprintf(stderr, "validate: %s\n", authcache_last_error(NULL));
    return 3;
  }
  authcache_requirement* requirement;
  int status = 2;
  if (authcache_requirement_create(client, argv[1], &requirement) == AUTHCACHE_OK) {
    status = answer(client, requirement, header);
    authcache_requirement_free(requirement);
  } else {
    fprintf(stderr, "validate: %s\n", authcache_last_error(client));
  }
  authcache_close(client);
  return status;
}
