// authctl inspect: a record as the daemon sees it, or, offline, what a table file holds.
#include <algorithm>
#include <boost/json/serialize.hpp>
#include <cctype>
#include <ostream>

#include "shm/coarse_clock.hpp"
#include "shm/table_file.hpp"
#include "tools/authctl/ask.hpp"
#include "tools/authctl/inspection_text.hpp"
#include "tools/authctl/printable.hpp"
#include "tools/authctl/table_owner.hpp"
#include "tools/authctl/token_input.hpp"
#include "tools/authctl/verb.hpp"

namespace authctl {
namespace json = boost::json;
namespace shm = authcache::shm;
namespace {

struct Options {
  std::string profile;
  std::string digest;
  std::filesystem::path file;
  bool all = false;
};

Failure bad_digest() {
  return {Exit::kUsage, "--digest takes 48 to 64 hex digits, as inspect and the log print them"};
}

Exit ask_by_token(Call& call, const Options& options) {
  const auto token = read_text_token(call.in_fd, call.err);
  if (!token) return report(call, token.error());
  json::object question = request("record");
  question["profile"] = options.profile;
  question["token"] = token->text();
  return answer(call, question, record_text);
}

Exit ask_by_digest(Call& call, const Options& options) {
  if (!parse_digest(options.digest)) return report(call, bad_digest());
  json::object question = request("record");
  std::string lower = options.digest;
  std::ranges::transform(lower, lower.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  question["digest"] = lower;
  return answer(call, question, record_text);
}

Exit print_one(Call& call, const shm::TableView& view, const std::string& digest) {
  const auto key = parse_digest(digest);
  if (!key) return report(call, bad_digest());
  const auto record = find_record(view, *key, shm::coarse_now_ns());
  if (!record) return report(call, Failure{Exit::kNo, "the table holds no record of this digest"});
  json::object reply{{"ok", true}};
  for (const auto& [member, value] : record_object(*record)) reply[member] = value;
  return report(call, reply, record_text);
}

// Record by record: a table may hold more of them than this process should keep.
void print_all(Call& call, const shm::TableView& view, const json::object& summary, std::uint64_t now_ns) {
  if (!call.settings.json) {
    for_each_record(view, now_ns, [&](const RecordView& record) {
      call.out << "\nRecord\n" << record_text(record_object(record));
    });
    return;
  }
  std::string opening = printable_json(json::serialize(summary));
  opening.pop_back();  // the brace that closes the document comes after the records
  call.out << opening << ",\"records\":[";
  bool first = true;
  for_each_record(view, now_ns, [&](const RecordView& record) {
    call.out << (first ? "" : ",") << printable_json(json::serialize(record_object(record)));
    first = false;
  });
  call.out << "]}\n";
}

Exit inspect_file(Call& call, const Options& options) {
  const auto table = shm::open_table(
      options.file, {.expected_owner = table_owner(call.settings.runtime_dir), .writable = false});
  if (!table) return report(call, failure_of(table.error()));
  if (!options.digest.empty()) return print_one(call, table->view, options.digest);
  const std::uint64_t now_ns = shm::coarse_now_ns();
  const json::object summary = summary_object(summarize(table->view, now_ns), count_slots(table->view));
  if (!options.all) return report(call, summary, summary_text);
  if (!call.settings.json) call.out << summary_text(summary);
  print_all(call, table->view, summary, now_ns);
  return Exit::kYes;
}

Exit run(Call& call, const Options& options) {
  if (!options.file.empty()) return inspect_file(call, options);
  if (options.all) return report(call, Failure{Exit::kUsage, "--all goes with --file"});
  if (!options.digest.empty()) return ask_by_digest(call, options);
  if (!options.profile.empty()) return ask_by_token(call, options);
  return report(
      call,
      Failure{Exit::kUsage, "say what to inspect: --profile (token on standard input), --digest or --file"});
}

}  // namespace

void declare_inspect(Command command) {
  const auto options = std::make_shared<Options>();
  command.text("--profile", options->profile, "NAME",
               "the record of the token on standard input, in this profile");
  command.text("--digest", options->digest, "HEX", "the record of this digest");
  command.path("--file", options->file, "FILE", "read this table file, with or without a daemon");
  command.flag("--all", options->all, "with --file: every record in it");
  command.exclude("--profile", "--digest");
  command.exclude("--profile", "--file");
  command.exclude("--all", "--digest");
  command.action([options](Call& call) { return run(call, *options); });
}

}  // namespace authctl
