#include "croaring.h"

#include <stdlib.h>

#if __has_include(<roaring/roaring.h>)
#include <roaring/roaring.h>

bool croaring_is_there(void) { return true; }

croaring *croaring_create(void) { return (croaring *)roaring_bitmap_create(); }

void croaring_free(croaring *set) { roaring_bitmap_free((roaring_bitmap_t *)set); }

void croaring_add(croaring *set, uint32_t value) {
  roaring_bitmap_add((roaring_bitmap_t *)set, value);
}

void croaring_remove(croaring *set, uint32_t value) {
  roaring_bitmap_remove((roaring_bitmap_t *)set, value);
}

int64_t croaring_next(const croaring *set, uint32_t from) {
  roaring_uint32_iterator_t iterator;
  roaring_init_iterator((const roaring_bitmap_t *)set, &iterator);
  if (!roaring_move_uint32_iterator_equalorlarger(&iterator, from)) return -1;
  return iterator.current_value;
}

int64_t croaring_payload_bytes(croaring *set) {
  roaring_bitmap_t *bitmap = (roaring_bitmap_t *)set;
  roaring_bitmap_run_optimize(bitmap);
  roaring_bitmap_shrink_to_fit(bitmap);
  roaring_statistics_t statistics;
  roaring_bitmap_statistics(bitmap, &statistics);
  return (int64_t)statistics.n_bytes_array_containers + statistics.n_bytes_run_containers +
         statistics.n_bytes_bitset_containers;
}

#else

bool croaring_is_there(void) { return false; }
croaring *croaring_create(void) { return NULL; }
void croaring_free(croaring *set) { abort(); }
void croaring_add(croaring *set, uint32_t value) { abort(); }
void croaring_remove(croaring *set, uint32_t value) { abort(); }
int64_t croaring_next(const croaring *set, uint32_t from) { abort(); }
int64_t croaring_payload_bytes(croaring *set) { abort(); }

#endif
