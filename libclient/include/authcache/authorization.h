/* authcache: the token of an Authorization header. A part of authcache.h, which includes it.
 *
 * A server that takes tokens by both schemes asks for both, one after the other: NOT_BEARER of the one leads to the
 * other. Which scheme it was decides what follows: a token by Bearer is validated with the plain requirement, one by
 * DPoP only with the key of a verified proof (authcache_dpop_verify). Any thread, async-signal-safe. */
#ifndef AUTHCACHE_AUTHORIZATION_H
#define AUTHCACHE_AUTHORIZATION_H

#include "authcache.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Finds the token in the value of one Authorization header (RFC 6750 section 2.1, token68 of RFC 9110
 * section 11.2); the token points into the header. NOT_BEARER: empty, or another scheme. MALFORMED: Bearer,
 * and not exactly one well-formed token. That there is one such header, and no token in body or query beside
 * it, is for the caller to see. Pure. */
AUTHCACHE_API int authcache_bearer(const char* header, size_t header_len, const char** token,
                                   size_t* token_len);

/* The same for the scheme DPoP (RFC 9449 section 7.1). NOT_BEARER: empty, or another scheme than DPoP, Bearer too.
 * MALFORMED: DPoP, and not exactly one well-formed token. That there is exactly one DPoP header with the proof is
 * for the caller to see. Pure. */
AUTHCACHE_API int authcache_dpop_token(const char* header, size_t header_len, const char** token,
                                       size_t* token_len);

#ifdef __cplusplus
}
#endif

#endif
