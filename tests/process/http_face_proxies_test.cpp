// The proxies' configurations of examples/proxies, as they stand there but for addresses, in the real nginx
// and the real HAProxy in front of the real daemon.
#include <fcntl.h>
#include <gtest/gtest.h>

#include "tests/process/support/http_scene.hpp"

namespace authcache_test {
namespace {

namespace fs = std::filesystem;

std::string program(const char* name) {
  for (const char* directory : {"/usr/sbin/", "/usr/bin/"}) {
    if (fs::exists(std::string(directory) + name)) return std::string(directory) + name;
  }
  return {};
}

std::string example(std::string_view name) {
  return read_file(source_directory() / "examples/proxies" / name);
}

// Every occurrence; there must be one.
void replace(std::string& text, std::string_view from, const std::string& to) {
  EXPECT_NE(text.find(from), std::string::npos) << from;
  for (std::size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size())
    text.replace(at, from.size(), to);
}

class Proxy {
 public:
  Proxy(const HttpScene& scene, std::vector<std::string> argv, std::uint16_t port)
      : port_(port),
        log_(::open(scene.daemon.scratch("proxy.log").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC,
                    0600)),
        process_({std::move(argv), {}, -1, log_.get(), log_.get()}) {
    EXPECT_TRUE(eventually([&] { return HttpPeer(port_).connected(); }))
        << read_file(scene.daemon.scratch("proxy.log"));
  }
  [[nodiscard]] HttpReply ask(const std::string& request) const { return HttpPeer(port_).ask(request); }

