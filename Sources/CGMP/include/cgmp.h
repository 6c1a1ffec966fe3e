// The one door to GMP: 128-bit numbers as two limbs passed by value, so that they stay in
// registers or on the stack, and the few mpz calls whose names gmp.h hides behind macros.
#ifndef CGMP_H
#define CGMP_H

#include <gmp.h>
#include <stdint.h>

_Static_assert(sizeof(mp_limb_t) == 8 && GMP_NAIL_BITS == 0, "two limbs must be 128 bits");

typedef struct {
  uint64_t low, high;
} cgmp_pair;

typedef struct {
  uint64_t low, high;
  uint64_t carry;
} cgmp_pair_carry;

// gmp.h gives mpn_add_1 and mpn_sub_1 as inline bodies, so two of them cost less than the call
// of mpn_add_n. The carries exclude each other: after the first, the high limb is 0 (or its
// complement, subtracting), and one limb more cannot pass its end.
static inline cgmp_pair_carry cgmp_add(cgmp_pair a, cgmp_pair b) {
  mp_limb_t x[2] = {a.low, a.high}, r[2];
  mp_limb_t carry = mpn_add_1(r, x, 2, b.low);
  carry += mpn_add_1(r + 1, r + 1, 1, b.high);
  return (cgmp_pair_carry){r[0], r[1], carry};
}

static inline cgmp_pair_carry cgmp_sub(cgmp_pair a, cgmp_pair b) {
  mp_limb_t x[2] = {a.low, a.high}, r[2];
  mp_limb_t borrow = mpn_sub_1(r, x, 2, b.low);
  borrow += mpn_sub_1(r + 1, r + 1, 1, b.high);
  return (cgmp_pair_carry){r[0], r[1], borrow};
}

// count: 1...63, as mpn wants it.
static inline cgmp_pair cgmp_lshift(cgmp_pair a, unsigned count) {
  mp_limb_t x[2] = {a.low, a.high}, r[2];
  mpn_lshift(r, x, 2, count);
  return (cgmp_pair){r[0], r[1]};
}

static inline cgmp_pair cgmp_rshift(cgmp_pair a, unsigned count) {
  mp_limb_t x[2] = {a.low, a.high}, r[2];
  mpn_rshift(r, x, 2, count);
  return (cgmp_pair){r[0], r[1]};
}

static inline cgmp_pair_carry cgmp_mul_1(cgmp_pair a, uint64_t b) {
  mp_limb_t x[2] = {a.low, a.high}, r[2];
  mp_limb_t carry = mpn_mul_1(r, x, 2, b);
  return (cgmp_pair_carry){r[0], r[1], carry};
}

// Quotient in low and high, remainder in carry. The divisor must not be zero.
static inline cgmp_pair_carry cgmp_divrem_1(cgmp_pair a, uint64_t divisor) {
  mp_limb_t x[2] = {a.low, a.high}, q[2];
  mp_limb_t remainder = mpn_divrem_1(q, 0, x, 2, divisor);
  return (cgmp_pair_carry){q[0], q[1], remainder};
}

// The divisor's high limb must not be zero, so the quotient is one limb: carry.
// The remainder is in low and high.
static inline cgmp_pair_carry cgmp_divrem_2(cgmp_pair a, cgmp_pair divisor) {
  mp_limb_t x[2] = {a.low, a.high}, d[2] = {divisor.low, divisor.high}, q[1], r[2];
  mpn_tdiv_qr(q, r, 0, x, 2, d, 2);
  return (cgmp_pair_carry){r[0], r[1], q[0]};
}

// A read-only view of limbs (least first, the last not zero): no allocation, nothing to clear.
static inline __mpz_struct cgmp_mpz_view(const uint64_t *limbs, long count) {
  __mpz_struct view;
  mpz_roinit_n(&view, (const mp_limb_t *)limbs, count);
  return view;
}

static inline void cgmp_mpz_init(__mpz_struct *z) { mpz_init(z); }
static inline void cgmp_mpz_clear(__mpz_struct *z) { mpz_clear(z); }
static inline long cgmp_mpz_size(const __mpz_struct *z) { return (long)mpz_size(z); }
static inline uint64_t cgmp_mpz_limb(const __mpz_struct *z, long index) {
  return mpz_getlimbn(z, index);
}
static inline int cgmp_mpz_sign(const __mpz_struct *z) { return mpz_sgn(z); }
static inline void cgmp_mpz_add(__mpz_struct *r, const __mpz_struct *a, const __mpz_struct *b) {
  mpz_add(r, a, b);
}
static inline void cgmp_mpz_sub(__mpz_struct *r, const __mpz_struct *a, const __mpz_struct *b) {
  mpz_sub(r, a, b);
}
static inline void cgmp_mpz_mul(__mpz_struct *r, const __mpz_struct *a, const __mpz_struct *b) {
  mpz_mul(r, a, b);
}
static inline void cgmp_mpz_set_bit(__mpz_struct *z, unsigned long bit) { mpz_setbit(z, bit); }
// digits: decimal, ended by a NUL. Returns 0 when all of it was a number.
static inline int cgmp_mpz_set_decimal(__mpz_struct *z, const char *digits) {
  return mpz_set_str(z, digits, 10);
}
// Bytes that cgmp_mpz_get_decimal needs for a number that is not negative, its NUL included.
static inline long cgmp_mpz_decimal_capacity(const __mpz_struct *z) {
  return (long)mpz_sizeinbase(z, 10) + 1;
}
static inline void cgmp_mpz_get_decimal(char *text, const __mpz_struct *z) {
  mpz_get_str(text, 10, z);
}

// a / b cut towards zero; b must not be zero.
static inline double cgmp_mpz_ratio(const __mpz_struct *a, const __mpz_struct *b) {
  mpq_t q;
  mpq_init(q);
  mpz_set(mpq_numref(q), a);
  mpz_set(mpq_denref(q), b);
  mpq_canonicalize(q);
  double ratio = mpq_get_d(q);
  mpq_clear(q);
  return ratio;
}

#endif
