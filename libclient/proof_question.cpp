// The miss path's other question: is this DPoP proof good, and new? Apart from miss_path.cpp, because no
// record comes of it and none is looked up.
#include "libclient/miss_path.hpp"
#include "libclient/random_bytes.hpp"

namespace authcache::client {

Exchanged MissPath::ask_proof(const shm::wire::Prove& proof, const Deadline& deadline,
                              shm::wire::ProveReply& reply) {
  const std::uint64_t request_id = random_word();
  std::string frame, payload;
  shm::wire::append_prove(frame, request_id, proof);
  Connection used;
  const Exchanged how = exchange(frame, request_id, shm::wire::Type::kProveReply, deadline, payload, used);
  if (how != Exchanged::kReplied) return how;
  const auto decoded = shm::wire::decode_prove_reply(payload);
  const auto asked = shm::plain_digest(std::string_view(frame).substr(shm::wire::kHeadBytes));
  if (!decoded || decoded->question != asked) {
    last_error_.set(
        "authcached sent a reply that cannot be read, or to another proof than the one that was asked about");
    return Exchanged::kProtocol;
  }
  pool_.give(std::move(used));
  reply = *decoded;
  return Exchanged::kReplied;
}

}  // namespace authcache::client
