// glibc's allocator behind functions of this program: compiled into an executable, intercepted_malloc.cpp takes malloc's
// place and that of its kin in every object of it, shared libraries included; operator new comes through it. The program
// defines what happens before each call is handed on.
#pragma once

namespace authcache_test {

void before_allocation() noexcept;
void before_release() noexcept;

}  // namespace authcache_test
