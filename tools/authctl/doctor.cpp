// authctl doctor
#include <ostream>

#include "tools/authctl/ask.hpp"
#include "tools/authctl/doctor_probe.hpp"
#include "tools/authctl/doctor_report.hpp"
#include "tools/authctl/verb.hpp"

namespace authctl {

void declare_doctor(Command command) {
  command.action([](Call& call) {
    const HostFacts facts = probe_host(call);
    const std::vector<Check> checks = examine(facts);
    const Exit exit = exit_of_checks(checks, facts);
    if (call.settings.json) {
      print_json(call.out, checks_object(checks, exit));
    } else {
      call.out << checks_text(checks, call.colour);
    }
    return exit;
  });
}

}  // namespace authctl
