// Counts what the process allocates: a program that links this has its `malloc` in front of glibc's.

#pragma once
#include <stdint.h>

// Allocations by this thread so far.
uint64_t cheap_allocations(void);
// Bytes in use by the whole process, with the heap's own overhead.
uint64_t cheap_bytes_in_use(void);
