// The one place that compiles toml++'s definitions (4 seconds; everything else sees declarations).
#define TOML_IMPLEMENTATION
#include "daemon/base/toml_document.hpp"
