// /auth of the HTTP face beside nginx that serves a static 204: what a proxy waits for when it asks authcache
// about a request, beside the least that any HTTP server does.
//
// Both listen on a unix socket and get the same bytes from the same load over the same number of keep-alive
// connections, one request under way on each; both run on the last core, the load on the first. Every request
// carries another token of 100 000 good sessions, all of them in the table. Rounds alternate, and which comes
// first alternates too. Beside the rates go the servers' own times a request: those hold where the load
// shares a core with them.
//
// usage: face_bench AUTHCACHED NGINX RUNTIME_DIR STATE_DIR OUT.json
#include <sched.h>
#include <time.h>

#include <fstream>
#include <string>
#include <vector>

#include "bench/die.hpp"
#include "bench/flat_report.hpp"
#include "bench/http_load.hpp"
#include "bench/session_daemon.hpp"

namespace {

using namespace authcache_bench;

constexpr std::uint64_t kCapacity = 200'000;
constexpr std::size_t kConnections = 64;
constexpr int kRounds = 9;
constexpr double kRoundSeconds = 0.7;
constexpr double kWarmSeconds = 1.5;  // each token once, about

// Of those that this process may use; what is started afterwards inherits it.
class Cores {
 public:
  Cores() {
    if (::sched_getaffinity(0, sizeof ours_, &ours_) != 0) die("cannot tell the cores");
  }
  void use_first() const { use(true); }
  void use_last() const { use(false); }

 private:
  void use(bool first) const {
    int chosen = -1;
    for (int core = 0; core < CPU_SETSIZE && !(first && chosen >= 0); ++core) {
      if (CPU_ISSET(static_cast<unsigned>(core), &ours_)) chosen = core;
    }
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(static_cast<unsigned>(chosen), &one);
    if (::sched_setaffinity(0, sizeof one, &one) != 0) die("cannot bind to a core");
  }
  cpu_set_t ours_;
};

double cpu_seconds(pid_t pid) {
  clockid_t clock = 0;
  timespec time{};
  if (::clock_getcpuclockid(pid, &clock) != 0 || ::clock_gettime(clock, &time) != 0)
    die("cannot read a server's time");
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

std::vector<std::string> nginx_command(const std::string& program, const std::string& state,
                                       const std::string& socket) {
  const std::string file = state + "/nginx.conf";
  std::string text = "daemon off;\nmaster_process off;\npid " + state +
                     "/nginx.pid;\nerror_log stderr crit;\nevents { worker_connections 1024; }\nhttp {\n"
                     "  access_log off;\n  keepalive_requests 1000000000;\n";
  for (const char* module : {"client_body", "proxy", "fastcgi", "uwsgi", "scgi"}) {
    text += std::string("  ") + module + "_temp_path " + state + "/" + module + ";\n";
  }
  text += "  server { listen unix:" + socket + "; location / { return 204; } }\n}\n";
  std::ofstream(file) << text;
  return {program, "-e", "stderr", "-c", file};
}

// A server under its load.
struct Side {
  std::string name;
  pid_t pid;
  HttpLoad load;

  double measure(const std::vector<std::string>& requests, FlatReport& report) {
    const double before = cpu_seconds(pid);
    const double rate = load.run(requests, kRoundSeconds);
    report.add(name + "_request_per_s", rate);
    report.add(name + "_cpu_us", (cpu_seconds(pid) - before) / (rate * kRoundSeconds) * 1e6);
    return rate;
  }
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6) die("usage: face_bench AUTHCACHED NGINX RUNTIME_DIR STATE_DIR OUT.json");
  const std::string runtime = argv[3], state = argv[4];
  const std::string face_socket = runtime + "/http.sock", static_socket = runtime + "/static.sock";
  const Cores cores;
  cores.use_last();
  const SessionDaemon daemon(
      argv[1], runtime, state,
      {.capacity = kCapacity, .sections = "[http]\nlisten = \"unix:" + face_socket + "\"\n"});
  const ServerProcess nginx(nginx_command(argv[2], state, static_socket), static_socket);
  cores.use_first();
  daemon.ask_all();

  std::vector<std::string> requests;
  for (const std::string& token : daemon.tokens()) {
    requests.push_back(std::string("GET /auth?profile=") + SessionDaemon::kProfile +
                       " HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + token + "\r\n\r\n");
  }
  Side face{"auth", daemon.pid(), HttpLoad(face_socket, kConnections, "HTTP/1.1 200 ")};
  Side least{"static", nginx.pid(), HttpLoad(static_socket, kConnections, "HTTP/1.1 204 ")};
  face.load.run(requests, kWarmSeconds);
  least.load.run(requests, kWarmSeconds);
  FlatReport report;
  for (int round = 0; round < kRounds; ++round) {
    Side& first = round % 2 == 0 ? face : least;
    Side& second = round % 2 == 0 ? least : face;
    const double one = first.measure(requests, report);
    const double other = second.measure(requests, report);
    report.add("auth_face_over_static", round % 2 == 0 ? one / other : other / one);
  }
  report.write(argv[5]);
  return 0;
}
