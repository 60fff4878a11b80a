/* authcache: is this bearer token good, whose is it, what may it do?
 *
 * The answer comes from shared memory that the daemon authcached keeps; a token that is not there is asked
 * for over a unix socket (authcache_validate). A revocation that was acknowledged is seen by every lookup
 * that starts later.
 *
 * Threads: one client and one requirement may be used by any number of threads at once, but for the functions
 * that say otherwise. After fork() parent and child both go on using them. Ownership: what a _create or _open
 * returns is given back to the matching _free or _close; everything else belongs to the caller. No function
 * keeps a pointer that it was given, but a bound requirement its base. Growth: a struct begins with its size,
 * set by its _INIT macro; later versions append members. Results: functions that decide return an
 * authcache_verdict or, below zero, an authcache_error. Others return AUTHCACHE_OK or an authcache_error,
 * unless they say otherwise. No function throws, logs, or raises a signal. */
#ifndef AUTHCACHE_AUTHCACHE_H
#define AUTHCACHE_AUTHCACHE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define AUTHCACHE_API __attribute__((visibility("default")))
#else
#define AUTHCACHE_API
#endif

typedef struct authcache_client authcache_client;

typedef enum authcache_verdict {
  AUTHCACHE_VALID = 0,
  AUTHCACHE_MISS = 1,       /* shared memory holds no current record: ask with authcache_validate */
  AUTHCACHE_INVALID = 2,    /* the token is bad: 401 invalid_token (RFC 6750 section 3.1) */
  AUTHCACHE_FORBIDDEN = 3,  /* the token is good, the requirement is not met: 403 insufficient_scope */
  AUTHCACHE_UNAVAILABLE = 4 /* cannot tell: 503; never treat it as a yes */
} authcache_verdict;

typedef enum authcache_error {
  AUTHCACHE_OK = 0,
  AUTHCACHE_ERROR_USAGE = -1,     /* an argument that cannot be meant: a defect of the calling program */
  AUTHCACHE_ERROR_MEMORY = -2,    /* out of memory */
  AUTHCACHE_ERROR_SYSTEM = -3,    /* the kernel said no */
  AUTHCACHE_ERROR_REFUSED = -4,   /* a table is there and must not be trusted: owner, mode, version, clock */
  AUTHCACHE_ERROR_NOT_FOUND = -5, /* no table is there, or only a retired one; no such watch or question; no event now */
  AUTHCACHE_ERROR_GONE = -6,      /* the record behind this identity is no longer there: validate again */
  AUTHCACHE_ERROR_UNAVAILABLE = -7, /* the daemon is needed for this and cannot answer now */
  AUTHCACHE_ERROR_MALFORMED = -8,   /* a header of the scheme that is not well formed: 400 invalid_request */
  AUTHCACHE_ERROR_NOT_BEARER = -9   /* no credentials, or of another scheme */
} authcache_error;

typedef enum authcache_reason {
  AUTHCACHE_REASON_NONE = 0,
  /* with AUTHCACHE_INVALID */
  AUTHCACHE_REASON_MALFORMED = 1,
  AUTHCACHE_REASON_UNKNOWN = 2,
  AUTHCACHE_REASON_EXPIRED = 3,
  AUTHCACHE_REASON_NOT_YET_VALID = 4,
  AUTHCACHE_REASON_REVOKED = 5,
  AUTHCACHE_REASON_BAD_SIGNATURE = 6,
  AUTHCACHE_REASON_UNKNOWN_KEY = 7,
  AUTHCACHE_REASON_ALGORITHM = 8,
  AUTHCACHE_REASON_ISSUER = 9,
  AUTHCACHE_REASON_AUDIENCE = 10,
  AUTHCACHE_REASON_CLAIMS = 11,
  AUTHCACHE_REASON_TYPE = 12,
  AUTHCACHE_REASON_CONFIRMATION = 13,
  AUTHCACHE_REASON_LIFETIME = 14,
  AUTHCACHE_REASON_TOO_LONG = 15,
  AUTHCACHE_REASON_CRITICAL = 16,
  /* with AUTHCACHE_FORBIDDEN */
  AUTHCACHE_REASON_SCOPE = 32,
  AUTHCACHE_REASON_PERMISSION = 33,
  AUTHCACHE_REASON_CONFIRMATION_REQUIRED = 34,
  /* with AUTHCACHE_INVALID, from authcache_dpop_verify */
  AUTHCACHE_REASON_PROOF_KEY = 48,
  AUTHCACHE_REASON_PROOF_METHOD = 49,
  AUTHCACHE_REASON_PROOF_URL = 50,
  AUTHCACHE_REASON_PROOF_TOKEN = 51,
  AUTHCACHE_REASON_PROOF_NONCE = 52,
  AUTHCACHE_REASON_PROOF_REPLAYED = 53,
  /* with AUTHCACHE_UNAVAILABLE */
  AUTHCACHE_REASON_NO_TABLE = 64,
  AUTHCACHE_REASON_HEARTBEAT_STALE = 65,
  AUTHCACHE_REASON_TIME_NAMESPACE = 66,
  AUTHCACHE_REASON_CATCHING_UP = 67,
  AUTHCACHE_REASON_DAEMON_UNREACHABLE = 68,
  AUTHCACHE_REASON_TIMEOUT = 69,
  AUTHCACHE_REASON_OVER_BUDGET = 70,
  AUTHCACHE_REASON_UPSTREAM = 71,
  AUTHCACHE_REASON_RETIRED = 72,
  AUTHCACHE_REASON_UNKNOWN_PROFILE = 73,
  AUTHCACHE_REASON_OVERLOADED = 74,
  AUTHCACHE_REASON_PROTOCOL = 75
} authcache_reason;

