#include "tests/explorer/explore.hpp"

namespace authcache::explorer {
namespace {

// Makes the writers' stores; death 0 is none. False once there is no store left to die before.
bool write(World& world, const Scene& scene, std::uint64_t death, bool loosely) {
  world.machine.die_before(death, loosely);
  bool died = false;
  try {
    scene.write(world);
  } catch (const WriterDied&) {
    died = true;
  }
  died = died || world.machine.dead();
  if (death != 0 && !died) return false;
  world.machine.succeed();
  if (scene.succeed != nullptr) {
    world.check_settled();
    world.recover();
    world.check_settled();
    scene.succeed(world);
  }
  return true;
}

void read_all_ways(World& world, const Scene& scene, const Manner& manner, Tally& tally) {
  Choices choices;
  do {
    world.machine.begin_run(choices,
                            {.weak = scene.weak, .zeros = scene.zeros, .interleaved = manner.interleaved});
    world.accepted.clear();
    ++tally.executions;
    scene.read(world);
    tally.accepted += world.accepted.size();
    if (manner.keep_outcomes) tally.outcomes.insert(world.accepted);
  } while (choices.next());
}

}  // namespace

void Tally::add(const Tally& other) {
  writer_runs += other.writer_runs;
  executions += other.executions;
  loads += other.loads;
  stores += other.stores;
  accepted += other.accepted;
  lookup_loads_max = std::max(lookup_loads_max, other.lookup_loads_max);
  if (!violation) violation = other.violation;
}

Tally explore(const Scene& scene, const Mutant& mutant, const Manner& manner) {
  Tally tally;
  const auto run = [&](std::uint64_t death, bool loosely) {
    World world(mutant);
    world.machine.memory.continue_release_sequences(manner.release_sequences);
    bool made = true;
    try {
      made = write(world, scene, death, loosely);
      if (made) {
        ++tally.writer_runs;
        read_all_ways(world, scene, manner, tally);
      }
    } catch (const Violation& violation) {
      tally.violation = std::string(scene.name) + ": " + violation.what() +
                        (death == 0 ? "" : " (death before store " + std::to_string(death) + ")");
    }
    tally.loads += world.machine.loads();
    tally.stores += world.machine.memory.stores();
    tally.lookup_loads_max = std::max(tally.lookup_loads_max, world.loads_max);
    return made && !tally.violation;
  };
  if (!run(0, false) || scene.succeed == nullptr) return tally;
  for (std::uint64_t death = 1; run(death, false) && run(death, true); ++death) {
  }
  return tally;
}

}  // namespace authcache::explorer
