// One client: the tables it attached to, the way to the daemon, and its last sentence. What authcache.h hands
// out as authcache_client. The parts say who may call them; the order of members is the order in which they
// need each other.
#pragma once

#include <filesystem>
#include <memory>
#include <utility>

#include "libclient/attachment.hpp"
#include "libclient/fork_guard.hpp"
#include "libclient/last_error.hpp"
#include "libclient/miss_path.hpp"
#include "libclient/submissions.hpp"
#include "libclient/token_memo.hpp"
#include "libclient/watches.hpp"

struct authcache_client {
  authcache_client(std::filesystem::path dir, uid_t daemon_uid, bool reattach,
                   std::unique_ptr<authcache::client::ForkGuard> page,
                   std::unique_ptr<authcache::client::TokenMemo> tokens)
      : guard(std::move(page)),
        memo(std::move(tokens)),
        may_reattach(reattach),
        attacher(std::move(dir), daemon_uid, *guard, last_error),
        miss_path(attacher, *guard, last_error, reattach),
        watches(attacher, *guard, last_error, reattach),
        submissions(attacher, *guard, last_error, reattach) {}

  const std::unique_ptr<authcache::client::ForkGuard> guard;
  const std::unique_ptr<authcache::client::TokenMemo> memo;  // none with AUTHCACHE_NO_MEMO
  mutable authcache::client::LastError last_error;
  const bool may_reattach;
  authcache::client::Attacher attacher;
  authcache::client::MissPath miss_path;
  authcache::client::Watches watches;
  authcache::client::Submissions submissions;
};
