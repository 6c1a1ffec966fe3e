// What glibc declares for GNU sources only, for the tests.

#pragma once

#include <spawn.h>

/// Lets a child have no descriptors but standard input, output and error; 0 or an error number.
int spawn_closing_others(posix_spawn_file_actions_t *actions);
