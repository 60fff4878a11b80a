// What each number in the configuration may be, and why. The reason is part of the fault that a value outside
// gets, so it is written for the person who wrote that value.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "shm/layout.hpp"

namespace authcached {

template <class T>
struct ConfigRange {
  T low;
  T high;  // included
  std::string_view reason;
};

inline constexpr ConfigRange<std::uint64_t> kCapacityRange{
    authcache::shm::kCapacityMin, authcache::shm::kCapacityMax,
    "below, the table is smaller than its own header pages; above, one file passes 4 GB"};
inline constexpr ConfigRange<std::uint32_t> kNegativePercentRange{
    0, 50, "negative records must never be the majority that positive ones have to live beside"};
inline constexpr ConfigRange<std::uint32_t> kTextBytesPerRecordRange{
    authcache::shm::kTextBytesPerRecordMin, authcache::shm::kTextBytesPerRecordMax,
    "below, not even a subject and an issuer fit; above, one identity costs more than its token"};
inline constexpr ConfigRange<std::chrono::milliseconds> kHeartbeatTimeoutRange{
    std::chrono::milliseconds{1'000}, std::chrono::milliseconds{60'000},
    "below, a busy machine looks like a dead daemon; above, a dead daemon is trusted for minutes"};

inline constexpr ConfigRange<std::uint32_t> kMissRateRange{
    1, 10'000'000,
    "0 would refuse every miss; above, no machine asks that much and the budget protects nobody"};
inline constexpr ConfigRange<std::uint32_t> kConnectionsRange{
    1, 65'536, "each connection holds a descriptor and a frame buffer of the daemon"};
inline constexpr ConfigRange<std::uint32_t> kFlightsRange{
    1, 1'000'000, "each flight holds a token and its waiters in the daemon's memory"};
inline constexpr ConfigRange<std::uint32_t> kWaitersPerFlightRange{
    10'000, 1'000'000, "callers of one token rely on at least 10000 places; each place is daemon memory"};
inline constexpr ConfigRange<std::uint32_t> kRulesRange{
    1'000, 10'000'000, "below, ordinary logouts widen to whole issuers; above, rules alone take gigabytes"};
inline constexpr ConfigRange<std::chrono::milliseconds> kUpstreamTimeoutRange{
    std::chrono::milliseconds{10}, std::chrono::milliseconds{60'000},
    "below, a healthy upstream looks dead; above, no caller still waits"};

inline constexpr ConfigRange<std::uint32_t> kHttpConnectionsRange{
    1, 65'536, "each connection holds a descriptor and up to 104 KiB of the daemon"};
inline constexpr ConfigRange<std::chrono::milliseconds> kHttpIdleTimeoutRange{
    std::chrono::milliseconds{1'000}, std::chrono::milliseconds{3'600'000},
    "below, proxies find their connections closed; above, forgotten ones stay"};
inline constexpr ConfigRange<std::chrono::milliseconds> kHttpRequestTimeoutRange{
    std::chrono::milliseconds{100}, std::chrono::milliseconds{60'000},
    "below, a busy proxy is cut off; above, half-sent requests hold their connections"};

inline constexpr ConfigRange<std::chrono::seconds> kIdleTimeoutRange{
    std::chrono::seconds{5}, std::chrono::seconds{90 * 86'400},
    "below, the time between two looks at who was used is a great part of it; above, it ends nothing"};
inline constexpr ConfigRange<std::uint32_t> kWarmRange{
    0, 10'000'000, "beyond, a start reads more sessions than are asked for before their records end"};
inline constexpr ConfigRange<std::chrono::milliseconds> kTtlMaxRange{
    std::chrono::milliseconds{100}, std::chrono::milliseconds{86'400'000},
    "below, hits turn into misses; above, a change upstream that nobody announced is served for days"};
inline constexpr ConfigRange<std::chrono::milliseconds> kNegativeTtlRange{
    std::chrono::milliseconds{0}, std::chrono::milliseconds{60'000},
    "a token refused just before it became good must not stay refused"};
inline constexpr ConfigRange<std::chrono::seconds> kMaxTokenLifetimeRange{
    std::chrono::seconds{1}, std::chrono::seconds{366 * 86'400},
    "revocation rules are kept that long; a longer-lived token is not a token"};
inline constexpr ConfigRange<std::chrono::seconds> kLeewayRange{
    std::chrono::seconds{0}, std::chrono::seconds{300},
    "leeway lengthens the life of every expired token; clocks differ by less"};

inline constexpr ConfigRange<std::chrono::seconds> kJwksMaxStaleRange{
    std::chrono::seconds{0}, std::chrono::seconds{7 * 86'400},
    "a key that its issuer withdrew must not live on for as long as the issuer cannot be asked"};

inline constexpr ConfigRange<std::chrono::seconds> kStaleIfErrorRange{
    std::chrono::seconds{0}, std::chrono::seconds{86'400},
    "whatever an upstream withdraws while it cannot be asked stays good for that long"};

inline constexpr ConfigRange<std::uint32_t> kPoolMinRange{
    1, 64, "without a connection a question waits for one to be made; more at rest than this a server is not for"};
inline constexpr ConfigRange<std::uint32_t> kPoolMaxRange{
    1, 64, "each is a process of the server; one carries tens of thousands of sessions a second"};
inline constexpr ConfigRange<std::chrono::milliseconds> kStatementTimeoutRange{
    std::chrono::milliseconds{10}, std::chrono::milliseconds{60'000},
    "below, a busy server looks dead; above, no caller still waits"};
inline constexpr ConfigRange<std::chrono::milliseconds> kChangesMaxLagRange{
    std::chrono::milliseconds{2'000}, std::chrono::milliseconds{3'600'000},
    "below, two questions a second apart that are both late lose the profile; above, a change is missed for hours"};
inline constexpr ConfigRange<std::uint32_t> kRedisDatabaseRange{
    0, 65'535, "a server has 16 databases unless it was told otherwise"};

inline constexpr ConfigRange<std::chrono::milliseconds> kFleetStalenessRange{
    std::chrono::milliseconds{1'000}, std::chrono::milliseconds{3'600'000},
    "below, one slow answer looks like a partition; above, what another host revoked is good here for hours"};
inline constexpr ConfigRange<std::chrono::seconds> kFleetRetentionRange{
    std::chrono::seconds{60}, std::chrono::seconds{30 * 86'400},
    "below, every restart of a host costs a full copy; above, Redis keeps twice what the copy holds anyway"};
inline constexpr std::size_t kFleetKeyBytesMax = 128;  // the beginning of a name that one can still read

inline constexpr std::size_t kConfigBytesMax =
    1 << 20;                                     // 64 profiles take some 100 KB; more is not a config file
inline constexpr std::size_t kProfilesMax = authcache::shm::kProfilesMax;  // each has a state word in the table's header
inline constexpr std::size_t kProfileNameBytesMax = authcache::shm::kProfileNameMax;  // travels in frames and in fixed buffers of the SDK
inline constexpr std::size_t kAudiencesMax = authcache::shm::kProfileAudiencesMax;         // each takes a bit of the table's dictionary
inline constexpr std::size_t kAudienceBytesMax = 255;    // one length byte in frames
inline constexpr std::size_t kIssuerBytesMax =
    1'024;  // compared with every token; real ones are URLs under 200
inline constexpr std::size_t kClientIdBytesMax = 255;  // OAuth servers issue UUIDs and names
inline constexpr std::size_t kQueryBytesMax = 16'384;  // a query one can still review
inline constexpr std::size_t kConnectionBytesMax = 4'096;  // sixteen hosts by name and address
inline constexpr std::size_t kChangesTableBytesMax = 81;  // two names of 40 bytes and the dot between them
inline constexpr std::size_t kRedisTemplateBytesMax = 512;  // a prefix that one can still read
inline constexpr std::size_t kRedisFieldBytesMax = 255;     // a member's name or a path of a few
inline constexpr std::size_t kPathBytesMax = 4'095;    // PATH_MAX without its NUL
inline constexpr std::size_t kRuntimeDirBytesMax =
    90;  // sun_path is 108: "/authcached.sock" and a NUL must fit
inline constexpr std::size_t kHttpHostsMax = 64;      // each is compared with every request's
inline constexpr std::size_t kHttpHostBytesMax = 255;  // RFC 1035 section 2.3.4
inline constexpr std::size_t kHttpClientsMax = 64;    // operators' tools and resource servers, not users
inline constexpr std::size_t kHttpClientNameBytesMax = 63;
inline constexpr std::size_t kHttpFieldNameBytesMax = 64;  // a header field's name that one can still read
inline constexpr std::size_t kHttpSocketPathBytesMax = 103;  // sun_path is 108: ".new" while it is made, and a NUL
inline constexpr std::size_t kGroupNameBytesMax = 31;  // what useradd and sysusers accept

}  // namespace authcached