typedef enum authcache_field {
  AUTHCACHE_FIELD_SUBJECT = 1,
  AUTHCACHE_FIELD_ISSUER = 2,
  AUTHCACHE_FIELD_CLIENT_ID = 3,
  AUTHCACHE_FIELD_SID = 4,
  AUTHCACHE_FIELD_JTI = 5,
  AUTHCACHE_FIELD_SCOPES = 6,      /* separated by spaces */
  AUTHCACHE_FIELD_PERMISSIONS = 7, /* separated by spaces; what roles grant is among them, patterns as they are */
  AUTHCACHE_FIELD_AUDIENCE = 8,    /* a JSON array of strings */
  AUTHCACHE_FIELD_CLAIMS = 9       /* a JSON object */
} authcache_field;

/* ---- clients ---- */

/* Lookups never attach to a new table by themselves, so that authcache_lookup makes no system call in any
 * case and may be called in a signal handler or under seccomp. authcache_refresh attaches. */
#define AUTHCACHE_NO_REATTACH 1u

/* Tokens of 128 to 4096 bytes that were found valid are remembered by a keyed hash, so that the next lookup of one
 * need not take its SHA-256; everything else of the lookup stays. Half a MiB at most, no token in it. This flag
 * leaves the memo out. */
#define AUTHCACHE_NO_MEMO 2u

typedef struct authcache_options {
  uint32_t size;
  uint32_t flags; /* AUTHCACHE_NO_REATTACH, AUTHCACHE_NO_MEMO, both or 0 */
  const char* runtime_dir; /* NULL: $AUTHCACHE_RUNTIME_DIR (not in set-user-ID programs), else /run/authcache */
  int64_t daemon_uid; /* trusted as owner of the table, beside root and this process's user; -1: nobody else */
} authcache_options;
#define AUTHCACHE_OPTIONS_INIT \
  { (uint32_t)sizeof(authcache_options), 0, NULL, -1 }

/* Attaches to the table in the runtime directory; options may be NULL. Without a table (the daemon never ran) this
 * succeeds and the client answers AUTHCACHE_UNAVAILABLE until there is one. A table that must not be trusted is
 * AUTHCACHE_ERROR_REFUSED; *client is NULL then and authcache_last_error(NULL) says why. */
AUTHCACHE_API int authcache_open(const authcache_options* options, authcache_client** client);

/* Unmaps and closes. No other call on this client may be running or follow; free its requirements first. NULL
 * is ignored. */
AUTHCACHE_API void authcache_close(authcache_client* client);

/* ---- requirements ---- */

/* What a caller asks of a token, prepared once: a profile, and any of audience, scopes, permissions. The
 * member is the library's. */
typedef struct authcache_requirement {
  uint32_t kind;
  uint32_t reserved;
} authcache_requirement;

#define AUTHCACHE_THUMBPRINT_JKT 1u      /* RFC 9449: thumbprint of the DPoP key */
#define AUTHCACHE_THUMBPRINT_X5T_S256 2u /* RFC 8705: SHA-256 of the client certificate's DER */

