// The part of zlib that Verilator's FST writer calls, so that waveforms need no zlib headers on the machine.
//
// Data go into stored blocks (RFC 1950, RFC 1951 section 3.2.4). That is always longer than the input, upon which
// the FST writer keeps the input as it is, which the format allows.

#ifndef VTEP_COMPAT_ZLIB_H
#define VTEP_COMPAT_ZLIB_H

#include <cstring>

using Bytef = unsigned char;
using uLong = unsigned long;
using uLongf = unsigned long;

enum { Z_OK = 0, Z_BUF_ERROR = -5 };

inline uLong compressBound(uLong size) { return size + 5 * (size / 65535 + 1) + 6; }

inline int compress2(Bytef *out, uLongf *out_size, const Bytef *in, uLong size, int) {
    if (*out_size < compressBound(size)) return Z_BUF_ERROR;
    Bytef *at = out;
    *at++ = 0x78;
    *at++ = 0x01;
    uLong low = 1, high = 0;  // Adler-32
    for (uLong i = 0; i < size; ++i) {
        low = (low + in[i]) % 65521;
        high = (high + low) % 65521;
    }
    do {
        const uLong count = size < 65535 ? size : 65535;
        size -= count;
        *at++ = size == 0;
        for (const uLong field : {count, ~count}) {
            *at++ = field & 0xFF;
            *at++ = field >> 8 & 0xFF;
        }
        std::memcpy(at, in, count);
        at += count;
        in += count;
    } while (size);
    for (const uLong half : {high, low}) {
        *at++ = half >> 8;
        *at++ = half & 0xFF;
    }
    *out_size = at - out;
    return Z_OK;
}

#endif
