#include "daemon/cache/sealed_tokens.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <new>
#include <span>

#include "daemon/base/random.hpp"

namespace authcached {

namespace shm = authcache::shm;

namespace {

constexpr std::size_t kKeyBytes = 32;
constexpr std::size_t kNonceBytes = 12;
constexpr std::size_t kTagBytes = 16;
// What an entry costs besides its text: or short tokens were unbounded.
constexpr std::size_t kEntryBytes = 160;

struct FreeCipher {
  void operator()(EVP_CIPHER_CTX* context) const {
    EVP_CIPHER_CTX_free(context);
  }  // overwrites the key's schedule
};
using Cipher = std::unique_ptr<EVP_CIPHER_CTX, FreeCipher>;

unsigned char* bytes_of(std::string& text, std::size_t at = 0) {
  return reinterpret_cast<unsigned char*>(text.data()) + at;
}
const unsigned char* bytes_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

bool encrypt(const std::uint8_t* key, const shm::Digest& digest, std::string_view token,
             std::string& sealed) {
  const Cipher cipher(EVP_CIPHER_CTX_new());
  int length = 0;
  unsigned char* text = bytes_of(sealed, kNonceBytes);
  return cipher != nullptr &&
         EVP_EncryptInit_ex(cipher.get(), EVP_aes_256_gcm(), nullptr, key, bytes_of(sealed)) == 1 &&
         EVP_EncryptUpdate(cipher.get(), nullptr, &length, digest.data(), static_cast<int>(digest.size())) ==
             1 &&
         EVP_EncryptUpdate(cipher.get(), text, &length, bytes_of(token), static_cast<int>(token.size())) ==
             1 &&
         EVP_EncryptFinal_ex(cipher.get(), text + length, &length) == 1 &&
         EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_GET_TAG, static_cast<int>(kTagBytes),
                             text + token.size()) == 1;
}

bool decrypt(const std::uint8_t* key, const shm::Digest& digest, std::string_view sealed,
             std::string& token) {
  const Cipher cipher(EVP_CIPHER_CTX_new());
  int length = 0;
  const std::string_view text = sealed.substr(kNonceBytes, token.size());
  std::array<unsigned char, kTagBytes> tag;
  std::memcpy(tag.data(), sealed.data() + kNonceBytes + token.size(), tag.size());
  return cipher != nullptr &&
         EVP_DecryptInit_ex(cipher.get(), EVP_aes_256_gcm(), nullptr, key, bytes_of(sealed)) == 1 &&
         EVP_DecryptUpdate(cipher.get(), nullptr, &length, digest.data(), static_cast<int>(digest.size())) ==
             1 &&
         EVP_DecryptUpdate(cipher.get(), bytes_of(token), &length, bytes_of(text),
                           static_cast<int>(text.size())) == 1 &&
         EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_SET_TAG, static_cast<int>(tag.size()), tag.data()) ==
             1 &&
         EVP_DecryptFinal_ex(cipher.get(), bytes_of(token) + length, &length) == 1;
}

}  // namespace

LockedPage::LockedPage() {
  void* page = ::mmap(nullptr, shm::kPageBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) throw std::bad_alloc();
  data_ = static_cast<std::uint8_t*>(page);
  // A limit on locked memory may refuse; the key then may reach a swap device, which is still not the token.
  (void)::mlock(data_, shm::kPageBytes);
  (void)::madvise(data_, shm::kPageBytes, MADV_DONTDUMP);
  (void)::madvise(data_, shm::kPageBytes, MADV_DONTFORK);
}

LockedPage::~LockedPage() {
  OPENSSL_cleanse(data_, shm::kPageBytes);
  ::munmap(data_, shm::kPageBytes);
}

SealedTokens::SealedTokens(Tables& tables, const Clock& clock, std::size_t entries_max)
    : tables_(tables), clock_(clock), entries_max_(entries_max) {
  has_key_ = fill_random(std::span(key_.data(), kKeyBytes)).has_value();
  tables_.add_end_observer(this);
}

