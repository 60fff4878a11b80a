// A scene whose daemon has the HTTP face on a unix socket in its runtime directory, and a client "rs" with
// the secret "s3cret" that may introspect and revoke. One thread.
#pragma once

#include <string>
#include <utility>

#include "tests/process/support/http_peer.hpp"
#include "tests/process/support/scene.hpp"

namespace authcache_test {

struct HttpScene : Scene {
  // http: further lines of [http]. sections: behind it; @secret@ in them is the file with the hash of
  // "s3cret".
  explicit HttpScene(const std::string& http = {}, const std::string& sections = {}, Settings chosen = {})
      : Scene(std::move(chosen)) {
    // printf %s s3cret | sha256sum
    write_file(daemon.scratch("rs.sha256"),
               "1ec1c26b50d5d3c58d9583181af8076655fe00756bf7285940ba3670f99fcba0  -\n");
    settings.more = "[http]\nlisten = \"unix:" + socket().string() + "\"\n" + http +
                    "\n[http.client.rs]\nsecret_file = \"" + daemon.scratch("rs.sha256").string() +
                    "\"\nmay = [\"introspect\", \"revoke\"]\n" + sections;
    constexpr std::string_view kSecret = "@secret@";
    for (std::size_t at = 0; (at = settings.more.find(kSecret, at)) != std::string::npos;) {
      settings.more.replace(at, kSecret.size(), daemon.scratch("rs.sha256").string());
    }
    configure();
    start();
  }

  [[nodiscard]] std::filesystem::path socket() const { return daemon.runtime_dir() / "http.sock"; }
  [[nodiscard]] HttpReply ask(std::string_view request) const { return HttpPeer(socket()).ask(request); }
  // /auth with this token, for this query.
  [[nodiscard]] HttpReply auth(std::string_view token, std::string_view query = "profile=api") const {
    return ask(http_get("/auth?" + std::string(query), {bearer(token)}));
  }
  [[nodiscard]] std::int64_t http_stat(std::string_view name) const { return daemon.stat("http", name); }
};

}  // namespace authcache_test
