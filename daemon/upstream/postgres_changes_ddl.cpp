#include "daemon/upstream/postgres_changes_ddl.hpp"

#include <algorithm>

#include "daemon/base/postgres_conninfo.hpp"
#include "daemon/base/sha256.hpp"

namespace authcached {

using authcache::shm::ErrorCode;
using authcache::shm::fail;
using authcache::shm::Result;

namespace {

constexpr std::size_t kIdentifierBytesMax = 63;  // NAMEDATALEN - 1: the server cuts the rest without a word

std::string quoted_name(std::string_view identifier) {
  std::string name = "\"";
  for (const char c : identifier) {
    if (c == '"') name += '"';
    name += c;
  }
  return name + '"';
}

// A literal that means the same whatever standard_conforming_strings says.
std::string literal(std::string_view text) {
  std::string value = "E'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') value += c;
    value += c;
  }
  return value + '\'';
}

// A function's body within a tag that it does not hold.
std::string body(const std::string& text) {
  std::string tag = "$authcache$";
  for (int i = 1; text.find(tag) != std::string::npos; ++i) tag = "$authcache" + std::to_string(i) + "$";
  return tag + "\n" + text + tag;
}

bool is_identifier(std::string_view name) {
  const auto bad = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; };
  return !name.empty() && name.size() <= kIdentifierBytesMax && std::ranges::none_of(name, bad);
}

std::string_view schema_of(std::string_view relation) {
  const std::size_t dot = relation.find('.');
  return dot == std::string_view::npos ? "public" : relation.substr(0, dot);
}
std::string_view table_of(std::string_view relation) {
  const std::size_t dot = relation.find('.');
  return relation.substr(dot == std::string_view::npos ? 0 : dot + 1);
}
bool is_relation(std::string_view name) {
  return is_identifier(schema_of(name)) && is_identifier(table_of(name));
}

// Two tables must not share a function, and a long name would be cut.
std::string short_hash(std::string_view text) {
  const Sha256 hash = sha256(text);
  std::string hex;
  for (std::size_t i = 0; i < 8; ++i) {
    hex += "0123456789abcdef"[hash[i] >> 4];
    hex += "0123456789abcdef"[hash[i] & 15];
  }
  return hex;
}

class Ddl {
 public:
  Ddl(const ProfileConfig& profile, const ChangesDdl& asked)
      : profile_(profile), asked_(asked), table_(profile.changes.table) {}

  [[nodiscard]] std::string text(const std::string& reader) {
    out_ =
        "-- What lets profile \"" + profile_.name +
        "\" of authcache hear of changes (changes = \"listen\"). Run it as the owner of the tables, in the\n"
        "-- database of the profile's connection. Running it again does no harm. PostgreSQL 13 or later.\n"
        "BEGIN;\n\n";
    add_table();
    add_tell();
    add_sessions();
    for (const ChangesDdl::Subjects& each : asked_.subjects) add_subjects(each);
    add_retention();
    out_ += "-- The daemon only reads.\nGRANT USAGE ON SCHEMA " + quoted_name(schema_of(table_)) + " TO " +
            quoted_name(reader) + ";\nGRANT SELECT ON " + own("") + ", " + own("_pruned") + " TO " +
            quoted_name(reader) + ";\n\nCOMMIT;\n";
    return std::move(out_);
  }

 private:
  // The changes table, or what goes with it.
  [[nodiscard]] std::string own(const std::string& suffix) const {
    return quoted_name(schema_of(table_)) + "." + quoted_name(std::string(table_of(table_)) + suffix);
  }
  // Whoever changes a session needs no rights of his own for what follows from it.
  void add_function(const std::string& name, const std::string& returns, const std::string& text) {
    out_ += "CREATE OR REPLACE FUNCTION " + name + " RETURNS " + returns +
            " LANGUAGE plpgsql SECURITY DEFINER\nSET search_path = pg_catalog, pg_temp AS " + body(text) +
            ";\n";
  }
  void add_trigger(const std::string& relation, const std::string& suffix, const std::string& when_and_what) {
    const std::string name = quoted_name(std::string(table_of(table_)) + suffix);
    // ALWAYS: also for rows that replication or a restore brings.
    out_ += "DROP TRIGGER IF EXISTS " + name + " ON " + relation + ";\nCREATE TRIGGER " + name + " " +
            when_and_what + ";\nALTER TABLE " + relation + " ENABLE ALWAYS TRIGGER " + name + ";\n";
  }