typedef struct authcache_thumbprint {
  uint32_t size;
  uint32_t kind;
  uint8_t bytes[32];
} authcache_thumbprint;

/* A requirement with the key that this request proved. The storage is the caller's (the stack will do) and
 * needs no free; pass &bound.requirement where a requirement is asked for. */
typedef struct authcache_bound_requirement {
  authcache_requirement requirement;
  const authcache_requirement* base;
  authcache_thumbprint thumbprint;
  uint64_t reserved[4];
} authcache_bound_requirement;

/* Makes a requirement for one profile (1 to 63 bytes); it belongs to this client. Without an audience of its
 * own the profile's configured audience applies. USAGE, MEMORY. */
AUTHCACHE_API int authcache_requirement_create(authcache_client* client, const char* profile,
                                               authcache_requirement** requirement);

/* Each adds one NUL-terminated text, compared byte for byte. The token must be meant for one of the audiences (RFC
 * 7519 section 4.1.3, else AUTHCACHE_INVALID), and hold all scopes and all permissions (else AUTHCACHE_FORBIDDEN). A
 * permission is also held if a role grants it, by its name or by a pattern that covers it (docs/permissions.md). At
 * most 16 audiences, 64 scopes and 64 permissions, 1 to 4096 bytes each. To be called before the first use, by one
 * thread: later calls are USAGE. A failed add makes the requirement unusable, so that one that was meant to be
 * stricter never answers. */
AUTHCACHE_API int authcache_requirement_add_audience(authcache_requirement* requirement, const char* audience);
AUTHCACHE_API int authcache_requirement_add_scope(authcache_requirement* requirement, const char* scope);
AUTHCACHE_API int authcache_requirement_add_permission(authcache_requirement* requirement, const char* permission);

/* NULL is ignored; not a bound one. */
AUTHCACHE_API void authcache_requirement_free(authcache_requirement* requirement);

/* Fills *bound: base plus the thumbprint of the key that the caller verified possession of (TLS client certificate,
 * RFC 8705 section 3; DPoP proof, RFC 9449 section 4.3). A token with a confirmation is AUTHCACHE_VALID only with the
 * matching thumbprint; with a DPoP thumbprint a token that is bound to no key is AUTHCACHE_FORBIDDEN, since a proof by
 * a key that the token does not name proves nothing. Allocates nothing, async-signal-safe. base must outlive *bound
 * and must not be bound itself. */
AUTHCACHE_API int authcache_requirement_bind(const authcache_requirement* base,
                                             const authcache_thumbprint* thumbprint,
                                             authcache_bound_requirement* bound);

/* ---- decisions ---- */

/* What a decision was and which record it rests on. A handle, not the identity's text: see authcache_identity_text. */
typedef struct authcache_identity {
  uint32_t size;
  int32_t verdict;
  int32_t reason;
  uint32_t has_confirmation; /* 1: the token is bound to a key */
  uint64_t deadline_ns;      /* CLOCK_MONOTONIC; the record counts until then, longer if it is refreshed */
  uint64_t generation;
  uint64_t slot;
  uint64_t sequence; /* 0: no record */
  uint64_t key[3];
  uint64_t reserved[7];
} authcache_identity;
#define AUTHCACHE_IDENTITY_INIT \
  { (uint32_t)sizeof(authcache_identity), 0, 0, 0, 0, 0, 0, 0, {0, 0, 0}, { 0, 0, 0, 0, 0, 0, 0 } }

/* Decides from shared memory alone: no system call, no allocation, no lock, a bounded number of steps. Only a client
 * without a serving table tries to attach, once a second at most; with AUTHCACHE_NO_REATTACH never, and then this is
 * async-signal-safe. The token need not end in NUL; identity may be NULL, else its size member must be set. USAGE: a
 * NULL client, token or requirement, or a requirement of another client. */
AUTHCACHE_API int authcache_lookup(authcache_client* client, const char* token, size_t token_len,
                                   const authcache_requirement* requirement, authcache_identity* identity);

typedef struct authcache_token {
  const char* bytes; /* NULL only with len 0 */
  size_t len;
} authcache_token;

/* authcache_lookup of each of n tokens against one requirement, faster: their memory accesses overlap. verdicts holds
 * n; identities is NULL or holds n, each with its size set, all the same. As for one lookup: no system call, no
 * allocation, async-signal-safe with AUTHCACHE_NO_REATTACH; each verdict holds for some moment of the call. OK; USAGE
 * with nothing written. */
