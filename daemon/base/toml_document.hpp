// toml++ as this daemon uses it: without exceptions and without its writers, compiled once
// (toml_document.cpp). Every source that looks at a TOML node includes this file and never <toml++/toml.h>
// itself: two sources that set these switches differently would not link.
#pragma once

// Its pkg-config file asks for the shared library, which is built with exceptions: take the headers only.
#ifdef TOML_SHARED_LIB
#error "Do not pass tomlplusplus' compile flags: authcached uses its headers only"
#endif

#define TOML_EXCEPTIONS 0
#define TOML_HEADER_ONLY 0
#define TOML_ENABLE_FORMATTERS 0

#include <toml++/toml.h>
