#include <array>

#include "tools/authctl/verb.hpp"

namespace authctl {
namespace {

constexpr std::array<Verb, 16> kVerbs{{
    {"stats", "what the table, the daemon and the profiles are doing", "authctl stats --json", declare_stats},
    {"validate", "judge tokens as an application would", "authctl validate --profile sessions <token.txt",
     declare_validate},
    {"inspect", "show one record, or a table file that no daemon serves any more",
     "authctl inspect --file /run/authcache/table --all", declare_inspect},
    {"revoke", "refuse something from now on, in every process of this host",
     "authctl revoke --token <token.txt", declare_revoke},
    {"revocations", "the revocation rules in force", "authctl revocations list", declare_revocations},
    {"flush", "void cached records without revoking anything", "authctl flush", declare_flush},
    {"session", "create, list and revoke sessions of our own store",
     "authctl session create --subject alice --scope read --ttl 8h", declare_session},
    {"permissions", "why a subject holds a permission, or why it does not",
     "authctl permissions explain alice documents/42:read", declare_permissions},
    {"keys", "the signing keys of each profile, and those that were skipped", "authctl keys", declare_keys},
    {"upstreams", "the state of each profile's upstream", "authctl upstreams", declare_upstreams},
    {"reload", "read the configuration again", "authctl reload", declare_reload},
    {"config", "check a configuration, show the one in effect, explain a key",
     "authctl config check /etc/authcache/authcached.toml", declare_config},
    {"sql", "print what a database needs so that it tells of changes",
     "authctl sql postgres shop --table sessions --key token_hash", declare_sql},
    {"doctor", "look for what keeps authcache from working well here", "authctl doctor", declare_doctor},
    {"completion", "print a completion script for a shell",
     "authctl completion bash >/etc/bash_completion.d/authctl", declare_completion},
    {"log-level", "change how much the daemon logs, until it restarts", "authctl log-level debug",
     declare_log_level},
}};

}  // namespace

std::span<const Verb> verbs() { return kVerbs; }

}  // namespace authctl
