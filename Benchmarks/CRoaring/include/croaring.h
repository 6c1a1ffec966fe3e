// The few calls of CRoaring that are compared with, without its headers: those do not import into
// Swift everywhere, and the library is optional.

#pragma once
#include <stdbool.h>
#include <stdint.h>

typedef struct croaring croaring;

// Whether the library was there when this was built; if not, the rest must not be called.
bool croaring_is_there(void);

croaring *croaring_create(void);
void croaring_free(croaring *set);
void croaring_add(croaring *set, uint32_t value);
void croaring_remove(croaring *set, uint32_t value);
// The first member at or after `from`, or -1.
int64_t croaring_next(const croaring *set, uint32_t from);
// The bytes of the containers in the portable format, as small as the library makes them.
int64_t croaring_payload_bytes(croaring *set);
