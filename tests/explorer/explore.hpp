// Runs scenes: for each way in which the writers can end, every run of the readers.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tests/explorer/world.hpp"

namespace authcache::explorer {

struct Scene {
  const char* name;
  WordSet weak;  // kinds whose every readable value is tried; the others are read as old as can be
  void (*write)(World&);
  void (*read)(World&);
  // If set, the writer dies before each of its stores in turn; then a successor recovers and does this.
  void (*succeed)(World&) = nullptr;
  bool zeros = false;  // the range may be given up under the reader
};

struct Manner {
  bool interleaved = false;
  bool release_sequences = false;
  bool keep_outcomes = false;
};

struct Tally {
  std::uint64_t writer_runs = 0;
  std::uint64_t executions = 0;
  std::uint64_t loads = 0;
  std::uint64_t stores = 0;
  std::uint64_t accepted = 0;
  std::uint64_t lookup_loads_max = 0;
  std::optional<std::string> violation;
  std::set<std::vector<std::uint64_t>> outcomes;  // versions accepted, lookup by lookup
  void add(const Tally& other);
};

// Stops at the first violation.
[[nodiscard]] Tally explore(const Scene& scene, const Mutant& mutant, const Manner& manner = {});

// The scenes of the short form, and those that `deep` adds.
[[nodiscard]] std::vector<Scene> scenes(bool deep);

struct JudgedMutant {
  Mutant mutant;
  const char* why;  // a needed one: the scene that catches it; a redundant one: what makes it so
};
[[nodiscard]] std::vector<JudgedMutant> needed();     // each is caught
[[nodiscard]] std::vector<JudgedMutant> redundant();  // none is, in no scene

}  // namespace authcache::explorer
