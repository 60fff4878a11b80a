#include "tools/authctl/proc_text.hpp"

#include <gtest/gtest.h>

namespace authctl {
namespace {

TEST(ProcText, TheChoiceInForceStandsInBrackets) {
  EXPECT_EQ(bracketed("always within_size [advise] never deny force\n"), "advise");
  EXPECT_EQ(bracketed("always never\n"), "");
  EXPECT_EQ(bracketed("]["), "");
}

constexpr const char* kSmaps =
    "7f0000000000-7f0000200000 r--s 00000000 00:19 11 /run/authcache/table\n"
    "Size:               2048 kB\n"
    "KernelPageSize:        4 kB\n"
    "ShmemPmdMapped:     2048 kB\n"
    "VmFlags: rd sh mr\n"
    "7f0000200000-7f0000400000 r--s 00000000 00:19 12 /other\n"
    "KernelPageSize:       64 kB\n"
    "ShmemPmdMapped:        0 kB\n";

TEST(ProcText, AFieldIsReadFromTheMappingThatBeginsThere) {
  EXPECT_EQ(smaps_kb(kSmaps, 0x7f0000000000, "ShmemPmdMapped"), 2048u);
  EXPECT_EQ(smaps_kb(kSmaps, 0x7f0000200000, "ShmemPmdMapped"), 0u);
  EXPECT_EQ(smaps_kb(kSmaps, 0x7f0000200000, "KernelPageSize"), 64u);
  EXPECT_FALSE(smaps_kb(kSmaps, 0x7f0000400000, "ShmemPmdMapped"));
  EXPECT_FALSE(smaps_kb(kSmaps, 0x7f0000000000, "Shmem"));
  EXPECT_FALSE(smaps_kb("", 0, "Size"));
}

TEST(ProcText, AnyOffsetMeansShiftedClocks) {
  EXPECT_FALSE(shifts_clocks("monotonic           0         0\nboottime            0         0\n"));
  EXPECT_TRUE(shifts_clocks("monotonic           0         0\nboottime       -3600         0\n"));
  EXPECT_FALSE(shifts_clocks(""));
}

TEST(ProcText, AFileThatIsNotThereIsNothing) { EXPECT_FALSE(read_text_file("/proc/no-such-file")); }

}  // namespace
}  // namespace authctl
