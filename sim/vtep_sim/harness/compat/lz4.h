// The part of LZ4 that Verilator's FST writer calls, so that waveforms need no LZ4 headers or library.
//
// A plain greedy compressor for the LZ4 block format: sequences of a token, literals, and a match of 4 bytes or more
// at most 65,535 bytes back; the last 5 bytes are literals and no match starts within the last 12.

#ifndef VTEP_COMPAT_LZ4_H
#define VTEP_COMPAT_LZ4_H

#include <cstdint>
#include <cstring>
#include <vector>

inline int LZ4_compressBound(int size) { return size + size / 255 + 16; }

namespace vtep_lz4 {

inline uint32_t word(const uint8_t *at) {
    uint32_t value;
    std::memcpy(&value, at, 4);
    return value;
}

inline uint8_t *length(uint8_t *out, int rest) {  // what a nibble of 15 leaves
    for (; rest >= 255; rest -= 255) *out++ = 255;
    *out++ = static_cast<uint8_t>(rest);
    return out;
}

inline uint8_t *literals(uint8_t *out, const uint8_t *from, int count, int match_nibble) {
    *out++ = static_cast<uint8_t>((count < 15 ? count : 15) << 4 | match_nibble);
    if (count >= 15) out = length(out, count - 15);
    std::memcpy(out, from, count);
    return out + count;
}

}  // namespace vtep_lz4

inline int LZ4_compress_default(const char *source, char *target, int size, int capacity) {
    using namespace vtep_lz4;
    if (capacity < LZ4_compressBound(size)) return 0;
    const uint8_t *const in = reinterpret_cast<const uint8_t *>(source);
    uint8_t *out = reinterpret_cast<uint8_t *>(target);
    constexpr int hash_bits = 14;
    std::vector<int> seen(1 << hash_bits, -1);
    int anchor = 0;
    for (int at = 0; at < size - 12;) {
        int &slot = seen[word(in + at) * 2654435761u >> (32 - hash_bits)];
        const int candidate = slot;
        slot = at;
        if (candidate < 0 || at - candidate > 65535 || word(in + candidate) != word(in + at)) {
            ++at;
            continue;
        }
        int match = 4;
        while (at + match < size - 5 && in[candidate + match] == in[at + match]) ++match;
        const int rest = match - 4;
        out = literals(out, in + anchor, at - anchor, rest < 15 ? rest : 15);
        *out++ = (at - candidate) & 0xFF;
        *out++ = (at - candidate) >> 8;
        if (rest >= 15) out = length(out, rest - 15);
        at += match;
        anchor = at;
    }
    out = literals(out, in + anchor, size - anchor, 0);
    return static_cast<int>(out - reinterpret_cast<uint8_t *>(target));
}

#endif