  void add_table() {
    out_ +=
        "CREATE TABLE IF NOT EXISTS " + own("") +
        " (\n"
        "  id bigint GENERATED ALWAYS AS IDENTITY,\n"
        "  xid xid8 NOT NULL DEFAULT pg_current_xact_id(),  -- by which the daemon finds what committed "
        "late\n"
        "  at timestamptz NOT NULL DEFAULT clock_timestamp(),\n"
        "  kind text NOT NULL,\n"
        "  value bytea NOT NULL,\n"
        "  PRIMARY KEY (xid, id)\n"
        ");\n"
        "-- The newest transaction of which rows were deleted: a daemon that was away for longer notices.\n"
        "CREATE TABLE IF NOT EXISTS " +
        own("_pruned") +
        " (one boolean PRIMARY KEY DEFAULT true CHECK (one), xid xid8 NOT NULL);\n"
        "INSERT INTO " +
        own("_pruned") + " (xid) VALUES ('0') ON CONFLICT DO NOTHING;\n\n";
  }

  void add_tell() {
    const std::string name = own("_tell") + "(what text, whom bytea)";
    out_ +=
        "-- A name that is too long to be kept stands for all. NOTIFY only rings; without it changes are "
        "found within a second.\n";
    add_function(
        name, "void",
        "BEGIN\n"
        "  IF whom IS NULL THEN RETURN; END IF;\n"
        "  INSERT INTO " +
            own("") +
            " (kind, value) SELECT CASE WHEN octet_length(whom) <= 1024 THEN what ELSE 'profile' END,\n"
            "    CASE WHEN octet_length(whom) <= 1024 THEN whom ELSE ''::bytea END;\n"
            "  PERFORM pg_notify(" +
            literal(changes_channel(table_)) + ", '');\nEND\n");
    out_ += "REVOKE ALL ON FUNCTION " + own("_tell") + "(text, bytea) FROM PUBLIC;\n\n";
  }

  [[nodiscard]] std::string tell(const std::string& what, const std::string& whom) const {
    return "PERFORM " + own("_tell") + "('" + what + "', " + whom + ");";
  }
  // Of one row: by its key, by its sid, or by both.
  [[nodiscard]] std::string tell_session(const std::string& row) const {
    const auto as_bytes = [&](const std::string& column) {
      return "convert_to(" + row + "." + quoted_name(column) + "::text, 'UTF8')";
    };
    std::string text;
    switch (profile_.key_encoding) {
      case KeyEncoding::kSha256: text += tell("key", row + "." + quoted_name(asked_.key)); break;
      case KeyEncoding::kHexSha256:
      case KeyEncoding::kBase64urlSha256: text += tell("key", as_bytes(asked_.key)); break;
      // The keys are tokens, and these do not belong into a second table.
      case KeyEncoding::kRaw: text += tell("token", "sha256(" + as_bytes(asked_.key) + ")"); break;
      case KeyEncoding::kIdHexSha256: break;
    }
    if (!asked_.sid.empty()) text += (text.empty() ? "" : " ") + tell("sid", as_bytes(asked_.sid));
    return text;
  }

  void add_sessions() {
    const std::string relation = quoted_relation(asked_.sessions);
    const std::string suffix = "_on_" + short_hash(relation);
    out_ += "-- A new session is nothing that could be known wrongly: INSERT tells nothing.\n";
    add_function(own(suffix) + "()", "trigger",
                 "BEGIN\n  IF TG_OP = 'TRUNCATE' THEN\n    " + tell("profile", "''::bytea") +
                     "\n    RETURN NULL;\n  END IF;\n  " + tell_session("OLD") +
                     "\n  IF TG_OP = 'UPDATE' THEN\n    " + tell_session("NEW") +
                     "\n  END IF;\n  RETURN NULL;\nEND\n");
    const std::string execute = " EXECUTE FUNCTION " + own(suffix) + "()";
    std::string when;
    if (!asked_.ignored.empty()) {
      std::string columns;
      for (const std::string& column : asked_.ignored)
        columns += (columns.empty() ? "" : ", ") + literal(column);
      when = " WHEN (to_jsonb(OLD) - ARRAY[" + columns + "] IS DISTINCT FROM to_jsonb(NEW) - ARRAY[" +
             columns + "])";
    }
    add_trigger(relation, suffix + "_u", "AFTER UPDATE ON " + relation + " FOR EACH ROW" + when + execute);
    add_trigger(relation, suffix + "_d", "AFTER DELETE ON " + relation + " FOR EACH ROW" + execute);
    add_trigger(relation, suffix + "_t", "AFTER TRUNCATE ON " + relation + " FOR EACH STATEMENT" + execute);
    out_ += "\n";
  }

