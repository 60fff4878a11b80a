#include "daemon/base/config_manual.hpp"

#include "daemon/base/config.hpp"

namespace authcached {
namespace {

constexpr std::string_view kIntroduction = R"(# Configuration

<!-- Written by `authcached --print-config-manual > docs/config.md`. Change daemon/base/config_keys.cpp or
config_manual.cpp instead of this file; a test compares them. -->

The daemon reads one [TOML](https://toml.io) file, by default `/etc/authcache/authcached.toml`. The file is
judged as a whole before anything acts on it: every fault is told with its line and what to write instead, and
a file with a fault changes nothing. `authcached --config FILE --check` judges a file, and what it names on
this machine, without starting.

The file holds no secrets: it names files that do. An unknown key is a fault, never ignored: a misspelt limit
that silently keeps its default is worse than a daemon that refuses to start.

## How values are written

| unit | in the file |
|---|---|
| duration | text: one whole number and one unit, `"500ms"`, `"2s"`, `"5m"`, `"24h"`, `"7d"` |
| size | text: one whole number and one of `B`, `KiB`, `MiB`, `GiB`, as `"1KiB"`; or a number of bytes |
| path | text: absolute, at most 4095 bytes |
| list of text | `["one", "two"]`, each different |
| table of text | `{ name = "text" }` |
| one of, text, group name, SQL | text in quotes |
| everything else | a whole number without quotes |

## Example

```toml
)";

constexpr std::string_view kExample = R"(runtime_dir = "/run/authcache"
state_dir = "/var/lib/authcache"
group = "authcache"
admin_group = "authcache-admin"
log_level = "info"

[table]
capacity = 200_000

[limits]
upstream_timeout = "1s"

# Access tokens of an issuer, checked on this host against its public keys.
[profile.api]
upstream = "jwks"
issuer = "https://login.example.com/"
jwks_file = "/etc/authcache/login.example.com.jwks.json"
algorithms = ["ES256", "RS256"]
audience = ["https://api.example.com"]
ttl_max = "10m"

# Access tokens of an issuer whose keys are fetched from where its metadata says.
[profile.partner]
upstream = "jwks"
issuer = "https://id.partner.example"
algorithms = ["RS256"]
audience = ["https://api.example.com"]

# Opaque tokens: the issuer is asked, and its answer kept for ttl_max at most.
[profile.mobile]
upstream = "introspection"
introspection_url = "https://login.example.com/oauth/introspect"
client_id = "api-gateway"
client_secret_file = "/etc/authcache/api-gateway.secret"
ttl_max = "1m"

# Sessions that a web application keeps in Redis, as connect-redis writes them.
[profile.web]
upstream = "redis"
address = "unix:/run/redis/redis.sock"
key_template = "sess:{key}"
key_encoding = "raw"
value = "json"
fields = { subject = "/passport/user", expires = "/cookie/expires" }
max_token_lifetime = "14d"

# Sessions that authcached keeps itself: `authctl session create` makes them.
[profile.sessions]
upstream = "sqlite"

# Sessions that another program keeps, found by a query.
[profile.shop]
upstream = "sqlite"
database = "/srv/shop/sessions.sqlite"
key_encoding = "hex_sha256"
query = """
  SELECT user_id AS subject, created_at AS created, expires_at AS expires, logged_out_at AS revoked,
         token_hash AS token_key
    FROM sessions WHERE token_hash = ?1
"""

# The same in PostgreSQL.
[profile.forum]
upstream = "postgresql"
connection = "host=/run/postgresql dbname=forum user=authcache"
query = """
  SELECT token_hash AS token_key, user_id AS subject, created_at AS created, expires_at AS expires
    FROM sessions WHERE token_hash = ANY($1)
"""
)";

constexpr std::string_view kReload = R"(```

## What a reload takes

`systemctl reload authcached`, `authctl reload` or SIGHUP reads the file again. A file with a fault is refused
as a whole and the daemon goes on as it was. Of a good file, a reload takes the keys marked *reload* below;
those marked *restart* keep their value until the daemon is started anew, and a reload that finds one of them
changed says so in its answer and in the log.

A profile may be added, changed or removed by a reload. What decides who can prove a token (upstream, issuer,
key set, CA, algorithms, token type, leeway, introspection endpoint, its client and how that proves itself,
database, connection, query, key encoding; of Redis its address, user, database, key template and the form of its values)
makes up the profile's id, which is part of every record's digest: when one of
them changes, the records of the old id are killed before the reload is answered. The name, the audience and
the times are no part of it.

Two profiles that agree in all of those are refused. Services that differ only in their audience share one
profile and state the audience in their requirement.

)";

constexpr std::string_view kExistingSchemas = R"(## Existing schemas

With `query`, a profile reads sessions that another program keeps. What follows is said of sqlite; what is
different with PostgreSQL, and recipes for it, stand in [postgresql.md](postgresql.md). The query is one SELECT
with one parameter, `?1`, which is bound to the token in the form that `key_encoding` says. It returns no row for
an unknown token and one row for a known one; more than one answers "unavailable", since it would leave open
whose session it is. Columns are found by their names, in any order; use `AS` to give them:

| column | type | meaning |
|---|---|---|
| `subject` | text | whose session it is; required; a row where it is NULL or empty answers "unavailable" |
| `client_id` | text | the OAuth client or application |
| `sid` | text | the session's public name, for revoking it; never the token |
| `jti` | text | the token's identifier |
| `issuer` | text | who issued it; empty for sessions of this host |
| `scopes` | list | |
| `roles` | list | callers see each as permission `role:NAME` |
| `permissions` | list | |
| `audience` | list | |
| `created` or `created_ns` | time | when it was created |
| `expires` or `expires_ns` | time | when it ends; NULL or missing: `ttl_max` bounds each answer |
| `revoked` | any | NULL, 0, '', '0' or 'false': in force; anything else, a time among it: revoked |
| `token_key` | as stored | the stored key, compared byte for byte with the one asked for; see below |

A column with another name is refused at start and at reload (`--check` does not open the database), and so is
one name twice, or one time both in seconds and in nanoseconds: a misspelt `revoked` that is silently ignored
would keep revoked sessions alive.

| type | what a row may hold |
|---|---|
| text | text of at most 4096 bytes, or a whole number; NULL is empty |
| list | text: entries separated by spaces, or a JSON array of strings; at most 256 entries; NULL is empty |
| time, plain name | seconds since 1970, whole or with a fraction, or text as below; NULL is absent |
| time, `_ns` | whole nanoseconds since 1970; NULL is absent |

A time in text is `YYYY-MM-DD HH:MM:SS` in UTC, as SQLite's `datetime()` writes it. A T may stand for the
blank, and a fraction of a second and a Z may follow.

A row that holds anything else answers "unavailable" for its token alone: it is never guessed at.

A session without `created` is refused as soon as any rule "everything issued before T" matches it, since
nothing shows that it is newer.

### Return `token_key`

Let the query return the column that it searches, `AS token_key`. What SQLite calls equal need not be the same
bytes: a column with COLLATE NOCASE finds a token in any case, and with `key_encoding = "raw"` a column of
numbers finds 7, 07 and 7.0. Then one session is good under several tokens, and a revocation names only one of
them. With `token_key` only the token whose key is stored byte for byte is good; the others are unknown. The
key must come as text or as a blob: of a column of numbers, return `CAST(id AS TEXT) AS token_key`.

### The other program's database

It is opened read-only, and the query can read tables and nothing else. A database in WAL mode can be opened
read-only only if its `-shm` and `-wal` files are there and readable, or the daemon's user may create them in
its directory. So let the program that owns it keep it open, or let the daemon's user write the directory.

The program that owns the database goes on writing it. A change there is seen when the record's time
(`ttl_max`) is over, or at once if the program also revokes it with `authctl revoke`.

What `key_encoding = "raw"` costs: the database then holds tokens that work as they stand, so whoever reads
the file, a backup of it or its write-ahead log can use them. Prefer a schema that stores a hash.

A session of such a profile, as of one in Redis, may live for ever, so while one is configured every new
revocation of a token, in any profile, has no end. `limits.rules` then bounds all revocations ever made, unless `authctl revocations lift`
takes some back.

### How strong a token must be

Every member of `group` can read the table, and with it each token's digest. A token with 128 or more random
bits cannot be guessed from its digest; a short or sequential session id can, offline and at the speed of
SHA-256. Do not put such ids behind a profile: let the program issue random ones first. Tokens that authcached
creates carry 256 random bits.
)";

struct Section {
  std::string_view prefix;
  std::string_view heading;
  std::string_view text;
};

constexpr Section kSections[] = {
    {"", "## Top of the file", "These stand before the first `[section]`."},
    {"table.", "## [table]",
     "The shared table. A change takes effect at a reload: a new generation is filled while the old one serves."},
    {"limits.", "## [limits]", "Bounds of the daemon. Each protects its memory or its other clients."},
    {"http.", "## [http]",
     "The HTTP face, for those who cannot link the SDK: docs/http.md. Off unless `listen` is there."},
    {"http.client.NAME.", "## [http.client.NAME]",
     "Who may use /introspect and /revoke, by OAuth client authentication (client_secret_basic or client_secret_post). NAME "
     "is the client id: 1 to 63 letters, digits, `_`, `.` and `-`. Members of admin_group on the unix socket need none."},
    {"http.logout.NAME.", "## [http.logout.NAME]",
     "OpenID Connect back-channel logout: with this section, logout tokens of the issuer of the jwks profile NAME are taken at "
     "/logout/NAME."},
    {"fleet.", "## [fleet]",
     "Hosts that share their revocations through a Redis stream: docs/fleet.md. Off unless `address` is there."},
    {"role.NAME.", "## [role.NAME]",
     "What a role grants: docs/permissions.md. NAME is the role as tokens and sessions have it, in quotes if it has blanks or "
     "dots: `[role.\"Billing Team\"]`. A reload puts changes into force for every record, without asking anybody again."},
    {"profile.NAME.", "## [profile.NAME]",
     "One section for each trust configuration, 1 to 64 of them. NAME is what callers put into their "
     "requirement: 1 to "
     "63 lower-case letters, digits, `_` and `-`."},
};

std::string_view section_of(std::string_view key) {
  const std::size_t dot = key.rfind('.');
  return dot == std::string_view::npos ? std::string_view() : key.substr(0, dot + 1);
}

// Line breaks at this width keep the file readable in a terminal and its differences small.
constexpr std::size_t kWidth = 110;

void append_wrapped(std::string& manual, std::string_view text) {
  std::size_t column = 0;
  while (!text.empty()) {
    const std::string_view word = text.substr(0, text.find(' '));
    if (column > 0 && column + 1 + word.size() > kWidth) {
      manual.push_back('\n');
      column = 0;
    } else if (column > 0) {
      manual.push_back(' ');
      ++column;
    }
    manual.append(word);
    column += word.size();
    text.remove_prefix(word.size() == text.size() ? word.size() : word.size() + 1);
  }
  manual.push_back('\n');
}

void append_key(std::string& manual, const ConfigKey& key) {
  manual.append("### `").append(key.name.substr(section_of(key.name).size())).append("`\n\n");
  manual.append(key.unit).append(" · ");
  if (key.default_value.empty()) {
    manual.append("no default");
  } else {
    manual.append("default `").append(key.default_value).append("`");
  }
  manual.append(key.reloadable ? " · *reload*\n\n" : " · *restart*\n\n");
  append_wrapped(manual, key.explanation);
  manual.push_back('\n');
}

}  // namespace

std::string_view config_example() { return kExample; }

std::string config_manual() {
  std::string manual;
  manual.append(kIntroduction).append(kExample).append(kReload);
  for (const Section& section : kSections) {
    manual.append(section.heading).append("\n\n");
    append_wrapped(manual, section.text);
    manual.push_back('\n');
    for (const ConfigKey& key : config_keys()) {
      if (section_of(key.name) == section.prefix) append_key(manual, key);
    }
  }
  manual.append(kExistingSchemas);
  return manual;
}

}  // namespace authcached