 private:
  std::uint16_t port_;
  authcache::shm::UniqueFd log_;
  ChildProcess process_;
};

Proxy nginx(const HttpScene& scene, const std::string& face) {
  const std::uint16_t port = free_port();
  std::string site = example("nginx.conf");
  replace(site, "unix:/run/authcache/http.sock", face);
  replace(site, "127.0.0.1:8080", "127.0.0.1:" + std::to_string(port));
  replace(site, "server 127.0.0.1:9000", "server unix:" + scene.daemon.scratch("backend.sock").string());
  const std::string scratch = scene.daemon.scratch("").string();
  write_file(scene.daemon.scratch("nginx.conf"),
             "user root;\ndaemon off;\nmaster_process off;\npid " + scratch +
                 "nginx.pid;\nerror_log stderr info;\nevents {}\nhttp {\naccess_log off;\n"
                 "client_body_temp_path " +
                 scratch + "b;\nproxy_temp_path " + scratch + "p;\nfastcgi_temp_path " + scratch +
                 "f;\nuwsgi_temp_path " + scratch + "u;\nscgi_temp_path " + scratch + "s;\n" + site +
                 "server { listen unix:" + scratch +
                 "backend.sock; location / {\nadd_header X-Saw-Subject $http_x_auth_subject always;\n"
                 "add_header X-Saw-Scopes $http_x_auth_scopes always;\nadd_header X-Saw-Client "
                 "$http_x_auth_client always;\nreturn 200 'orders';\n} }\n}\n");
  return {scene, {program("nginx"), "-e", "stderr", "-c", scratch + "nginx.conf"}, port};
}

Proxy haproxy(const HttpScene& scene, const std::string& face) {
  const std::uint16_t port = free_port(), backend = free_port();
  std::string site = example("haproxy.cfg"), script = example("authcache.lua");
  replace(script, "unix@/run/authcache/http.sock", face);
  write_file(scene.daemon.scratch("authcache.lua"), script);
  replace(site, "/etc/haproxy/authcache.lua", scene.daemon.scratch("authcache.lua").string());
  replace(site, "127.0.0.1:8080", "127.0.0.1:" + std::to_string(port));
  replace(site, "127.0.0.1:9000", "127.0.0.1:" + std::to_string(backend));
  site += "\nfrontend echo\n  bind 127.0.0.1:" + std::to_string(backend) +
          "\n  http-request return status 200 content-type text/plain string orders hdr X-Saw-Subject "
          "%[req.hdr(x-auth-subject)]"
          " hdr X-Saw-Scopes %[req.hdr(x-auth-scopes)] hdr X-Saw-Client %[req.hdr(x-auth-client)]\n";
  write_file(scene.daemon.scratch("haproxy.cfg"), site);
  return {scene, {program("haproxy"), "-db", "-f", scene.daemon.scratch("haproxy.cfg").string()}, port};
}

// What every proxy must make of the face's answers.
void expect_the_recipe_works(HttpScene& scene, const Proxy& proxy) {
  const std::string spoofed = "X-Auth-Subject: root";
  const auto ask = [&](const FieldLines& fields) {
    return proxy.ask(http_get("/orders/7?profile=evil", fields));
  };
  const std::string token = scene.issuer.es256();
  for (int i = 0; i < 3; ++i) {
    const HttpReply good = ask({bearer(token), spoofed, "X-Auth-Client: evil"});
    EXPECT_EQ(good.status, 200) << read_file(scene.daemon.scratch("proxy.log"));
    EXPECT_EQ(good.body, "orders");
    EXPECT_EQ(good.field("X-Saw-Subject"), "alice");
    EXPECT_EQ(good.field("X-Saw-Scopes"), "read write");
    EXPECT_EQ(good.field("X-Saw-Client"), "web");
  }
  EXPECT_EQ(scene.http_stat("auth_hits"), 2);
  const HttpReply posted =
      proxy.ask(http_post("/orders/", "a=b", {bearer(token), "Origin: https://shop.example"}));
  EXPECT_EQ(posted.status, 200);

  for (const char* spelled : {"/%6frders/7", "//orders/7", "/x/../orders/7", "/orders/../orders/7", "/orders/"}) {
    EXPECT_EQ(proxy.ask(http_get(spelled)).status, 401) << spelled;
  }
  const HttpReply nobody = ask({spoofed});
  EXPECT_EQ(nobody.status, 401);
  EXPECT_EQ(nobody.field("WWW-Authenticate"), "Bearer");
  const HttpReply bad = ask({bearer("bad")});
  EXPECT_EQ(bad.status, 401);
  EXPECT_TRUE(bad.field("WWW-Authenticate").starts_with("Bearer error=\"invalid_token\"")) << bad.bytes;
  const HttpReply lacking = ask({bearer(scene.issuer.es256(scene.issuer.claims().text("scope", "write")))});
  EXPECT_EQ(lacking.status, 403);
  EXPECT_EQ(lacking.field("WWW-Authenticate"), "Bearer error=\"insufficient_scope\", scope=\"read\"");
  EXPECT_EQ(ask({"Authorization: Bearer a b"}).status, 400);
  EXPECT_EQ(ask({bearer(token), bearer("bad")}).status, 400);

  ASSERT_EQ(scene.daemon.revoke(token).exit, 0);
  EXPECT_EQ(ask({bearer(token)}).status, 401);
  const std::string kept = scene.issuer.es256();
  EXPECT_EQ(ask({bearer(kept)}).status, 200);
  EXPECT_EQ(scene.daemon.stop(), 0);
  const HttpReply down = ask({bearer(kept), spoofed});
  EXPECT_NE(down.body, "orders");
  EXPECT_GE(down.status, 500);
  scene.start();
  EXPECT_TRUE(
      eventually([&] { return ask({bearer(kept)}).status == 200; }));  // nothing is to be done for that
}

TEST(HttpProxies, NginxAsksOverTheUnixSocket) {
  if (program("nginx").empty()) GTEST_SKIP() << "nginx is not installed (Debian: nginx-light)";
  HttpScene scene;
  const Proxy proxy = nginx(scene, "unix:" + scene.socket().string());
  expect_the_recipe_works(scene, proxy);
}

TEST(HttpProxies, NginxAsksOverTheLoopbackAndSaysUnavailableForUnavailable) {
  if (program("nginx").empty()) GTEST_SKIP() << "nginx is not installed (Debian: nginx-light)";
  HttpScene scene({}, {}, {.limits = "misses_per_second_per_uid = 1\nmiss_burst_per_uid = 1"});
  const std::uint16_t face = free_port();
  ASSERT_EQ(scene.daemon.stop(), 0);
  const std::size_t listen = scene.settings.more.find("listen = ");
  scene.settings.more.replace(listen, scene.settings.more.find('\n', listen) - listen,
                              "listen = \"127.0.0.1:" + std::to_string(face) + "\"");
  scene.configure();
  scene.start();
  const Proxy proxy = nginx(scene, "127.0.0.1:" + std::to_string(face));
  int unavailable = 0;
  for (int i = 0; i < 4; ++i) {
    const HttpReply reply = proxy.ask(http_get("/orders/", {bearer(scene.issuer.es256())}));
    if (reply.status == 200) continue;
    EXPECT_EQ(reply.status, 503);
    EXPECT_EQ(reply.field("Retry-After"), "1");
    ++unavailable;
  }
  EXPECT_GE(unavailable, 2);
}

TEST(HttpProxies, HaproxyAsksOverTheUnixSocket) {
  if (program("haproxy").empty()) GTEST_SKIP() << "haproxy is not installed (Debian: haproxy)";
  HttpScene scene;
  const Proxy proxy = haproxy(scene, "unix@" + scene.socket().string());
  expect_the_recipe_works(scene, proxy);
}

}  // namespace
}  // namespace authcache_test