AUTHCACHE_API int authcache_lookup_batch(authcache_client* client, const authcache_token* tokens, size_t n,
                                         const authcache_requirement* requirement, int* verdicts,
                                         authcache_identity* identities);

/* The same as authcache_lookup, and asks the daemon on a miss; blocks for at most timeout_ms milliseconds over all its attempts
 * (0: a miss is AUTHCACHE_UNAVAILABLE at once; negative: USAGE). Never returns AUTHCACHE_MISS. Not for signal
 * handlers. */
AUTHCACHE_API int authcache_validate(authcache_client* client, const char* token, size_t token_len,
                                     const authcache_requirement* requirement, int timeout_ms,
                                     authcache_identity* identity);

/* ---- questions for event loops ---- */

/* authcache_validate waits for the daemon. A loop that must not wait submits the question, polls one descriptor, and
 * collects what was answered. Verdicts, reasons and identities are those that authcache_validate gives. The functions
 * below take a mutex and may make system calls: any thread, not for signal handlers. None waits for the daemon, whether
 * it is busy, stopped or gone. After fork() the child has no questions and its parent keeps all of its own. */

/* The same as authcache_lookup, and asks the daemon on a miss without waiting for the answer.
 *   AUTHCACHE_MISS  asked: the answer comes once, by authcache_collect, timeout_ms milliseconds from now at the latest
 *                   (if the loop is served then). *question gets its number, never 0; data is the caller's and comes
 *                   back with the answer. Token, requirement and a bound requirement's storage may go as soon as this
 *                   returns
 *   another verdict decided at once: *question is 0 and no answer comes. AUTHCACHE_UNAVAILABLE also where nobody
 *                   serves the socket now, and for a miss with timeout_ms 0
 * question and identity may be NULL. While a daemon restarts, what is in flight is asked again once it is back; so is
 * what it answered and was moved or evicted meanwhile; each question at most three times in all. USAGE: as for
 * authcache_lookup; a negative timeout_ms. UNAVAILABLE: 10000 questions of this client are in flight, counting those
 * whose answers were not collected. MEMORY, SYSTEM (out of descriptors: a client that submits uses four). On error
 * nothing was asked. */
AUTHCACHE_API int authcache_submit(authcache_client* client, const char* token, size_t token_len,
                                   const authcache_requirement* requirement, int timeout_ms, uint64_t data,
                                   uint64_t* question, authcache_identity* identity);

/* The descriptor to poll for reading (poll, select, epoll, io_uring; it is an epoll itself), the same for as long as
 * the client is open, over all restarts of the daemon. Readable: call authcache_collect; level-triggered, so that once
 * is enough, or edge-triggered if it is called until it gives none. It is readable too when there is other work than
 * an answer (output that waited for room, a deadline, a daemon to be tried again). It is the library's: do not close
 * it. A program that closed it (daemons close all descriptors on start) asks for a new one here. Below zero: SYSTEM,
 * MEMORY. */
AUTHCACHE_API int authcache_fd(authcache_client* client);

typedef struct authcache_answer {
  uint32_t size;
  int32_t verdict;   /* an authcache_verdict, never AUTHCACHE_MISS */
  uint64_t question; /* the number that authcache_submit gave */
  uint64_t data;     /* what was given to authcache_submit */
  uint64_t reserved[5];
  authcache_identity identity; /* stays last */
} authcache_answer;
#define AUTHCACHE_ANSWER_INIT                                                                     \
  {                                                                                               \
    (uint32_t)sizeof(authcache_answer), AUTHCACHE_UNAVAILABLE, 0, 0, {0, 0, 0, 0, 0}, AUTHCACHE_IDENTITY_INIT \
  }

/* Takes up to n answers that are there: how many, 0 if none. Never waits. n may be 0: other work is done then. Only the first one's size must be set; it is
 * the distance of two. A token that was found good is judged once more inside this call, so that a revocation that was
 * acknowledged before it is never AUTHCACHE_VALID, whenever the daemon's reply had come. Several threads may collect:
 * each answer goes to one of them. USAGE: answers NULL or without a size. MEMORY, SYSTEM: none was taken, call again. */
AUTHCACHE_API int authcache_collect(authcache_client* client, authcache_answer* answers, size_t n);

