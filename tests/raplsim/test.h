/* What cmocka wants included before it, in one place for the simulator's tests. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> // NOLINT(llvm-include-order): after what it needs.