SealedTokens::~SealedTokens() { tables_.remove_end_observer(this); }

SealedTokens::Sealed SealedTokens::seal(const shm::Digest& digest, std::string_view token) {
  const bool room = entries_.size() < entries_max_ && bytes_ + token.size() + kEntryBytes <= kBytesMax;
  if (!has_key_ || !room) {
    ++refused_;
    return {};
  }
  Sealed sealed(kNonceBytes + token.size() + kTagBytes, '\0');
  const std::uint64_t nonce = ++nonces_;
  std::memcpy(sealed.data(), &nonce, sizeof nonce);
  if (!encrypt(key_.data(), digest, token, sealed)) {
    ++refused_;
    return {};
  }
  return sealed;
}

void SealedTokens::keep(const shm::Digest& digest, Sealed sealed) {
  const shm::Key key = shm::key_of(digest);
  if (const auto found = entries_.find(key); found != entries_.end()) erase(found);
  // Flights that set out while there was room may land when there is none.
  if (entries_.size() >= entries_max_ || bytes_ + sealed.size() + kEntryBytes > kBytesMax) {
    ++refused_;
    return;
  }
  Entry& entry = entries_[key];
  entry.digest = digest;
  entry.sealed = std::move(sealed);
  bytes_ += entry.sealed.size() + kEntryBytes;
  settled_.push_back(entry);
}

std::optional<std::string> SealedTokens::open(const shm::Key& key, shm::Digest& digest) const {
  const auto found = entries_.find(key);
  if (found == entries_.end()) return std::nullopt;
  const Entry& entry = found->second;
  std::string token(entry.sealed.size() - kNonceBytes - kTagBytes, '\0');
  if (!decrypt(key_.data(), entry.digest, entry.sealed, token)) {
    OPENSSL_cleanse(token.data(), token.size());
    return std::nullopt;
  }
  digest = entry.digest;
  return token;
}

void SealedTokens::erase(Entries::iterator entry) {
  std::string& sealed = entry->second.sealed;
  bytes_ -= sealed.size() + kEntryBytes;
  OPENSSL_cleanse(sealed.data(), sealed.size());
  entries_.erase(entry);
}

void SealedTokens::forget(const shm::Key& key) {
  if (entries_.empty()) return;
  if (const auto found = entries_.find(key); found != entries_.end()) erase(found);
}

// In any table: while a replacement copies, a record may stand in the old one alone.
bool SealedTokens::stands(const shm::Key& key) const {
  const auto now = static_cast<std::uint64_t>(clock_.monotonic_ns());
  return std::ranges::any_of(tables_.places_of(key).all(), [&](const shm::Place& place) {
    const shm::TableWriter& writer = tables_.generation(place.generation)->writer;
    const shm::HotRecord record = writer.peek(place.slot);
    return shm::unpack_facts(record.facts).verdict == shm::Verdict::kValid &&
           shm::is_current(writer.view(), record, now);
  });
}

void SealedTokens::review() {
  for (std::size_t looked = 0; looked < kReviewsPerTurn && !doubtful_.empty(); ++looked) {
    Entry& entry = doubtful_.front();
    const shm::Key key = shm::key_of(entry.digest);
    if (!stands(key)) {
      forget(key);
      continue;
    }
    doubtful_.pop_front();
    settled_.push_back(entry);
  }
}

void SealedTokens::ended(const shm::Key& key, shm::SlotState) noexcept {
  if (entries_.empty()) return;  // with every record that ends, also where no profile refreshes
  const auto found = entries_.find(key);
  if (found == entries_.end()) return;
  found->second.unlink();
  doubtful_.push_back(found->second);
}

void SealedTokens::any_may_have_ended() noexcept { doubtful_.splice(doubtful_.end(), settled_); }

}  // namespace authcached