/* The answer of this question does not come any more, and its memory is free. OK; NOT_FOUND: no such question, or its
 * answer was collected. */
AUTHCACHE_API int authcache_cancel(authcache_client* client, uint64_t question);

/* Copies one text of the identity, NUL-terminated, and returns its length without the NUL, whatever the size: if that
 * is not smaller than size the buffer was too small and holds an empty text, never a part of one (a cut subject could
 * be another's). A text that the upstream did not state is empty, an unstated audience is "[]". The bytes are UTF-8 as
 * the upstream sent them and may contain NUL. Identities too large for the table are fetched from the daemon (blocks,
 * for at most a second). GONE: the record was evicted, moved, revoked or expired meanwhile; validate the token again. */
AUTHCACHE_API int authcache_identity_text(authcache_client* client, const authcache_identity* identity,
                                          authcache_field field, char* buffer, size_t size);

/* Which of the requirement's permissions the identity holds, by its record and without its token: bit i of *held is that
 * of the i-th add, so up to 64 questions in one call. AUTHCACHE_VALID: the record counts and all else that is asked is met
 * (*held may be 0). Any other verdict is what a lookup would say now, with *held 0; AUTHCACHE_MISS also if the record was
 * made anew, as when a role's definition changed: validate again. What a change took away that was acknowledged before the
 * call is never in *held. As a lookup: no system call, no allocation, async-signal-safe. USAGE: no record, or as there. */
AUTHCACHE_API int authcache_identity_permissions(authcache_client* client, const authcache_identity* identity,
                                                 const authcache_requirement* requirement, uint64_t* held);

/* ---- tokens bound to a key: DPoP and mutual TLS ---- */

/* The thumbprint x5t#S256 of a client certificate (RFC 8705 section 3.1), for authcache_requirement_bind. Pass the
 * certificate that the TLS connection of this request was authenticated with: its DER, or its PEM text if that holds
 * exactly one certificate and nothing else but white space (an escaped header value is to be unescaped first). At most
 * 64 KiB. That the handshake proved the key is for the caller to know; issuer, dates and names are not looked at, since
 * the token names this very certificate. OK; MALFORMED: neither of the two, and the thumbprint is unusable; USAGE,
 * MEMORY. No client is needed; any thread; not for signal handlers. */
AUTHCACHE_API int authcache_thumbprint_of_certificate(const void* certificate, size_t len,
                                                      authcache_thumbprint* thumbprint);

/* One DPoP proof (RFC 9449) and the request that it came with. No text need end in NUL; all belong to the caller. */
typedef struct authcache_dpop_proof {
  uint32_t size;
  uint32_t reserved_flags; /* 0 */
  const char* proof;       /* the value of the request's one DPoP header; that there is one is for the caller to see */
  size_t proof_len;
  const char* method; /* of the request, as it was sent: compared byte for byte */
  size_t method_len;
  const char* url; /* that the client sent the request to, absolute (http or https); query and fragment may be there
                      and are not compared. Build it from what the client must have meant: your own public scheme and
                      name, not an unchecked Host header */
  size_t url_len;
  const char* token; /* the access token of the same request */
  size_t token_len;
  const char* nonce; /* that you asked for (RFC 9449 section 9); NULL: none is asked for */
  size_t nonce_len;
  uint64_t reserved[4];
} authcache_dpop_proof;
#define AUTHCACHE_DPOP_PROOF_INIT                                                                      \
  { (uint32_t)sizeof(authcache_dpop_proof), 0, NULL, 0, NULL, 0, NULL, 0, NULL, 0, NULL, 0, {0, 0, 0, 0} }

/* Has the daemon check a proof as RFC 9449 section 4.3 says, and that it is used for the first time on this host. Blocks
 * for at most timeout_ms milliseconds (0: AUTHCACHE_UNAVAILABLE at once).
 *   AUTHCACHE_VALID        the proof is good, for this request and this token, and counts as used from now on.
 *                          *thumbprint is that of its key. This says nothing of the token: bind the thumbprint
 *                          (authcache_requirement_bind) and validate the token with the bound requirement, which is
 *                          AUTHCACHE_VALID only if the token is bound to this key
 *   AUTHCACHE_INVALID      401 invalid_dpop_proof; with reason proof_nonce 401 use_dpop_nonce
 *   AUTHCACHE_UNAVAILABLE  cannot tell: 503. The proof may be used up: the client makes a new one for its next attempt.
 *                          Reason catching_up: it may have been used before the daemon started, seconds ago
 * Unless AUTHCACHE_VALID, *thumbprint is zeros, which cannot be bound. *reason may be NULL, else it gets an
 * authcache_reason. USAGE: the proof's size is not set, a text is NULL, timeout_ms is negative. MEMORY. Any thread; not
 * for signal handlers. */
