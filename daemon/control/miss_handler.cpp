#include "daemon/control/miss_handler.hpp"

namespace authcached {

namespace shm = authcache::shm;
namespace wire = authcache::shm::wire;

namespace {

void refuse(Connection& connection, std::uint64_t request_id, std::string_view sentence) {
  std::string frame;
  wire::append_frame(frame, wire::Type::kError, request_id, sentence);
  connection.send(frame);
  connection.end();
}

void hello(Services& services, Connection& connection, std::uint64_t request_id) {
  const Generation& newest = services.tables.newest();
  wire::HelloReply reply{.generation = newest.writer.view().generation, .recency_bytes = 0};
  if (newest.recency) {
    reply.recency_bytes = newest.recency->size();
    std::string frame;
    wire::append_hello_reply(frame, request_id, reply);
    if (connection.send_with_descriptor(frame, newest.recency->fd())) return;
    reply.recency_bytes = 0;
  }
  std::string frame;
  wire::append_hello_reply(frame, request_id, reply);
  connection.send(frame);
}

void validate(Services& services, const std::shared_ptr<Connection>& connection, std::uint64_t request_id, std::string_view payload) {
  const auto request = wire::decode_validate(payload);
  if (!request) return refuse(*connection, request_id, "a validate frame that its own lengths do not explain");
  const auto profile = profile_named(services.profiles, request->profile);
  Resolver::Reply reply = [weak = std::weak_ptr(connection), request_id](const wire::ValidateReply& answer) {
    const auto alive = weak.lock();
    if (!alive) return;
    std::string frame;
    wire::append_validate_reply(frame, request_id, answer);
    alive->send(frame);
  };
  if (!profile) {
    wire::ValidateReply answer;
    answer.reason = shm::Reason::kUnknownProfile;
    answer.newest_generation = services.tables.named_generation();
    return reply(answer);
  }
  services.resolver.validate(profile, request->token, connection->peer().uid, std::move(reply));
}

void text(Services& services, Connection& connection, std::uint64_t request_id, std::string_view payload) {
  const auto place = wire::decode_text_request(payload);
  if (!place) return refuse(connection, request_id, "a text frame of the wrong length");
  std::string frame;
  wire::append_frame(frame, wire::Type::kTextReply, request_id, services.texts.get(*place));
  connection.send(frame);
}

void watch(Services& services, const std::shared_ptr<Connection>& connection, std::uint64_t watch_number, std::string_view payload) {
  const auto key = wire::decode_watch(payload);
  if (!key) return refuse(*connection, watch_number, "a watch frame of the wrong length");
  if (!services.watches.add(connection, watch_number, *key)) {
    refuse(*connection, watch_number, "a watch of this number is there already on this connection");
  }
}

void unwatch(Services& services, Connection& connection, std::uint64_t watch_number, std::string_view payload) {
  if (!payload.empty()) return refuse(connection, watch_number, "an unwatch frame of the wrong length");
  services.watches.remove(connection, watch_number);
}

void prove(Services& services, const std::shared_ptr<Connection>& connection, std::uint64_t request_id, std::string_view payload) {
  if (!wire::decode_prove(payload)) return refuse(*connection, request_id, "a prove frame that its own lengths do not explain, or over a limit");
  services.proofs.prove(payload, connection->peer().uid, [weak = std::weak_ptr(connection), request_id](const wire::ProveReply& answer) {
    const auto alive = weak.lock();
    if (!alive) return;
    std::string frame;
    wire::append_prove_reply(frame, request_id, answer);
    alive->send(frame);
  });
}

}  // namespace

void handle_miss_frame(Services& services, const std::shared_ptr<Connection>& connection, const wire::Head& head, std::string_view payload) {
  services.tables.beat(static_cast<std::uint64_t>(services.clock.monotonic_ns()));
  switch (head.type) {
    case wire::Type::kHello: return hello(services, *connection, head.request_id);
    case wire::Type::kValidate: return validate(services, connection, head.request_id, payload);
    case wire::Type::kText: return text(services, *connection, head.request_id, payload);
    case wire::Type::kWatch: return watch(services, connection, head.request_id, payload);
    case wire::Type::kUnwatch: return unwatch(services, *connection, head.request_id, payload);
    case wire::Type::kProve: return prove(services, connection, head.request_id, payload);
    default: return refuse(*connection, head.request_id, "a frame type that this socket does not take");
  }
}

}  // namespace authcached
