#include "bench/flat_report.hpp"

#include <fstream>
#include <limits>

#include "bench/die.hpp"

namespace authcache_bench {

void FlatReport::write(const std::string& file) const {
  std::ofstream out(file);
  out.precision(std::numeric_limits<double>::max_digits10);
  const char* before = "{";
  for (const auto& [name, values] : numbers) {
    out << before << '"' << name << "\": [";
    const char* comma = "";
    for (const double value : values) {
      out << comma << value;
      comma = ", ";
    }
    out << ']';
    before = ",\n ";
  }
  out << "}\n";
  if (!out.flush()) die("cannot write " + file);
}

}  // namespace authcache_bench