AUTHCACHE_API int authcache_dpop_verify(authcache_client* client, const authcache_dpop_proof* proof, int timeout_ms,
                                        authcache_thumbprint* thumbprint, int* reason);

/* ---- pins: the same token again, message after message ---- */

/* One record held by its place, for a connection that outlives its first request. The storage is the caller's (no
 * allocation); to be copied freely; good until the client is closed. */
typedef struct authcache_pinned {
  uint32_t size;
  uint32_t reserved;
  uint64_t words[16]; /* the library's */
} authcache_pinned;
#define AUTHCACHE_PINNED_INIT                                                                       \
  {                                                                                                 \
    (uint32_t)sizeof(authcache_pinned), 0, { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }       \
  }

/* Pins the record of an identity that was just AUTHCACHE_VALID for this requirement, which is judged once more.
 * AUTHCACHE_VALID: pinned. Any other verdict: not pinned, and this is what a lookup would say now (AUTHCACHE_MISS:
 * moved or gone meanwhile, validate the token again). USAGE: an identity without a record, a pin without its size. No
 * system call, no allocation, async-signal-safe. */
AUTHCACHE_API int authcache_pin(authcache_client* client, const authcache_identity* identity,
                                const authcache_requirement* requirement, authcache_pinned* pin);

/* Whether a lookup would still find this record valid for the pin's requirement, in a few loads and one clock read.
 *   AUTHCACHE_VALID        yes; also after its deadline was extended
 *   AUTHCACHE_INVALID      it was revoked: close
 *   AUTHCACHE_MISS         the pin ended and the token may be good: validate it again. Moved, evicted, past its deadline,
 *                          flushed, voided by an epoch (which is how issuers, keys and everything are revoked), its
 *                          profile reloaded, its table replaced
 *   AUTHCACHE_UNAVAILABLE  the table must not be believed now (heartbeat stale, profile catching up); the pin stays
 * A revocation that was acknowledged before the call is never AUTHCACHE_VALID, also if the same token was admitted
 * again into the same place. *reason may be NULL, else it gets an authcache_reason. USAGE: not pinned. Any thread, also
 * several at once with one pin; no system call, no allocation, no lock, async-signal-safe. */
AUTHCACHE_API int authcache_pin_check(const authcache_pinned* pin, int* reason);

/* Forgets the pin; later checks of it are USAGE. NULL is ignored. */
AUTHCACHE_API void authcache_unpin(authcache_pinned* pin);

/* ---- watches: being told when a token ends ---- */

/* For connections that are silent for long (streams, WebSockets, pooled connections): a descriptor becomes readable when
 * the record of a watched token ended, so that nobody has to ask. A watch tells of an end soon after it (a turn of the
 * daemon's loop and a socket later; what ended while the daemon restarted, within heartbeat_timeout/10 of its return).
 * What must not pass a revocation that was acknowledged is checked where it happens: pin the record too, and check the pin
 * before each message. The functions below take a mutex and may make system calls: any thread, not for signal
 * handlers. They never wait for the daemon. After fork() the child has no watches and its parent keeps all of its own. */

typedef struct authcache_watch_event {
  uint32_t size;
  int32_t verdict;
  int32_t reason; /* an authcache_reason */
  uint32_t reserved;
  uint64_t data;  /* what was given to authcache_watch */
  uint64_t watch; /* which it gave back; has ended */
  uint64_t reserved_words[4];
} authcache_watch_event;
#define AUTHCACHE_WATCH_EVENT_INIT                                       \
  {                                                                      \
    (uint32_t)sizeof(authcache_watch_event), 0, 0, 0, 0, 0, { 0, 0, 0, 0 } \
  }

/* Watches the record of an identity that was just AUTHCACHE_VALID. *watch gets the watch's number, which is never 0 nor
 * used again in this process; data is the caller's and comes back in the event. It may be called while the daemon is
 * down. A record that ended already is an event, not an error. USAGE: an identity without a record. UNAVAILABLE: this
 * client has 65536 watches, counting those whose events were not fetched. MEMORY, SYSTEM (out of descriptors: a client
 * with watches uses four). On error *watch is 0. */