  void add_subjects(const ChangesDdl::Subjects& subjects) {
    const std::string relation = quoted_relation(subjects.table);
    const std::string suffix = "_on_" + short_hash(relation + "." + subjects.column);
    const auto whom = [&](const std::string& row) {
      return "convert_to(" + row + "." + quoted_name(subjects.column) + "::text, 'UTF8')";
    };
    add_function(own(suffix) + "()", "trigger",
                 "BEGIN\n  IF TG_OP = 'TRUNCATE' THEN\n    " + tell("profile", "''::bytea") +
                     "\n    RETURN NULL;\n  END IF;\n  IF TG_OP <> 'INSERT' THEN\n    " +
                     tell("subject", whom("OLD")) + "\n  END IF;\n  IF TG_OP <> 'DELETE' THEN\n    " +
                     tell("subject", whom("NEW")) + "\n  END IF;\n  RETURN NULL;\nEND\n");
    const std::string execute = " EXECUTE FUNCTION " + own(suffix) + "()";
    add_trigger(relation, suffix + "_r",
                "AFTER INSERT OR UPDATE OR DELETE ON " + relation + " FOR EACH ROW" + execute);
    add_trigger(relation, suffix + "_t", "AFTER TRUNCATE ON " + relation + " FOR EACH STATEMENT" + execute);
    out_ += "\n";
  }

  void add_retention() {
    const std::string gone = own("_gone") + "()";
    out_ += "-- Whoever deletes rows of changes, it is noted how far.\n";
    add_function(gone, "trigger",
                 "BEGIN\n  IF TG_OP = 'TRUNCATE' THEN\n    UPDATE " + own("_pruned") +
                     " SET xid = pg_current_xact_id();\n  ELSE\n    UPDATE " + own("_pruned") +
                     " AS pruned SET xid = newest.xid\n"
                     "      FROM (SELECT xid FROM gone ORDER BY xid DESC LIMIT 1) AS newest WHERE newest.xid "
                     "> pruned.xid;\n"
                     "  END IF;\n  RETURN NULL;\nEND\n");
    add_trigger(own(""), "_gone_d",
                "AFTER DELETE ON " + own("") +
                    " REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION " + gone);
    add_trigger(own(""), "_gone_t",
                "AFTER TRUNCATE ON " + own("") + " FOR EACH STATEMENT EXECUTE FUNCTION " + gone);
    out_ += "-- To be called from time to time, by cron or pg_cron: SELECT " + own("_prune") +
            "('1 day'). A daemon that was away for\n-- longer than what is kept asks for everything anew.\n";
    add_function(
        own("_prune") + "(keep interval)", "bigint",
        "DECLARE deleted bigint;\nBEGIN\n  DELETE FROM " + own("") +
            " WHERE at < clock_timestamp() - keep AND xid < pg_snapshot_xmin(pg_current_snapshot());\n"
            "  GET DIAGNOSTICS deleted = ROW_COUNT;\n  RETURN deleted;\nEND\n");
    out_ += "REVOKE ALL ON FUNCTION " + own("_prune") + "(interval) FROM PUBLIC;\n\n";
  }

  const ProfileConfig& profile_;
  const ChangesDdl& asked_;
  const std::string table_;
  std::string out_;
};

}  // namespace

std::string changes_channel(std::string_view table) { return std::string(table_of(table)); }

std::string quoted_relation(std::string_view name) {
  return quoted_name(schema_of(name)) + "." + quoted_name(table_of(name));
}

Result<std::string> changes_ddl(const ProfileConfig& profile, const ChangesDdl& asked) {
  const auto refuse = [](std::string what) { return fail(ErrorCode::kUsage, std::move(what)); };
  if (profile.upstream != UpstreamKind::kPostgresql)
    return refuse("profile " + profile.name + " asks no PostgreSQL database");
  if (!is_relation(asked.sessions))
    return refuse(
        "name the table of sessions, TABLE or SCHEMA.TABLE, each 1 to 63 bytes without control characters");
  const bool by_sid = profile.key_encoding == KeyEncoding::kIdHexSha256;
  if (by_sid && asked.sid.empty())
    return refuse(
        "with key_encoding \"id_hex_sha256\" a stored key does not say whose token it is: name the column "
        "that the query returns as sid");
  if (!by_sid && asked.key.empty())
    return refuse("name the column of the sessions' keys, which the query returns as token_key");
  std::vector<std::string> columns = asked.ignored;
  for (const std::string& one : {asked.key, asked.sid}) {
    if (!one.empty()) columns.push_back(one);
  }
  for (const ChangesDdl::Subjects& each : asked.subjects) {
    if (!is_relation(each.table)) return refuse("name a table of subjects as TABLE or SCHEMA.TABLE");
    columns.push_back(each.column);
  }
  if (!std::ranges::all_of(columns, is_identifier))
    return refuse("a column's name is 1 to 63 bytes without control characters");
  std::string reader = asked.reader;
  if (const auto target = read_conninfo(profile.connection); reader.empty() && target) {
    const auto user = std::ranges::find(target->options, "user", &std::pair<std::string, std::string>::first);
    if (user != target->options.end()) reader = user->second;
  }
  if (!is_identifier(reader)) return refuse("name the role that the daemon connects as");
  return Ddl(profile, asked).text(reader);
}

}  // namespace authcached
