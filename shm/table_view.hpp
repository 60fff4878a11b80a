// A mapped table as typed words, with the reader's private copies of everything that steers an access:
// geometry and secret are never taken from shared memory again after attaching.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "shm/layout.hpp"

namespace authcache::shm {

template <class A>
struct BasicTableView {
  std::byte* base = nullptr;  // a reader's mapping is PROT_READ: only a writer's view is ever written through
  Geometry geometry;
  std::array<std::uint64_t, kSecretWords> secret{};
  std::uint64_t generation = 0;
  std::uint64_t heartbeat_timeout_ns = 0;
  std::uint64_t tick_ns = 0;

  [[nodiscard]] BasicHeader<A>& header() const { return at<BasicHeader<A>>(0); }
  [[nodiscard]] BasicSlot<A>& slot(std::uint64_t i) const {
    return at<BasicSlot<A>>(geometry.hot + i * sizeof(BasicSlot<A>));
  }
  [[nodiscard]] BasicCold<A>& cold(std::uint64_t i) const {
    return at<BasicCold<A>>(geometry.cold + i * sizeof(BasicCold<A>));
  }
  [[nodiscard]] typename A::Word& way_word(std::uint64_t i) const {
    return at<typename A::Word>(geometry.ways + i * 8);
  }
  [[nodiscard]] typename A::Word& text_word(std::uint64_t i) const {
    return at<typename A::Word>(geometry.text + i * 8);
  }
  [[nodiscard]] typename A::Word& issuer_epoch(std::uint32_t i) const {
    return at<typename A::Word>(geometry.issuer_epochs + i * 8);
  }
  [[nodiscard]] typename A::Word& key_epoch(std::uint32_t i) const {
    return at<typename A::Word>(geometry.key_epochs + i * 8);
  }
  [[nodiscard]] BasicPrincipalEntry<A>& issuer(std::uint32_t i) const {
    return at<BasicPrincipalEntry<A>>(geometry.issuers + i * sizeof(BasicPrincipalEntry<A>));
  }
  [[nodiscard]] BasicPrincipalEntry<A>& key(std::uint32_t i) const {
    return at<BasicPrincipalEntry<A>>(geometry.keys + i * sizeof(BasicPrincipalEntry<A>));
  }
  [[nodiscard]] BasicDictionaryEntry<A>& dictionary(std::uint32_t i) const {
    return at<BasicDictionaryEntry<A>>(geometry.dictionary + i * sizeof(BasicDictionaryEntry<A>));
  }
  // The directory that config word `config` points at.
  [[nodiscard]] BasicProfileEntry<A>& profile(std::uint64_t config, std::uint32_t i) const {
    return at<BasicProfileEntry<A>>(geometry.profiles +
                                    ((config % 2) * kProfilesMax + i) * sizeof(BasicProfileEntry<A>));
  }

 private:
  template <class T>
  T& at(std::uint64_t offset) const {
    return *reinterpret_cast<T*>(base + offset);
  }
};
using TableView = BasicTableView<StdAtomics>;

}  // namespace authcache::shm