AUTHCACHE_API int authcache_watch(authcache_client* client, const authcache_identity* identity, uint64_t data,
                                  uint64_t* watch);

/* Ends a watch without an event; one that waits to be fetched goes too. NOT_FOUND: no such watch, or its event was
 * fetched. */
AUTHCACHE_API int authcache_unwatch(authcache_client* client, uint64_t watch);

/* The descriptor to poll for reading (poll, select, epoll, level- or edge-triggered; it is an epoll itself), the same
 * for as long as the client is open. Readable: call authcache_watch_next until it has no event. It is readable too when
 * there is other work than an event, at most once every heartbeat_timeout/10 while no daemon answers. It is the
 * library's: do not close it. A program that closed it (daemons close all descriptors on start) asks for a new one
 * here. Below zero: SYSTEM, MEMORY. */
AUTHCACHE_API int authcache_watch_fd(authcache_client* client);

/* Takes the oldest event into *event: OK. NOT_FOUND: none now. Never waits. Each event has ended its watch:
 *   AUTHCACHE_INVALID      revoked, or known as bad by now, *reason says: close the connection
 *   AUTHCACHE_MISS         the record ended otherwise and the token may be good: past its deadline, evicted, flushed, voided
 *                          by an epoch (which is how issuers, keys and everything are revoked), its profile reloaded, its
 *                          grants changed. Validate the token again and watch anew, or close
 *   AUTHCACHE_UNAVAILABLE  the daemon cannot say any more (no heartbeat, or no answer, for heartbeat_timeout), or has no
 *                          room for this watch (reason overloaded): close, or go on by checking a pin
 * A record that is moved, copied into a larger table, or replaced by a fresh one with the same grants is no event. If the
 * descriptor is not served for long, ends are noticed late, never lost. USAGE: the event's size is not set. MEMORY: call
 * again. */
AUTHCACHE_API int authcache_watch_next(authcache_client* client, authcache_watch_event* event);

/* ---- state ---- */

typedef struct authcache_status_info {
  uint32_t size;
  uint32_t attached;             /* 1: a table is mapped */
  uint64_t generation;           /* 0: none */
  uint64_t heartbeat_age_ns;     /* UINT64_MAX: no heartbeat, or one later than this process's clock */
  uint64_t heartbeat_timeout_ns; /* an older heartbeat makes every answer AUTHCACHE_UNAVAILABLE */
  uint32_t table_state; /* 0 retired or none, 1 live, 2 moving (a successor is being filled, still valid) */
  uint32_t serving;     /* 1: attached, not retired, heartbeat fresh */
  uint32_t library_format; /* table format that this library reads */
  uint32_t table_format; /* of the file in the runtime directory, 0: unknown; differs: layout skew */
  uint64_t capacity; /* records */
  uint64_t live;     /* records */
  uint64_t reserved[4];
} authcache_status_info;
#define AUTHCACHE_STATUS_INIT                                                             \
  {                                                                                       \
    (uint32_t)sizeof(authcache_status_info), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, { 0, 0, 0, 0 } \
  }

/* Fills *status. Opens the table file to read its format: not for signal handlers. */
AUTHCACHE_API int authcache_status(authcache_client* client, authcache_status_info* status);

/* Attaches to the table now in the runtime directory if it is another one. OK also if nothing changed; NOT_FOUND,
 * REFUSED, SYSTEM, MEMORY leave the client as it was. UNAVAILABLE: another thread is attaching just now. */
AUTHCACHE_API int authcache_refresh(authcache_client* client);

/* The last sentence of this client (never NULL, "" if there was none): what was wrong and the remedy. With NULL, that
 * of this thread's last failed authcache_open. The text is the calling thread's until its next call of this function. */
AUTHCACHE_API const char* authcache_last_error(const authcache_client* client);

/* "valid", "bad_signature", ...; "" for AUTHCACHE_REASON_NONE, "usage_error" for a verdict below zero, "?"
 * for other values. Static texts. */
AUTHCACHE_API const char* authcache_verdict_name(int verdict);
AUTHCACHE_API const char* authcache_reason_name(int reason);

/* "0.1.0" */
AUTHCACHE_API const char* authcache_version(void);

#ifdef __cplusplus
}
#endif

#include "authorization.h"

#endif
