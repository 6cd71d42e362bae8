// Counting of toggles in place of Verilator's, for signals of more than 64 bits and for speed.
//
// Verilator 5.048 goes through all bits that are left of the signal for each of its 32-bit words, and shifts the word by
// as much: on x86 a toggle of bit 0 then counts for bits 32, 64 and so on as well. Here only the bits that changed are
// looked at. `counts` has two numbers for each bit, of falls and of rises.
#pragma once
#include "verilated_cov.h"

static inline void vtep_count_word(uint32_t* counts, const uint64_t now, uint64_t changed) {
    for (; changed; changed &= changed - 1) {
        const int bit = __builtin_ctzll(changed);
        ++counts[2 * bit + (now >> bit & 1)];
    }
}

static inline void vtep_count(const int, uint32_t* counts, const uint64_t now, const uint64_t before) {
    vtep_count_word(counts, now, now ^ before);
}

static inline void vtep_count_wide(const int width, uint32_t* counts, WDataInP now, WDataInP before) {
    for (int word = 0; word < VL_WORDS_I(width); ++word)
        vtep_count_word(counts + 2 * VL_EDATASIZE * word, now[word], now[word] ^ before[word]);
}

#define VL_COV_TOGGLE_CHG_ST_I vtep_count
#define VL_COV_TOGGLE_CHG_ST_Q vtep_count
#define VL_COV_TOGGLE_CHG_ST_W vtep_count_wide
